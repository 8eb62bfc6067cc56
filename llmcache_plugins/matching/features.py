"""One parse of a text, shared by every guard: tokens by shape, and the flow of its words.

A token is what stands between spaces, without the punctuation around it, and has a kind that its shape alone decides.
What a kind means is the guards' business. Every pattern runs on pieces of at most `_LONGEST_PIECE` characters, so that
the time is linear in the text whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

__all__ = ["Features", "Token", "features_of"]

T = TypeVar("T")

_LONGEST_PIECE = 256  # a longer piece without a space is a name, compared as a whole
_LONGEST_CACHED = 20_000
_SHORT = 2_000  # texts up to here have the large cache: parsed tokens take about 100 times the room of their text


class Token(NamedTuple):
    """A piece of the text: as written, in lower case, and what its shape is.

    Kinds: word, number, measure (a number with letters or a sign at its end), clock, date, version, ip, mac, prefix
    ("/24"), slashed ("1/0/1"), name (any other identifier), exact (an identifier whose case counts), operator.
    """

    text: str
    lower: str
    kind: str


class Features:
    """A parsed text. `get` keeps what a guard made of it, so that no extraction runs twice on one text.

    Args:
        text: as given.
        tokens: in order, marks not included.
        words: the flow: words, numbers and names in lower case, and the marks "," and "." (the end of a clause or
            sentence; "?" for a question) between them.
    """

    __slots__ = ("_memo", "text", "tokens", "words")

    def __init__(self, text: str, tokens: tuple[Token, ...], words: tuple[str, ...]) -> None:
        self.text = text
        self.tokens = tokens
        self.words = words
        self._memo: dict[Callable[[Features], Any], Any] = {}

    def get(self, extract: Callable[[Features], T]) -> T:
        """`extract(self)`, computed once. Two threads may both compute it; either result is right."""
        memo: dict[Callable[[Features], T], T] = self._memo
        if (
            extract in memo
        ):  # no KeyError to catch: with thirty extractions, raising would take longer than most of them
            return memo[extract]
        value = memo[extract] = extract(self)
        return value


def features_of(text: str) -> Features:
    """The parse of `text`; the last 4096 short and 64 longer texts are remembered, those over 20,000 characters not."""
    if len(text) <= _SHORT:
        return _parse_short(text)
    return _parse_long(text) if len(text) <= _LONGEST_CACHED else _parse(text)


_WIDE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_BESIDE_WIDE = re.compile(f"([{_WIDE}]+)")  # scripts without spaces: a number beside them is a token of its own
_PLAIN = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ", 0x3001: ", ", 0x3002: ". ", 0xA0: " ", 0x202F: " ", 0x2009: " ",
    0x2018: "'", 0x2019: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"', 0x201E: '"', 0xAB: '"', 0xBB: '"',
    0x300C: '"', 0x300D: '"', 0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-", 0x2014: " - ", 0x2212: "-",
    0x2026: "... ", 0xBF: " ", 0xA1: " ", 0x03BC: "\u00b5", 0x200B: None, 0x200C: None, 0x200D: None,
    0x2060: None, 0xFEFF: None, 0xAD: None,
}  # fmt: skip

_LEADING = "([{<\"'`*,;:!?\u00b7\u2022"
_TRAILING = ".,;:!?)]}>\"'`*"
_LETTER = r"[^\W\d_]"
_ENGLISH_BEFORE_NUMBER = (
    "top|mid|pre|post|sub|under|over|non|multi|half|near|late|early|all|per|and|or|than|of|in|to|a|the"
)

# The first pattern that fits the whole piece decides. Order matters: a date also looks like a number range, an address
# like a version.
_SHAPES = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("number", r"[-+]?[$€£¥₹]?-?(?:\d{1,3}(?:,\d{2,3})+|\d+)(?:\.\d+)?|[-+]?[$€£¥₹]?\.\d+"),
        ("clock", r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?(?:[ap]\.?m)?|(?:0?\d|1[0-2])[ap]\.?m"),
        ("measure", r"[-+]?(?:\d{1,3}(?:,\d{2,3})+|\d+)(?:\.\d+)?"
                    r"(?:e[-+]?\d{1,3}|[a-zµ°]{1,14}(?:/[a-z]{1,6})?|°?%|\"|[€£¥₹$])"),
        ("date", r"\d{4}-\d{1,2}-\d{1,2}(?:t[\d:.]+(?:z|[-+]\d\d:?\d\d)?)?"
                 r"|\d{4}-(?:0[1-9]|1[0-2])|\d{4}/\d{1,2}/\d{1,2}"
                 r"|\d{1,2}([/.-])\d{1,2}\1\d{4}"),
        ("mac", r"[\da-f]{2}([:-])[\da-f]{2}(?:\1[\da-f]{2}){4}|[\da-f]{4}\.[\da-f]{4}\.[\da-f]{4}"
                r"|(?=\d*[a-f])(?=[a-f]*\d)[\da-f]{12}"),
        ("ip", r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?"
               r"|(?=[^:]*:[^:]*:)[\da-f:]+(?:\.\d+){0,3}(?:/\d{1,3})?"),
        ("prefix", r"/\d{1,3}"),
        ("slashed", r"\d+(?:/\d+)+(?:\.\d+)?"),
        ("version", r"v\d+(?:\.\w+)*(?:-[\w.]+)?|\d+(?:\.\d+){2,}(?:[-+.][\w.-]+|\w+)?|\d+(?:\.\d+)+\(\w+\)[\w.]*"
                    r"|\d+\.\d+-?[a-z]+\d[\w.-]*|\d+\.\d+(?:\.\w+)*-(?:alpha|beta|rc|dev|snapshot|lts)[\w.]*"),
    )
)  # fmt: skip
_VERSIONED = re.compile(
    r"((?-i:[A-Z]{2,})|ip|snmp|ssh|nfs|ospf|tls|ssl|smb|igmp|mld|rip|http|dhcp|icmp|vrrp|hsrp|ntp|glbp|api)"
    r"(v\d+(?:\.\d+)*)s?",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"[a-z][a-z\d+.-]*://\S+|www\.\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # URL, e-mail
    r"|#\w[\w-]*|[a-z](?:\+\+|\#)"  # ticket, language
    r"|(?=[^\d]*\d)[a-z][\w-]*(?:/\d+)+(?:[.:]\d+)*"  # interface
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[\da-f]+",
    re.IGNORECASE,
)
_EXACT = re.compile(
    r"--[A-Za-z][\w-]*|-[A-Za-z]{1,2}|\+?%[A-Za-z]|[$@][A-Za-z_]\w*"  # options, formats, variables
    r"|(?:~|\.{1,2})?/[\w.~*+@%-]+(?:/[\w.~*+@%-]*)*|[A-Za-z]:\\[^\s]*|[\w.-]+(?:\\[\w.$-]+)+"  # paths
    r"|[\w.-]+/(?:[\w.*-]+/)+[\w.*-]*|[\w-]+/[\w-]+\.\w{1,5}"
)
_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_UNDERSCORED = re.compile(r"\w*_\w*(?:[.-]\w+)*")
_EXTENSION = re.compile(r"\.[A-Za-z]\w*")
_MIXED = re.compile(rf"{_LETTER}[\w-]*\d[\w-]*|\d+{_LETTER}\w*(?:-\w+)*\d\w*")
_HYPHENED = re.compile(rf"{_LETTER}+(?:['-]{_LETTER}+)+")
_ENGLISH_NUMBER = re.compile(rf"(?:{_ENGLISH_BEFORE_NUMBER})-[$€£]?\d.*", re.IGNORECASE)
_INITIALS = re.compile(rf"{_LETTER}(?:\.{_LETTER})+")
_GLUED = re.compile(r"([^\W\d_]{2,}|\d+)\.([A-Z][^\W\d_]*)")
_APOSTROPHE = re.compile(rf"{_LETTER}+'{_LETTER}*")
_PIECES = re.compile(r"[^\W_]+(?:[.,']\w+)*%?|[$€£¥₹]?\d+(?:[.,]\d+)*%?|\w+")
_PER = re.compile(r"[kmgt]?(?:bits?|bytes?|b)/(?:s|sec)|(?:k?m|mi|ft)/(?:s|sec|h)", re.IGNORECASE)  # "Mb/s", "km/h"
_OPERATORS = frozenset(
    {"&&", "||", "=", "==", "===", "!=", "!==", "<>", "<", ">", "<=", ">=", "<<", ">>", "->", "=>", ":="}
)
_NAMES_WITH_DIGITS = {"covid-19": "covid", "covid19": "covid"}  # people write them with and without their number


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> Features:
    return _parse(text)


@lru_cache(maxsize=64)
def _parse_long(text: str) -> Features:
    return _parse(text)


def _parse(text: str) -> Features:
    plain = text if text.isascii() else _BESIDE_WIDE.sub(r" \1 ", text.translate(_PLAIN))
    tokens: list[Token] = []
    words: list[str] = []
    for chunk in plain.split():
        if chunk.isalpha():
            lower = chunk.lower()
            tokens.append(Token(chunk, lower, "word"))
            words.append(lower)
        else:
            _read_chunk(chunk, tokens, words)
    return Features(text, tuple(tokens), tuple(words))


def _read_chunk(chunk: str, tokens: list[Token], words: list[str]) -> None:
    if chunk in _OPERATORS:
        tokens.append(Token(chunk, chunk, "operator"))
        return
    core = chunk.strip(_LEADING).rstrip(_TRAILING)
    if core and chunk.count("(") and "(" in core and ")" not in core[core.index("(") :]:
        core += ")"  # "15.2(4)" ends in a bracket of its own
    if core:
        _read_core(core, tokens, words)
    mark = chunk[-1]
    if mark in "?!.;:,":
        words.append("," if mark == "," else "?" if mark == "?" else ".")
    elif chunk[-1] in "\"')`" and len(chunk) > 1 and chunk[-2] in "?!.,":
        words.append("," if chunk[-2] == "," else "?" if chunk[-2] == "?" else ".")


def _read_core(core: str, tokens: list[Token], words: list[str]) -> None:
    if core.endswith("'s") and not core[:-2].isalpha():
        core = f"{core[:-2]}s" if core[:-2].isdigit() else core[:-2]  # "1990's", "rtr-001's"
    lower = core.lower()
    if core.isalpha():
        kind = "word"
    elif len(core) > _LONGEST_PIECE:
        kind = "exact"
    elif lower in _NAMES_WITH_DIGITS:
        lower, kind = _NAMES_WITH_DIGITS[lower], "word"
    elif _APOSTROPHE.fullmatch(core):
        lower, kind = lower.removesuffix("'s"), "word"
    elif _HYPHENED.fullmatch(core):
        tokens.append(Token(core, lower, "word"))
        words.extend(part.removesuffix("'s") for part in lower.split("-"))
        return
    else:
        kind = _kind_of(core)
    if kind == "split":
        _split(core, tokens, words)
        return
    tokens.append(Token(core, lower, kind))
    words.append(lower)


def _kind_of(core: str) -> str:
    if (
        "0" <= core[0] <= "9"
        or core[0] in "+-$€£¥₹./vV"
        or ":" in core
        or "." in core
        or core[0].isdigit()
        or len(core) > 11
    ):
        for kind, pattern in _SHAPES:
            if pattern.fullmatch(core):
                return kind
    if "/" in core and _PER.fullmatch(core):
        return "word"
    if _VERSIONED.fullmatch(core) or _ENGLISH_NUMBER.fullmatch(core):
        return "split"
    if _NAME.fullmatch(core):
        return "name"
    if _EXACT.fullmatch(core):
        return "exact"
    if _DOTTED.fullmatch(core):
        return "split" if _INITIALS.fullmatch(core) or _GLUED.fullmatch(core) or _is_decimal_compound(core) else "name"
    if _UNDERSCORED.fullmatch(core) or _EXTENSION.fullmatch(core) or _MIXED.fullmatch(core):
        return "name" if core.strip("_") else "split"
    return "split"


def _is_decimal_compound(core: str) -> bool:
    return core[0].isdigit() and "-" in core  # "1.5-inch", "2.5-3.5"


def _split(core: str, tokens: list[Token], words: list[str]) -> None:
    """Read the parts of a piece that is no shape by itself: "47-year-old", "10-20", "id=5", "and/or", "IPv6"."""
    if versioned := _VERSIONED.fullmatch(core):
        parts: list[str] = [versioned.group(1), versioned.group(2)]
    elif _INITIALS.fullmatch(core):
        parts = [core.replace(".", "")]
    else:
        parts = _PIECES.findall(core.replace(".", " ") if _GLUED.fullmatch(core) else core)
        operators = [found for found in re.findall(r"[&|=!<>:-]{2,3}|[=<>]", core) if found in _OPERATORS]
        tokens.extend(Token(operator, operator, "operator") for operator in operators)
    for part in parts:
        kind = "word" if part.isalpha() else _kind_of(part)
        lower = part.lower()
        if kind == "word":
            pass
        elif kind == "split":
            kind = "word" if _APOSTROPHE.fullmatch(part) else "name"
            lower = lower.removesuffix("'s")
        tokens.append(Token(part, lower, kind))
        words.append(lower)
