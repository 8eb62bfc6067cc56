"""Shapes of questions: what is asked for, and the many forms that ask for it.

A shape has patterns that find its parts in a question, and forms that put the same parts into other words. Whichever
form a question has, each other form of its shape keeps the answer. Most are in `wordlists/shapes.txt`; here are those
that come in series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SHAPES", "WORDLISTS", "Shape"]

WORDLISTS = Path(__file__).parent / "wordlists"

_ATTRIBUTES = (
    "capital|population|price|cost|meaning|purpose|size|height|length|width|depth|weight|age|area|speed|temperature|"
    "history|origin|definition|function|role|structure|formula|value|salary|name|nickname|title|author|director|"
    "founder|ceo|president|prime minister|owner|population density|currency|national anthem|flag|status|location|"
    "address|phone number|email|release date|date|birthday|expiry date|boiling point|melting point|density|mass|volume|"
    "market share|market cap|revenue|net worth|gdp|official language|main language|life expectancy|lifespan|time zone|"
    "default gateway|mtu|ip address|mac address|serial number|uptime|subnet mask|version|model|bandwidth|hostname|"
    "distance|color|colour|symbol|atomic number|chemical formula|chemical symbol|importance|significance|"
    "main idea|theme|plot|setting|moral|climate|religion|dosage|mechanism|ranking|acceptance rate|tuition"
)
_MANY = (
    "advantages|disadvantages|benefits|drawbacks|symptoms|causes|side effects|effects|uses|applications|features|"
    "properties|characteristics|types|examples|members|names|risks|dangers|requirements|parts|components|layers|"
    "stages|phases|principles|limitations|functions|consequences|laws|rules|prices|salaries|capitals|populations"
)
_NO_VERB = (
    r"(?:not|in|on|at|of|from|with|who|that|which|like|and|or|so|even|all|for|to|as|do|does|by|than|under|over|am|is|"
    r"are|was|were|have to|just|only|can|can't|\w+ly|\w+ed|\w+ing|\w+en|always|never|often|still|sometimes|usually|"
    r"i|we)\b"
)
_PIECES = {
    "<I>": r"(?P<who>i|we|you|one|people|someone|somebody|anyone)",
    "<AB>": r"(?P<a>[^,]+?) (?:and|vs\.?|versus) (?P<b>[^,]+?)(?P<tail> in [^,]+)?",
    "<OR>": r"(?P<a>[^,?]+?),? or (?P<b>[^,?]+)",
    "<ATTRIBUTES>": _ATTRIBUTES,
    "<MANY>": _MANY,
    "<NOVERB>": _NO_VERB,
}
_ADJECTIVES = {
    "tall": "height", "high": "height", "long": "length", "wide": "width", "deep": "depth", "heavy": "weight",
    "old": "age", "fast": "speed", "big": "size", "large": "size",
}  # fmt: skip
_MAKERS = {
    "wrote": ("written", "author"), "invented": ("invented", "inventor"), "founded": ("founded", "founder"),
    "directed": ("directed", "director"), "painted": ("painted", "painter"), "discovered": ("discovered", "discoverer"),
    "composed": ("composed", "composer"), "designed": ("designed", "designer"), "created": ("created", "creator"),
    "built": ("built", "builder"), "developed": ("developed", "developer"), "produced": ("produced", "producer"),
    "owns": ("owned", "owner"), "hosts": ("hosted", "host"), "manufactures": ("manufactured", "manufacturer"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """Patterns (any of them matches the whole sentence) and forms, with {parts} named as in the patterns.

    Parts: `vp` begins with a verb in its base form, `np` and `x` are things, `a` and `b` may be exchanged, `s` is a
    clause. `ving` is made from `vp`, `xs` ("the car's") from `x`.
    """

    name: str
    patterns: tuple[re.Pattern[str], ...]
    forms: tuple[str, ...]
    is_symmetric: bool = False


def _shape(name: str, patterns: list[str], forms: list[str], is_symmetric: bool = False) -> Shape:
    compiled = []
    for pattern in patterns:
        for name_of_piece, piece in _PIECES.items():
            pattern = pattern.replace(name_of_piece, piece)
        compiled.append(re.compile(pattern + "$", re.IGNORECASE))
    return Shape(name, tuple(compiled), tuple(forms), is_symmetric)


def _listed() -> Iterator[Shape]:
    for block in (WORDLISTS / "shapes.txt").read_text(encoding="utf-8").split("\n["):
        head, *lines = block.splitlines()
        if head.startswith("#"):
            continue
        patterns = [line[2:] for line in lines if line.startswith("? ")]
        forms = [line[2:] for line in lines if line.startswith("- ")]
        yield _shape(head.split("]")[0], patterns, forms, head.endswith("*"))


def _measures() -> Iterator[Shape]:
    for adjective, noun in _ADJECTIVES.items():
        yield _shape(
            f"how {adjective}",
            [
                rf"how {adjective} (?:is|are) (?P<x>(?!it\b|too|enough|your?\b|this|that)(?:(?! good| for )[^,?])+)",
                rf"(?:what is|what's) the {noun} of (?P<x>[^,?]+)",
            ],
            [
                f"how {adjective} is {{x}}?", f"what is the {noun} of {{x}}?", f"what's {{xs}} {noun}?",
                f"{noun} of {{x}}",
                f"tell me the {noun} of {{x}}", f"what {noun} does {{x}} have?", f"{{x}}: how {adjective} is it?",
            ],
        )  # fmt: skip


def _makers() -> Iterator[Shape]:
    for verb, (participle, noun) in _MAKERS.items():
        be = "is" if verb.endswith("s") else "was"
        yield _shape(
            f"who {verb}",
            [
                rf"who {verb} (?P<x>(?!about|to|that|of)[^,?]+)",
                rf"who (?:is|was) the {noun} of (?P<x>[^,?]+)",
                rf"(?:by whom|by who) (?:was|is) (?P<x>[^,?]+) {participle}",
            ],
            [
                f"who {verb} {{x}}?", f"who {be} the {noun} of {{x}}?", f"{{x}} {be} {participle} by whom?",
                f"{noun} of {{x}}", f"by whom {be} {{x}} {participle}?", f"tell me who {verb} {{x}}", f"{{xs}} {noun}?",
                f"do you know who {verb} {{x}}?", f"what is the name of the {noun} of {{x}}?",
                f"name the person who {verb} {{x}}",
            ],
        )  # fmt: skip


SHAPES = (*_makers(), *_listed(), *_measures())
