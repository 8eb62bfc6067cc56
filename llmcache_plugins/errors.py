"""The error tree: one class for each thing a caller would do differently."""

from __future__ import annotations

__all__ = [
    "CodecError",
    "ConfigError",
    "EmbedderError",
    "LLMCacheError",
    "MissingExtraError",
    "StoreCorrupt",
    "StoreError",
    "StoreUnavailable",
    "VerifierError",
]


class LLMCacheError(Exception):
    """Base of everything this package raises by itself."""


class ConfigError(LLMCacheError, ValueError):
    """A wrong argument or setting; raised when something is built, never during a lookup."""


class MissingExtraError(LLMCacheError, ImportError):
    """An optional package is absent; the message holds the pip line that installs it.

    Args:
        what: the feature that needs it, as a user would name it.
        extra: the name of the extra of `llmcache-plugins`.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs an optional package: pip install 'llmcache-plugins[{extra}]'")


class StoreError(LLMCacheError):
    """A store failed; with `fail_open=True` the lookup is a Miss instead.

    Attributes:
        is_told: the store itself says in the log when this begins and when it is over, so that nobody else has to.
        is_left_alone: it was not asked at all, for it failed just now: its circuit is open.
    """

    is_told: bool = False
    is_left_alone: bool = False


class StoreUnavailable(StoreError):
    """No connection, a lock held too long, a time-out: worth another try."""


class StoreCorrupt(StoreError):
    """The store itself cannot be read (one damaged entry is only a miss)."""


class EmbedderError(LLMCacheError):
    """An embedding failed or has the wrong dimension."""


class VerifierError(LLMCacheError):
    """The verifier's model cannot be loaded, or failed."""


class CodecError(LLMCacheError):
    """This answer cannot be stored: it is not JSON."""


def why(error: BaseException) -> str:
    """What went wrong with a file, for a message: in the system's words, else the name of the error. Never its text,
    which may quote what the file holds.

    >>> why(FileNotFoundError(2, "No such file or directory", "a.json")), why(ValueError("secret"))
    ('No such file or directory', 'ValueError')
    """
    said = error.strerror if isinstance(error, OSError) else None
    return said or type(error).__name__
