"""Exact queries in ordinary words, made from what they mean: one changed part is another question.

People who ask a database, an inventory or a monitoring system mean every word: the subject, what of it, which of them,
in what order. A meaning here is a small record; frames put it into words. Two wordings of one meaning are a pair with
label 1, wordings of two meanings that differ in one part a pair with label 0.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

__all__ = ["queries"]


class _Domain(NamedTuple):
    subject: tuple[str, str]  # singular, plural
    others: tuple[str, ...]  # plural nouns that belong to the subject
    attributes: tuple[str, ...]
    conditions: tuple[tuple[str, ...], ...]  # each a set of wordings of one condition


_DOMAINS = (
    _Domain(
        ("interface", "interfaces"),
        ("neighbors", "routers", "vlans"),
        ("mtu", "bandwidth", "error count", "load"),
        (
            ("that are down", "which are down"),
            ("with an address", "that have an address"),
            ("on the core router", "of the core router"),
            ("with errors", "that have errors"),
            ("in the guest vlan", "of the guest vlan"),
            ("that were shut manually", "which somebody shut manually"),
        ),
    ),
    _Domain(
        ("employee", "employees"),
        ("managers", "departments", "projects"),
        ("salary", "age", "start date", "desk"),
        (
            ("in sales", "of the sales department"),
            ("who work remotely", "working remotely"),
            ("on parental leave", "who are on parental leave"),
            ("with a company car", "who have a company car"),
            ("in the head office", "of the head office"),
            ("hired last year", "who were hired last year"),
        ),
    ),
    _Domain(
        ("order", "orders"),
        ("customers", "items", "invoices"),
        ("total", "weight", "delivery date", "status"),
        (
            ("that are late", "which are late"),
            ("from returning customers", "by returning customers"),
            ("paid by card", "that were paid by card"),
            ("with a discount", "that got a discount"),
            ("shipped abroad", "that were shipped abroad"),
        ),
    ),
    _Domain(
        ("movie", "movies"),
        ("actors", "directors", "awards"),
        ("budget", "rating", "running time", "box office"),
        (
            ("by the same director", "of the same director"),
            ("based on a novel", "that are based on a novel"),
            ("for children", "suitable for children"),
            ("in black and white", "shot in black and white"),
            ("with subtitles", "that have subtitles"),
        ),
    ),
    _Domain(
        ("server", "servers"),
        ("services", "owners", "disks"),
        ("uptime", "memory", "price", "temperature"),
        (
            ("in the second data center", "of the second data center"),
            ("without backups", "that have no backups"),
            ("running the old kernel", "that run the old kernel"),
            ("used for testing", "that are used for testing"),
            ("under maintenance", "that are under maintenance"),
        ),
    ),
    _Domain(
        ("patient", "patients"),
        ("doctors", "rooms", "operations"),
        ("age", "blood pressure", "length of stay"),
        (
            ("with diabetes", "who have diabetes"),
            ("in intensive care", "who are in intensive care"),
            ("over the age limit", "who are over the age limit"),
            ("waiting for a transplant", "who wait for a transplant"),
        ),
    ),
    _Domain(
        ("book", "books"),
        ("authors", "publishers", "chapters"),
        ("price", "number of pages", "year", "rank"),
        (
            ("about gardening", "on gardening"),
            ("in hardcover", "that come in hardcover"),
            ("out of print", "that are out of print"),
            ("for beginners", "written for beginners"),
            ("with illustrations", "that have illustrations"),
        ),
    ),
    _Domain(
        ("train", "trains"),
        ("stations", "drivers", "passengers"),
        ("speed", "delay", "capacity", "departure time"),
        (
            ("that run at night", "which run at night"),
            ("with a dining car", "that have a dining car"),
            ("on the coast line", "of the coast line"),
            ("with free seats", "that still have free seats"),
            ("without stops", "that do not stop"),
        ),
    ),
    _Domain(
        ("player", "players"),
        ("teams", "goals", "coaches"),
        ("height", "salary", "number of goals", "age"),
        (
            ("in the first league", "of the first league"),
            ("who are injured", "with an injury"),
            ("from abroad", "who come from abroad"),
            ("on loan", "who are on loan"),
        ),
    ),
    _Domain(
        ("ticket", "tickets"),
        ("agents", "comments", "products"),
        ("priority", "age", "response time"),
        (
            ("that are open", "which are open"),
            ("without an owner", "that nobody owns"),
            ("about billing", "concerning billing"),
            ("reopened by the customer", "that the customer reopened"),
            ("escalated this week", "that were escalated this week"),
        ),
    ),
)
_FRAMES: dict[str, tuple[str, ...]] = {
    "list": (
        "list all {many}",
        "show me the {many}",
        "what are the {many}",
        "which {many} are there",
        "give me every {one}",
        "show all {many}",
        "can you list the {many}",
        "i need a list of the {many}",
    ),
    "count": (
        "how many {many} are there",
        "what is the number of {many}",
        "count the {many}",
        "tell me how many {many} we have",
        "give me the number of {many}",
    ),
    "attribute": (
        "what is the {of} of the {many}",
        "show the {of} of the {many}",
        "{of} of the {many}",
        "list the {of} for all {many}",
        "tell me the {of} of the {many}",
    ),
    "most": (
        "which {one} has the highest {of}",
        "what is the {one} with the highest {of}",
        "show the {one} with the highest {of}",
        "{one} with the highest {of}",
    ),
    "most of": (
        "what is the highest {of} of the {many}",
        "how high is the highest {of} among the {many}",
        "show me the highest {of} of all {many}",
    ),
    "average": (
        "what is the average {of} of the {many}",
        "average {of} of the {many}",
        "tell me the average {of} of the {many}",
    ),
    "other": (
        "which {other} belong to the {many}",
        "list the {other} of the {many}",
        "what {other} do the {many} have",
        "show the {other} of the {many}",
    ),
    "having": ("which {many} have {other}", "list the {many} that have {other}", "show me the {many} with {other}"),
    "most other": (
        "which {one} has the most {other}",
        "what {one} has the most {other}",
        "show the {one} with the most {other}",
    ),
}


@dataclass(frozen=True, slots=True)
class _Meaning:
    domain: int
    ask: str
    of: int
    other: int
    conditions: frozenset[int]


def queries(count: int, seed: int) -> Iterator[tuple[str, str, bool, str]]:
    """`count` times (query, another one, whether they mean the same, what was changed)."""
    chance = random.Random(seed)
    for _ in range(count):
        meaning = _any_meaning(chance)
        if chance.random() < 0.4:
            first, second = _words(meaning, chance), _words(meaning, chance)
            if first != second:
                yield first, second, True, "same"
            continue
        change = chance.choice(["ask", "of", "other", "added", "removed", "replaced"])
        changed = _changed(meaning, change, chance)
        first, second = _words(meaning, chance), _words(changed, chance)
        if _essence(meaning) != _essence(changed):
            yield first, second, False, change


def _any_meaning(chance: random.Random) -> _Meaning:
    number = chance.randrange(len(_DOMAINS))
    domain = _DOMAINS[number]
    conditions = chance.sample(range(len(domain.conditions)), chance.choice([0, 1, 1, 2]))
    return _Meaning(
        number,
        chance.choice(list(_FRAMES)),
        chance.randrange(len(domain.attributes)),
        chance.randrange(len(domain.others)),
        frozenset(conditions),
    )


def _changed(meaning: _Meaning, change: str, chance: random.Random) -> _Meaning:
    domain = _DOMAINS[meaning.domain]
    free = sorted(set(range(len(domain.conditions))) - meaning.conditions)
    kept = sorted(meaning.conditions)
    if change == "ask":
        return replace(meaning, ask=chance.choice(list(_FRAMES)))
    if change == "of":
        return replace(meaning, of=chance.randrange(len(domain.attributes)))
    if change == "other":
        return replace(meaning, other=chance.randrange(len(domain.others)))
    if change == "removed" or not free:
        return replace(meaning, conditions=frozenset(kept[1:]))
    if change == "replaced" and kept:
        return replace(meaning, conditions=frozenset([*kept[1:], chance.choice(free)]))
    return replace(meaning, conditions=frozenset([*kept, chance.choice(free)]))


def _essence(meaning: _Meaning) -> tuple[object, ...]:
    """What of a meaning its words can show: not every frame speaks of an attribute or of another thing."""
    frames = " ".join(_FRAMES[meaning.ask])
    return (
        meaning.domain,
        meaning.ask,
        meaning.of if "{of}" in frames else None,
        meaning.other if "{other}" in frames else None,
        meaning.conditions,
    )


def _words(meaning: _Meaning, chance: random.Random) -> str:
    domain = _DOMAINS[meaning.domain]
    conditions = [chance.choice(domain.conditions[number]) for number in meaning.conditions]
    chance.shuffle(conditions)
    behind = " ".join(["", *conditions])
    one, many = domain.subject
    frame = chance.choice(_FRAMES[meaning.ask])
    of, other = domain.attributes[meaning.of], domain.others[meaning.other]
    text = frame.format(one=one + behind, many=many + behind, of=of, other=other)
    return text + chance.choice(["", "", "?", " please"])
