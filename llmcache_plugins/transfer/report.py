"""What came of a transfer: while it runs, and at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

from llmcache_plugins.types import JsonValue

__all__ = ["Damage", "Tally", "TransferProgress", "TransferReport"]

_SHOWN = 20  # damaged lines that are told one by one


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Where a transfer stands. `total` is about how many entries there are, None when nobody knows."""

    done: int
    total: int | None
    stored: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that could not be read: its number, from 1, and why. It quotes nothing."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """What a transfer did.

    Args:
        read: entries that were found where they come from.
        stored: entries that are now where they were to go; with `is_dry_run`, that would be.
        replaced: of these, in place of one that was there.
        vectors: of these, with their vector.
        kept: entries left out because there is a newer one already, or (`existing="keep"`) any.
        expired: entries left out because their time is over.
        outdated: entries left out because their namespace was emptied since; nobody finds them any more.
        elsewhere: entries left out because they are of another namespace.
        invalidated: entries left out because an invalidation selects them that came after they were exported.
        unreachable: entries left out because no look-up would find them: they are of another epoch of their namespace.
        refused: entries that the store did not keep, or that cannot be written: too large, or not made of JSON.
        evicted: entries that left meanwhile because the store was full.
        removed: entries that were stored and removed again: they were invalidated where they come from, meanwhile.
        invalidations: invalidations that came while the entries were read, and count where they went, too.
        damaged: lines, or stored entries, that could not be read.
        damage: the first 20 of these lines.
        is_complete: all was read up to the end. A file without its last line is not.
        seconds: how long it took.
        stopped: why it ended before its end; empty when it did not.
    """

    read: int = 0
    stored: int = 0
    replaced: int = 0
    vectors: int = 0
    kept: int = 0
    expired: int = 0
    outdated: int = 0
    elsewhere: int = 0
    invalidated: int = 0
    unreachable: int = 0
    refused: int = 0
    evicted: int = 0
    removed: int = 0
    invalidations: int = 0
    damaged: int = 0
    damage: tuple[Damage, ...] = ()
    is_complete: bool = False
    is_dry_run: bool = False
    seconds: float = 0.0
    stopped: str = ""

    @property
    def is_whole(self) -> bool:
        """Nothing was damaged, cut off, refused or stored in vain."""
        return self.is_complete and not (self.damaged or self.refused or self.unreachable or self.stopped)

    def as_json(self) -> dict[str, JsonValue]:
        """All of it, as JSON."""
        return {**asdict(self), "damage": [asdict(one) for one in self.damage], "is_whole": self.is_whole}

    def __str__(self) -> str:
        would = "would be " if self.is_dry_run else ""
        lines = [
            f"{self.stored:,} of {self.read:,} entries {would}stored, {self.vectors:,} of them with their vector, "
            f"in {self.seconds:.1f} s"
        ]
        lines += [f"{getattr(self, name):,} {said}" for name, said in _SAID.items() if getattr(self, name)]
        lines += [f"  line {one.line:,}: {one.reason}" for one in self.damage]
        if self.stopped:
            lines.append(f"stopped by: {self.stopped}")
        elif not self.is_complete:
            lines.append("the file ends before its end: what came before is stored, and the rest is missing")
        return "\n".join(lines)


_SAID = {
    "replaced": "in place of one that was there",
    "kept": "left out: what is there is as new, or is to be kept",
    "expired": "left out: their time is over",
    "outdated": "left out: their namespace was emptied since they were stored",
    "elsewhere": "left out: they are of another namespace",
    "invalidated": "left out: an invalidation since the export selects them",
    "unreachable": "left out: they are of another epoch of their namespace, and no look-up here would find them",
    "refused": "refused: too large for the store, or not made of JSON",
    "evicted": "evicted meanwhile: the store is full (max_entries, max_bytes)",
    "removed": "removed again: they were invalidated where they come from while they were read",
    "invalidations": "invalidations came meanwhile",
    "damaged": "damaged",
}


@dataclass(slots=True)
class Tally:
    """A report in the making. Both ends of a transfer count into one."""

    counts: Counter[str] = field(default_factory=Counter)
    damage: list[Damage] = field(default_factory=list)
    about: int | None = None
    is_complete: bool = False
    stopped: str = ""

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] += count

    def add_damage(self, line: int, reason: str) -> None:
        self.counts["damaged"] += 1
        if len(self.damage) < _SHOWN:
            self.damage.append(Damage(line, reason))

    @property
    def progress(self) -> TransferProgress:
        done = self.counts["read"]
        # A cache that is in use grows meanwhile.
        return TransferProgress(done, None if self.about is None else max(self.about, done), self.counts["stored"])

    def report(self, *, seconds: float, is_dry_run: bool = False) -> TransferReport:
        return TransferReport(
            **self.counts,
            damage=tuple(self.damage),
            is_complete=self.is_complete,
            is_dry_run=is_dry_run,
            seconds=seconds,
            stopped=self.stopped,
        )
