"""A fault, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "Run", "Trial"]


@dataclass
class Outcome:
    """Counts of one trial.

    Args:
        tried: how often the fault was made.
        lost: answers that a store had confirmed and that were gone afterwards.
        wrong: answers that were served and are those of nobody, of another question, or from before an invalidation.
        raised: exceptions that the application saw.
        told: what else is worth saying: counts by name, `asked the model` for example.
    """

    tried: int = 0
    lost: int = 0
    wrong: int = 0
    raised: int = 0
    told: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.wrong or self.raised)

    def tell(self, name: str, number: int = 1) -> None:
        """Count something."""
        self.told[name] = self.told.get(name, 0) + number

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Run = Callable[[int, Path], Iterator[Outcome]]
"""Given how often, and an empty folder; gives the outcome so far after each try."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of fault.

    Args:
        name: for the table.
        what: what is done, in a sentence.
        times: how often by default.
    """

    name: str
    what: str
    times: int
    run: Run
