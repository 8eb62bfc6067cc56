"""Quantities: values in base units, the meanings of units of one letter, and who is whose partner in two texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal

from llmcache_plugins.matching.guards.units import LETTERS

__all__ = ["Quantity", "pair_alike", "quantity", "scale"]

_EXACT = Context(prec=80, traps=[])  # enough for 40 digits times any factor, so that no product is rounded
_STRICT = frozenset({"percent"})  # 5 and 5 % are never the same; 7000 and $7000 are in most questions


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in the base unit of its dimension ("" for a bare number), and the value as it was written.

    `is_designation`: the letter belongs to the name of a thing ("iPhone 6s"), so that the bare number is another.
    """

    value: Decimal | str
    dimension: str
    written: Decimal | str = field(compare=False)
    is_designation: bool = field(default=False, compare=False)

    def readings(self) -> list[tuple[Decimal | str, str]]:
        """Values and dimensions that it may stand for: several where the unit is a letter such as "m"."""
        if self.dimension not in LETTERS:
            return [(self.value, self.dimension)]
        return [(scale(self.value, factor), dimension) for dimension, factor in LETTERS[self.dimension]]

    def __str__(self) -> str:
        return f"{self.value} {self.dimension}".strip()


def scale(value: Decimal | str, factor: Decimal | int) -> Decimal | str:
    return value if isinstance(value, str) else _EXACT.multiply(value, Decimal(factor))


def quantity(value: Decimal | str, unit: tuple[str, Decimal] | None, is_designation: bool = False) -> Quantity:
    if unit is None:
        return Quantity(value, "", value)
    return Quantity(scale(value, unit[1]), unit[0], value, is_designation)


def pair_alike(mine: list[Quantity], theirs: list[Quantity]) -> tuple[list[Quantity], list[Quantity]]:
    """What has no partner that it may be: "5 m" and "5 minutes", a bare number and the same with a unit ("timeout 30").

    Which one is paired first decides in odd cases, so both sides are put in an order of their own.
    """
    if not mine or not theirs:
        return mine, theirs
    is_swapped = sorted(map(str, mine)) > sorted(map(str, theirs))
    one, other = (theirs, mine) if is_swapped else (mine, theirs)
    one, other = sorted(one, key=str), sorted(other, key=str)
    for keys, partners_keys in ((_meanings, _meanings), (_bare_values, _written), (_written, _bare_values)):
        one, other = _pair_by(one, other, keys, partners_keys)
    return (other, one) if is_swapped else (one, other)


_Keys = Callable[[Quantity], Iterable[object]]


def _pair_by(
    one: list[Quantity], other: list[Quantity], keys: _Keys, partners_keys: _Keys
) -> tuple[list[Quantity], list[Quantity]]:
    partners: dict[object, list[int]] = {}
    for index, item in enumerate(other):
        for key in partners_keys(item):
            partners.setdefault(key, []).append(index)
    taken: set[int] = set()
    unpaired: list[Quantity] = []
    for item in one:
        for key in keys(item):
            found = partners.get(key, [])
            while found and found[-1] in taken:
                found.pop()
            if found:
                taken.add(found.pop())
                break
        else:
            unpaired.append(item)
    return unpaired, [item for index, item in enumerate(other) if index not in taken]


def _meanings(item: Quantity) -> Iterable[object]:
    return item.readings()


def _bare_values(item: Quantity) -> Iterable[object]:
    """The values that it has as a bare number: those are partners of any unit."""
    if item.dimension == "times":
        return (item.written,)
    return [value for value, dimension in item.readings() if dimension == ""]


def _written(item: Quantity) -> Iterable[object]:
    return () if item.dimension in _STRICT or item.is_designation else (item.written,)
