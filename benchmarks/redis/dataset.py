"""Made questions, rewordings and answers. All of it the same in every run."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

__all__ = ["ANSWER_BYTES", "answer", "question", "rewordings"]

ANSWER_BYTES = 800
_ACTIONS = (
    ("change", "changing"),
    ("delete", "deleting"),
    ("export", "exporting"),
    ("restore", "restoring"),
    ("rename", "renaming"),
    ("share", "sharing"),
    ("encrypt", "encrypting"),
    ("archive", "archiving"),
    ("migrate", "migrating"),
    ("schedule", "scheduling"),
    ("monitor", "monitoring"),
    ("compress", "compressing"),
)
_OBJECTS = (
    *("invoice", "password", "calendar", "backup", "dashboard", "database", "certificate", "mailbox", "playlist"),
    *("spreadsheet", "contract", "photo album", "firewall rule", "shipping label", "survey", "voice message"),
    *("newsletter", "subscription", "payment method", "news feed", "chat history", "task list", "time sheet"),
    *("virtual machine", "load balancer", "address book", "video call", "web form", "tax report", "user profile"),
)
_PLACES = (
    *("warehouse", "hospital", "library", "bakery", "airport", "school", "hotel", "museum", "law firm", "farm"),
    *("bank", "theatre", "pharmacy", "brewery", "gym", "shipyard", "newspaper", "power plant", "laboratory", "zoo"),
)
_DEVICES = (
    *("an Android phone", "a Windows laptop", "an old tablet", "a shared printer", "a Linux server", "a smart watch"),
    *("a web browser", "a mainframe", "a cash register", "a game console", "a router", "a projector", "an e-reader"),
    *("a car radio",),
)
_OPENINGS = ("", "Hello, ", "Hi there, ", "Please tell me: ", "Quick question: ", "Excuse me, ", "One more thing: ")
_ASKINGS = (
    "how can I {do} the {what} of a {place} on {device}?",
    "what is the way to {do} the {what} of a {place} on {device}?",
    "how does one {do} the {what} of a {place} on {device}?",
    "how would I go about {doing} the {what} of a {place} on {device}?",
    "what are the steps to {do} the {what} of a {place} on {device}?",
    "how should I {do} the {what} of a {place} on {device}?",
)
_CLOSINGS = ("", " Thanks!", " Thank you very much.", " I appreciate the help.", " Thanks in advance!")
_WORDS = (
    *(
        "open",
        "select",
        "confirm",
        "menu",
        "settings",
        "account",
        "choose",
        "the",
        "your",
        "a",
        "then",
        "wait",
        "until",
    ),
    *("page", "shows", "message", "before", "again", "service", "administrator", "permission", "list", "entry"),
    *("button", "window", "network", "address", "answer", "because", "usually", "careful", "storage", "minute"),
    *("needed", "optional", "field", "value", "current", "previous", "version", "with", "without", "for", "into"),
)


def question(number: int) -> str:
    """Up to 100,800 different ones; neighbours in number differ in every part."""
    return f"How do I {_fill('{do} the {what} of a {place} on {device}', number)}?"


def _fill(pattern: str, number: int) -> str:
    # A step without a common divisor visits every combination once.
    place = number * 7919 % (len(_ACTIONS) * len(_OBJECTS) * len(_PLACES) * len(_DEVICES))
    place, action = divmod(place, len(_ACTIONS))
    place, what = divmod(place, len(_OBJECTS))
    device, where = divmod(place, len(_PLACES))
    do, doing = _ACTIONS[action]
    return pattern.format(do=do, doing=doing, what=_OBJECTS[what], place=_PLACES[where], device=_DEVICES[device])


def rewordings(entries: int, *, seed: int = 11) -> Iterator[tuple[int, str]]:
    """Number of a stored question and another wording of it, none of them twice."""
    forms = list(itertools.product(_OPENINGS, _ASKINGS, _CLOSINGS))
    chosen = random.Random(seed)
    chosen.shuffle(forms)
    for opening, asking, closing in forms:
        numbers = list(range(entries))
        chosen.shuffle(numbers)
        for number in numbers:
            text = f"{opening}{_fill(asking, number)}{closing}"
            yield number, text if opening else text[0].upper() + text[1:]


def answer(number: int) -> str:
    """About `ANSWER_BYTES` of text."""
    chosen = random.Random(number)
    sentences: list[str] = []
    while sum(map(len, sentences)) + len(sentences) < ANSWER_BYTES - 40:
        words = chosen.choices(_WORDS, k=chosen.randint(8, 14))
        sentences.append(f"{' '.join(words).capitalize()}.")
    return " ".join(sentences)
