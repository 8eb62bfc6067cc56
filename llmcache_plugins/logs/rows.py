"""One logged model call, as far as a forecast needs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmcache_plugins.keys.fingerprint import normalised_key_of, scope_of
from llmcache_plugins.types import Request, Usage

__all__ = ["LoggedCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """A request that was sent to a model, and what the log says of its answer.

    Args:
        request: as the cache would see it.
        at: when, seconds since the epoch or since anything else that is the same for the whole log; None: not known.
        usage: its tokens; all 0: not known.
        answer_bytes: of the answer's text in UTF-8; None: the log has no answers.
        seconds: how long the model took; None: not known.
        shape: how the line was written: `"text"`, `"fields"`, `"messages"`, `"openai"`, `"langsmith"`.
    """

    request: Request = field(repr=False)
    at: float | None = None
    usage: Usage = field(default_factory=Usage)
    answer_bytes: int | None = None
    seconds: float | None = None
    shape: str = "fields"
    _key: int | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def question_bytes(self) -> int:
        return len(self.request.text.encode("utf-8", "surrogatepass"))

    def key(self) -> int:
        """64 bits of the digest by which the cache finds it without its meaning: texts that differ in case, spaces and
        closing punctuation alone have the same one. Worked out once.

        Raises:
            TypeError, RecursionError: the context or the parameters are not JSON, or nested too deeply.
        """
        if self._key is None:
            digest = normalised_key_of(scope_of(self.request), self.request.text)
            object.__setattr__(self, "_key", int(digest[:16], 16))
        assert self._key is not None
        return self._key
