"""What came of moving the vectors of a cache to another embedder, and how that goes about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from llmcache_plugins.config import as_namespace
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import JsonValue, Namespace

__all__ = ["ReembedProgress", "ReembedReport", "ReembedSettings", "ReembedTally", "Shown"]


@dataclass(frozen=True, slots=True)
class ReembedProgress:
    """Where it stands. `total` is about how many entries there are, None when nobody knows."""

    done: int
    total: int | None
    moved: int


Shown: TypeAlias = bool | Callable[[ReembedProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembedReport:
    """What `cache.reembed` did. An entry is counted once for each store that holds it.

    Args:
        embedder_id: of the embedder that entries were moved to.
        read: entries that were looked at.
        moved: entries that have a vector of it now and had none before; with `is_dry_run`, that would get one.
        moved_from: of these, how many had a vector of which embedder; `""` stands for none.
        current: entries that had one already.
        exact_only: entries that no look-up matches by meaning (agent steps, media, redacted questions): nothing to
            move.
        without_text: entries whose text is not stored (`store_text=False`): they cannot be embedded, and go on matching
            exactly.
        unreadable: entries left as they are: their text is longer than the embedder reads, or unknown to it.
        expired: entries left as they are: their time is over.
        failed: entries whose text the embedder failed at.
        gone: entries that were removed or replaced meanwhile; what replaced them is looked at in its turn.
        refused: entries of which the store keeps no vector.
        damaged: entries that could not be read.
        is_complete: all was looked at.
        seconds: how long it took.
        stopped: why it ended before its end; empty when it did not.
    """

    embedder_id: str
    read: int = 0
    moved: int = 0
    moved_from: Mapping[str, int] = field(default_factory=dict)
    current: int = 0
    exact_only: int = 0
    without_text: int = 0
    unreadable: int = 0
    expired: int = 0
    failed: int = 0
    gone: int = 0
    refused: int = 0
    damaged: int = 0
    is_complete: bool = False
    is_dry_run: bool = False
    seconds: float = 0.0
    stopped: str = ""

    @property
    def is_whole(self) -> bool:
        """Everything that can be moved is."""
        return self.is_complete and not (self.failed or self.refused or self.damaged or self.stopped)

    def as_json(self) -> dict[str, JsonValue]:
        """All of it, as JSON."""
        return {**asdict(self), "moved_from": dict(self.moved_from), "is_whole": self.is_whole}

    def __str__(self) -> str:
        would = "would be " if self.is_dry_run else ""
        lines = [
            f"{self.moved:,} of {self.read:,} entries {would}moved to {self.embedder_id}, in {self.seconds:.1f} s",
            *(f"  {count:,} from {name or 'no vector yet'}" for name, count in sorted(self.moved_from.items())),
        ]
        lines += [f"{getattr(self, name):,} {said}" for name, said in _SAID.items() if getattr(self, name)]
        if self.stopped:
            lines.append(f"stopped by: {self.stopped}; run it again, what was moved stays moved")
        return "\n".join(lines)


_SAID = {
    "current": "were there already",
    "exact_only": "are matched exactly only: nothing to move",
    "without_text": "cannot be moved: their text is not stored; they go on matching exactly",
    "unreadable": "left as they are: longer than the embedder reads, or unknown to it",
    "expired": "left as they are: their time is over",
    "failed": "failed: the embedder gave no vector",
    "gone": "were removed or replaced meanwhile",
    "refused": "refused: the store keeps no vectors of them",
    "damaged": "damaged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembedSettings:
    """The arguments of `cache.reembed`, which explains them.

    Raises:
        ConfigError: one is not what it has to be.
    """

    namespace: str | Namespace = ()
    batch: int = 64
    rate: float | None = None
    dry_run: bool = False
    progress: Shown = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", as_namespace(self.namespace))
        if not isinstance(self.batch, int) or isinstance(self.batch, bool) or not 1 <= self.batch <= 1000:
            raise ConfigError(f"batch must be an integer from 1 to 1000, not {self.batch!r}")
        if self.rate is not None and not _is_rate(self.rate):
            raise ConfigError(f"rate must be entries a second above 0, or None, not {self.rate!r}")
        if not isinstance(self.dry_run, bool):
            raise ConfigError(f"dry_run must be True or False, not {self.dry_run!r}")
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise ConfigError(f"progress must be True, False or callable, not {self.progress!r}")

    def below(self, namespace: Namespace) -> Namespace:
        """The chosen namespace below a cache's own."""
        return (*namespace, *self.namespace)

    def pause(self, count: int) -> float:
        """Seconds to wait after so many entries were embedded."""
        return 0.0 if self.rate is None else count / self.rate


def _is_rate(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < math.inf


@dataclass(slots=True)
class ReembedTally:
    """A report in the making."""

    counts: Counter[str] = field(default_factory=Counter)
    moved_from: Counter[str] = field(default_factory=Counter)
    about: int | None = None
    is_complete: bool = False
    stopped: str = ""

    @property
    def progress(self) -> ReembedProgress:
        done = self.counts["read"]
        # A cache that is in use grows meanwhile.
        return ReembedProgress(done, None if self.about is None else max(self.about, done), self.counts["moved"])

    def report(self, embedder_id: str, *, seconds: float, is_dry_run: bool) -> ReembedReport:
        return ReembedReport(
            embedder_id=embedder_id,
            **self.counts,
            moved_from=dict(self.moved_from),
            is_complete=self.is_complete,
            is_dry_run=is_dry_run,
            seconds=seconds,
            stopped=self.stopped,
        )
