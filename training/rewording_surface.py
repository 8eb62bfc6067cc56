"""Edits of the surface that keep the answer: order, little words, numbers, marks, letters, courtesy, slips."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from rewording_forms import capitalised
from rewording_grammar import decapitalised, embedded, sentences, split_end, starts_question
from rewording_words import SISTERS

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["LATE", "WRAPS", "Edit", "fronted", "keywords", "numbered", "relative", "renamed", "wrapped"]

Edit = Callable[[str, random.Random], str | None]

_OPENERS = (
    "quick question: ", "hi, ", "hello, ", "hey, ", "hi there! ", "good morning, ", "good evening, ", "hello! ",
    "sorry to bother you, ", "one more question: ", "just curious: ", "just wondering: ", "ok so ", "so, ", "um, ",
    "my boss asks: ", "my boss wants to know: ", "a friend asked me: ", "my wife asks me: ", "question: ",
    "hey there, ",
    "i have a question. ", "i have a quick question: ", "maybe a silly question: ", "i was just wondering, ", "now, ",
    "asking for a friend: ", "i'm new here. ", "sorry if this was asked before. ", "i searched but found nothing. ",
    "hope you're having a good day. ", "i need this for a report. ", "for a colleague of mine: ", "well, ",
    "basically, ",
    "i've always wondered: ", "this may sound odd, but ", "i keep asking myself: ", "out of curiosity, ", "okay, ",
    "i'm preparing a talk. ", "my friend and i were arguing about this. ", "long time reader here. ",
    "honest question: ",
)  # fmt: skip
_CLOSERS = (
    " thanks", " thanks!", " thank you", " thanks in advance", " thank you in advance", " please help",
    " please advise",
    " any help is appreciated", " cheers", " thx", " please", " i'd appreciate any help", " many thanks",
    " let me know",
)  # fmt: skip
_ASKING = (
    "do you know ", "can you tell me ", "could you tell me ", "i want to know ", "i'd like to know ",
    "i would like to know ",
    "tell me ", "please tell me ", "does anyone know ", "any idea ", "i was wondering ", "i wonder ", "would you know ",
    "i'm trying to find out ", "can someone tell me ", "may i ask ", "could you please tell me ", "i need to know ",
    "i can't figure out ", "do you happen to know ", "would you mind telling me ", "i'm curious ",
    "please let me know ",
    "i am interested in knowing ", "is it known ", "i have no idea ", "can anyone tell me ", "i forgot ",
)  # fmt: skip
_OPENS_QUESTION = words_of("do does can could would is any may")
_SHORT = (
    ("what is", "what's"), ("who is", "who's"), ("where is", "where's"), ("how is", "how's"), ("i am", "i'm"),
    ("it is", "it's"), ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("cannot", "can't"),
    ("can not", "can't"), ("i have", "i've"), ("i would", "i'd"), ("should not", "shouldn't"), ("is not", "isn't"),
    ("are not", "aren't"), ("was not", "wasn't"), ("will not", "won't"), ("you are", "you're"), ("they are", "they're"),
    ("that is", "that's"), ("have not", "haven't"), ("has not", "hasn't"), ("would not", "wouldn't"),
)  # fmt: skip
_SPOKEN = (
    ("going to", "gonna"), ("want to", "wanna"), ("because", "cuz"), ("please", "plz"), ("you", "u"), ("are", "r"),
    ("thanks", "thx"), ("people", "ppl"), ("your", "ur"), ("without", "w/o"), ("and", "&"), ("with", "w/"), ("to", "2"),
    ("between", "btw."), ("for", "4"), ("what", "wat"), ("something", "sth"),
)[:12]  # fmt: skip
_SMALL_NUMBERS = dict(
    zip(
        map(str, range(2, 13)),
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        strict=True,
    )
)
_FROM_WORDS = {word: number for number, word in _SMALL_NUMBERS.items()}
_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTHS = "|".join(_MONTH_NAMES)
_UNITS = (
    ("hours", "h"), ("minutes", "min"), ("kilometers", "km"), ("kilograms", "kg"), ("gigabytes",
    "GB"),
    ("megabytes", "MB"), ("milliseconds", "ms"), ("meters", "m"), ("centimeters", "cm"), ("weeks", "wks"),
    ("grams", "g"), ("miles per hour", "mph"), ("years", "yrs"), ("terabytes", "TB"), ("milligrams", "mg"),
)  # fmt: skip
_LETTER_RUNS = {
    "a": "sqz",
    "e": "wrd",
    "i": "uok",
    "o": "ipl",
    "t": "ryg",
    "n": "bmh",
    "s": "adw",
    "r": "etf",
    "l": "ko",
}
_STOP = words_of(
    "a an the is are was were am do does did can could would should will i you we one my your me please to of it there"
)
_PARTICIPLES = (
    r"\w+(?:ed|ing)|written|made|known|built|sold|held|found|done|born|worn|drawn|taken|given|shown|available|down|able|"
    r"owned|offered|open"
)
_ARE = re.compile(rf"(?<=s) (?:that|which|who) are (?=(?:{_PARTICIPLES})\b)", re.I)
_BARE = re.compile(
    r"(?<=[a-z]s) (?=(?:located|called|named|made|used|written|containing|running|working|connected|based|available|"
    r"offered|directed|published|produced|built|owned|installed|configured|affected|departing|leaving|arriving|flying|"
    r"stored|created|modified) (?:in|on|by|at|for|from|with|to|the|as|of|after|before|during)\b)",
    re.I,
)
_HAVING = re.compile(r"(?<=s) (?:that|which|who) have (?=(?:a|an|no|more|the|errors)\b)", re.I)
_TAILS = re.compile(
    r"^(?P<rest>.{12,}?\S) (?P<tail>(?:in|on|at|using|during|before|after|under|without|inside|within) "
    r"(?!order|general|front|addition|case|fact|terms|top|love|touch|which|what|my life|person|it|doing)"
    r"(?:(?:a|an|the|my|our) )?[\w.'+#-]+(?: (?!(?:and|or|that|which|who|to|of|for|in|on|at|with|is|are|do|does|if)\b)"
    r"[\w.'+#-]+){0,2})$",
    re.I,
)
_TAKES_TAIL = words_of(
    "get gets got live believe invest interested work go fall come look put result stay log sign fill participate step "
    "involved specialize focus depend rely based act turn move hack arrive based good bad keep check sit read written "
    "difference not born is are was were and or to of interest found used play stuck worth play"
)


def fronted(text: str, chance: random.Random) -> str | None:
    """A place, time or tool that ends the question put first ("In Excel, how do I freeze a row?"), or the other way."""
    parts = sentences(text)
    bare, mark = split_end(parts[-1])
    front = re.match(r"^((?:in|on|at|during|after|before|under|using|for|with) [^,]{2,30}), (?=\w)(.+)$", bare, re.I)
    if front and starts_question(front[2]):
        new = f"{front[2]} {decapitalised(front[1])}"
    else:
        match = _TAILS.match(bare)
        if not match or not starts_question(bare) or match["rest"].split()[-1].lower() in _TAKES_TAIL:
            return None
        new = f"{match['tail']}, {decapitalised(match['rest'])}"
    return " ".join([*parts[:-1], capitalised(new) + mark])


def relative(text: str, chance: random.Random) -> str | None:
    """A relative clause shortened, or put in full ("routers that are located in" / "routers located in")."""
    edits = [
        (_ARE, " "), (_BARE, chance.choice((" that are ", " which are "))), (_HAVING, " with "),
        (re.compile(r"(?<=s) that (?=are|were|have|do)", re.I), " which "),
        (re.compile(r"(?<=s) which (?=are|were|have|do)", re.I), " that "),
        (re.compile(r"(?<=[a-z]) that (?=(?:is|was|has|can|will|does)\b)", re.I), " which "),
    ]  # fmt: skip
    chance.shuffle(edits)
    for pattern, new in edits:
        edited = pattern.sub(new, text, count=1)
        if edited != text and not edited.lower().startswith(("is ", "what ", "how ")):
            return edited
    return None


_NUMBER_FORMS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (rf"(?<![\w.,:/$€£-])([2-9]|1[0-2])(?= [a-z]{{3,}})(?! (?:am|pm|and|{_MONTHS})\b)", lambda m: _SMALL_NUMBERS[m[1]]),
    (rf"\b(?:{'|'.join(_FROM_WORDS)})\b(?= [a-z]{{3,}})", lambda m: _FROM_WORDS[m[0].lower()]),
    (r"(?<![\w.,:/-])([1-9]\d{0,2}),(\d{3})(?![\d,.]\d)", lambda m: m[1] + m[2]),
    (r"(?<![\w.,:/-])([1-9]\d)(\d{3})(?![\w.,:/-])", lambda m: f"{m[1]},{m[2]}"),
    (r"(?<=\d) ?%", lambda m: " percent"),
    (r"\$(\d[\d,.]*\d|\d)(?![\w.])", lambda m: f"{m[1]} dollars"),
    (r"\b(\d[\d,.]*) (?:us )?dollars\b", lambda m: f"${m[1]}"),
    (r"(?<=\d) ?lakhs?\b", lambda m: " lac"),
    (r"\b1st\b", lambda m: "first"),
    (rf"\b({_MONTHS}) (\d\d?)\b(?!\d|:| percent|%| \w+s\b)", lambda m: f"{m[2]} {m[1]}"),
    (rf"\b(\d\d?) ({_MONTHS})\b", lambda m: f"{m[2]} {m[1]}"),
    (rf"\b({_MONTHS}) (\d\d?)(?:st|nd|rd|th)\b", lambda m: f"{m[1]} {m[2]}"),
    (rf"\b(\d\d?)(?:st|nd|rd|th) (?:of )?({_MONTHS})\b", lambda m: f"{m[2]} {m[1]}"),
    (r"\b([1-9]|1[01]) ?pm\b", lambda m: f"{int(m[1]) + 12}:00"),
    (r"\b([1-9]|1[01]) ?am\b", lambda m: f"{m[1]} in the morning"),
    (r"\b(\d\d?):00 ?([ap]m)\b", lambda m: f"{m[1]} {m[2]}"),
    (r"\b(\d\d?) o'clock\b", lambda m: f"{m[1]}:00"),
    (r"\b(20[0-3]\d)-(0[1-9]|1[0-2])-(\d\d)\b", lambda m: f"{_MONTH_NAMES[int(m[2]) - 1]} {int(m[3])}, {m[1]}"),
    (r"\b24/7\b", lambda m: "around the clock"),
    (r"\b(\d+)k\b", lambda m: f"{m[1]},000"),
    (r"\b([1-9]\d{0,2}),000\b(?!,)", lambda m: f"{m[1]}k"),
    (r"\bfirst\b(?= (?:year|semester|time|world|day|grade))", lambda m: "1st"),
    *((rf"(?<=\d) {long}\b", lambda m, short=short: f" {short}") for long, short in _UNITS),
    *((rf"(?<=\d) ?{short}\b", lambda m, long=long: f" {long}") for long, short in _UNITS if len(short) > 1),
]  # fmt: skip
_HAS_NUMBER = re.compile(r"\d|\b(?:" + "|".join([*_FROM_WORDS, "first"]) + r")\b", re.IGNORECASE)


def numbered(text: str, chance: random.Random) -> str | None:
    """Numbers, percents, units and years in another form."""
    if not _HAS_NUMBER.search(text):
        return None
    edits = list(_NUMBER_FORMS)
    chance.shuffle(edits)
    for pattern, new in edits:
        edited = re.sub(pattern, new, text, count=1, flags=re.IGNORECASE)
        if edited != text:
            return edited
    return None


def renamed(text: str, chance: random.Random) -> str | None:
    """Another name of the same thing (USA / America, Mumbai / Bombay)."""
    found = [(span, same) for span in SISTERS.found_in(text) if (same := SISTERS.same(span.text))]
    if not found:
        return None
    span, same = chance.choice(found)
    return text[: span.start] + chance.choice(same) + text[span.end :]


def keywords(text: str, chance: random.Random) -> str | None:
    """As people type into a search box; only where what is left out does not decide what is asked."""
    bare, _ = split_end(text)
    if len(sentences(text)) > 1 or not re.match(
        r"^(?:how (?:do|can|to)|what (?:is|are|'s)|where (?:can|do))\b", bare, re.I
    ):
        return None
    words = [word.strip('?,!"') for word in bare.split()]
    if not 4 <= len(words) <= 14 or any(word.lower() in ("not", "or", "it", "that", "if", "from") for word in words):
        return None
    first, *rest = words
    kept = [first] if first.lower() in ("how", "where") else []
    kept += ["to"] * (first.lower() == "how" and len(words) > 2)
    kept += [word for word in rest if word.lower() not in _STOP and word.lower() != "some"]
    return " ".join(kept).lower() if len(kept) >= 3 else None


def wrapped(text: str, chance: random.Random) -> str | None:
    """The last question as an indirect one ("do you know why cats purr")."""
    parts = sentences(text)
    bare, _ = split_end(parts[-1])
    inner = embedded(decapitalised(bare))
    if inner is None:
        return None
    opening = chance.choice(_ASKING)
    if inner.startswith("whether") and opening.startswith(("any idea", "i forgot", "i can't", "is it known")):
        return None
    mark = "?" if opening.split()[0] in _OPENS_QUESTION else chance.choice(("", "."))
    new = opening + inner + mark
    return " ".join([*parts[:-1], capitalised(new) if parts[:-1] else new])


_COMMAND = re.compile(
    r"(?:show|list|tell|give|find|display|explain|describe|write|name|compare|help|suggest|print|delete|remove)\b", re.I
)


def opened(text: str, chance: random.Random) -> str | None:
    opener = chance.choice(_OPENERS)
    return opener + (capitalised(text) if opener.rstrip()[-1] in ".!" else decapitalised(text))


def closed(text: str, chance: random.Random) -> str | None:
    closer = chance.choice(_CLOSERS)
    bare, mark = split_end(text)
    if not mark or chance.random() < 0.4:
        return bare + chance.choice((",", "", ",")) + closer.lower()
    return bare + mark + " " + capitalised(closer.strip())


def asked_kindly(text: str, chance: random.Random) -> str | None:
    """A command as a kind question ("could you please list ...")."""
    if not _COMMAND.match(text):
        return None
    bare, _ = split_end(text)
    return chance.choice(("please ", "could you ", "can you please ", "would you ", "i want you to ")) + decapitalised(
        bare
    )


def contracted(text: str, chance: random.Random) -> str | None:
    forms = [*_SHORT, *((short, long) for long, short in _SHORT if long != "can not")]
    chance.shuffle(forms)
    for old, new in forms:
        edited = re.sub(rf"\b{re.escape(old)}\b(?!'|$)", new, text, count=1, flags=re.IGNORECASE)
        if edited != text:
            return capitalised(edited) if text[:1].isupper() else edited
    return None


def spoken(text: str, chance: random.Random) -> str | None:
    forms = list(_SPOKEN)
    chance.shuffle(forms)
    for old, new in forms:
        edited = re.sub(rf"(?<![\w'-]){old}(?![\w'-])", new, text, count=1)
        if edited != text:
            return edited
    return None


def without_articles(text: str, chance: random.Random) -> str | None:
    edited = re.sub(r"(?<=\w )(?:the|a|an) (?=\w)", "", text, count=chance.choice((0, 1, 1)), flags=re.IGNORECASE)
    return edited if edited != text else None


def in_small_letters(text: str, chance: random.Random) -> str | None:
    return text.lower().rstrip("?. ") if chance.random() < 0.7 else text.lower()


def marked_otherwise(text: str, chance: random.Random) -> str | None:
    kind = chance.randrange(4)
    if kind == 0:
        return text.rstrip("?. ") + chance.choice(("??", " ?", "?!", "...", "???"))
    if kind == 1:
        return re.sub(r"[,;]", "", text).rstrip("?.") if "," in text and not re.search(r"\d,\d", text) else None
    if kind == 2:
        return text.replace("'", "") if re.search(r"\w'\w", text) else text.rstrip("?. ")
    return text.rstrip("?. ")


def with_slip(text: str, chance: random.Random) -> str | None:
    """One slip of the keyboard in a word that is no name, number or very short word."""
    spans = [m for m in re.finditer(r"[A-Za-z]{5,}", text) if m.group()[1:].islower() and not m.group()[0].isupper()]
    if not spans:
        return None
    match = chance.choice(spans)
    word = match.group()
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind == 1:
        word = word[:at] + word[at + 1 :]
    elif kind == 2:
        word = word[:at] + word[at] + word[at:]
    elif near := _LETTER_RUNS.get(word[at]):
        word = word[:at] + chance.choice(near) + word[at + 1 :]
    return text[: match.start()] + word + text[match.end() :] if word != match.group() else None


WRAPS: tuple[Edit, ...] = (opened, closed, asked_kindly)
LATE: tuple[Edit, ...] = (
    contracted, without_articles, in_small_letters, marked_otherwise, with_slip, spoken,
)  # fmt: skip
