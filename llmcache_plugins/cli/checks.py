"""What the doctor finds: one value for each thing that was looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what.
        says: what was found.
        remedy: what to do about it; empty when there is nothing to do.
        is_ok: False when something that is there does not work. What is merely not installed is no failure.
    """

    name: str
    says: str
    remedy: str = ""
    is_ok: bool = True

    def __str__(self) -> str:
        return f"{self.name:24}{self.says}{': ' if self.remedy else ''}{self.remedy}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
