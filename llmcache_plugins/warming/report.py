"""What came of a warming: while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from llmcache_plugins.types import JsonValue, Usage
from llmcache_plugins.warming.wanted import Wanted

__all__ = ["Expiring", "WarmProgress", "WarmReport"]


@dataclass(frozen=True, slots=True)
class WarmProgress:
    """Where a warming stands, for a progress bar. `cost` is None without `cost_of`."""

    done: int
    total: int
    warmed: int
    skipped: int
    failed: int
    calls: int
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What a warming did.

    Args:
        total: questions, each once.
        warmed: answers stored.
        skipped: fresh already, or done by the run that this one went on with.
        failures: what went wrong, by the class of the error or by the cache's reason not to store.
        calls: model calls, failed ones included.
        usage: tokens of the calls, as far as the answers told.
        cost: what `cost_of` says of the tokens; None without it.
        seconds: how long it took.
        stopped: why it ended before its end: `"calls"`, `"tokens"` or `"money"` (the budget), `"usage unknown"` (a
            budget of tokens or money, and an answer that told no tokens), `"failures"`, `"closed"`; empty when it did
            not.
    """

    total: int
    warmed: int = 0
    skipped: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    seconds: float = 0.0
    stopped: str = ""

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def remaining(self) -> int:
        """Questions it did not come to."""
        return self.total - self.warmed - self.skipped - self.failed

    def as_json(self) -> dict[str, JsonValue]:
        """All of it, as JSON."""
        return {**asdict(self), "failed": self.failed, "remaining": self.remaining}

    def __str__(self) -> str:
        lines = [
            f"warmed {self.warmed:,} of {self.total:,} questions in {self.seconds:.1f} s: {self.skipped:,} were fresh, "
            f"{self.failed:,} failed, {self.remaining:,} remain",
            f"{self.calls:,} calls, {self.usage.total_tokens:,} tokens"
            + ("" if self.cost is None else f", cost {self.cost:.4f}"),
        ]
        lines += [f"failed: {reason}: {count:,}" for reason, count in self.failures.items()]
        return "\n".join([*lines, f"stopped by: {self.stopped}"] if self.stopped else lines)


@dataclass(frozen=True, slots=True)
class Expiring:
    """What is about to expire.

    Args:
        questions: those that can be asked anew, most read first.
        not_refreshable: entries of another scope than the questions' own: an entry keeps the text of its question, but
            not the model, parameters, system prompt and history it belongs to.
        unread: entries that were left out because too few had read them.
    """

    questions: tuple[Wanted, ...] = ()
    not_refreshable: int = 0
    unread: int = 0
