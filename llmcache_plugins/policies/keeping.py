"""What of a question may be stored. Pure but for the user's hook."""

from __future__ import annotations

from collections.abc import Callable

from llmcache_plugins.errors import ConfigError

__all__ = ["Keeping"]


class Keeping:
    """From the text of a question to the text that is stored: all of it, what a hook leaves, or nothing.

    A question whose text is not stored as it was asked is matched exactly only: whoever compares two questions would
    not see what differs.

    Args:
        store_text: False for no text at all; the hook is not asked then.
        redact: gives the text without what must not be stored.
        failed: hears why the hook failed. It may raise.
    """

    def __init__(
        self, *, store_text: bool, redact: Callable[[str], str] | None, failed: Callable[[Exception], None]
    ) -> None:
        self._store_text = store_text
        self._redact = redact
        self._failed = failed

    def __call__(self, text: str) -> str | None:
        """The text as it may be stored; None when nobody can tell, and nothing may be stored."""
        if not self._store_text:
            return ""
        if self._redact is None:
            return text
        try:
            kept = self._redact(text)
            if not isinstance(kept, str):
                raise ConfigError(f"redact must give a str, not {type(kept).__name__}")
        except Exception as error:  # noqa: BLE001  # whatever a hook of the user raises
            self._failed(error)
            return None
        return kept
