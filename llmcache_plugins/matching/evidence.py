"""What can be seen of two questions, as numbers: the input of the calibrated confidence. Pure, tens of microseconds."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile, pairwise, takewhile
from typing import NamedTuple, TypeAlias

from llmcache_plugins.matching.exchanged import exchanged
from llmcache_plugins.matching.features import Features, features_of
from llmcache_plugins.matching.guards.base import words_of
from llmcache_plugins.matching.guards.small_words import BEARING
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.matching.records import asks_records
from llmcache_plugins.matching.stems import stem_of
from llmcache_plugins.types import Verdict

__all__ = [
    "EVIDENCE",
    "EVIDENCE_VERSION",
    "Evidence",
    "asks_for_records",
    "crowding_of",
    "evidence_of",
    "stems_of",
]

Evidence: TypeAlias = list[float]
"""One number for each name in `EVIDENCE`, in that order."""

EVIDENCE_VERSION = "3"
"""Changes whenever a number below may come out otherwise: a calibration fitted on older evidence is not used."""

EVIDENCE: tuple[str, ...] = (
    "similarity",  # cosine of the two questions
    "margin",  # how far ahead of the best other candidate, from 0 to 0.2 (0.2 also when there is none)
    "crowd",  # how many other candidates lie within 0.1 of this one: among many look-alikes a mistake is more likely
    "shared_words",  # Dice coefficient over stems, all words
    "shared_content",  # the same without function words
    "contained",  # share of the shorter side's content stems that the other side has
    "shared_pairs",  # Dice coefficient over pairs of neighbouring stems
    "shared_letters",  # Dice coefficient over triples of letters
    "unmatched_least",  # content words without a partner, on the side that has fewer of them
    "unmatched_most",  # and on the other side
    "unmatched_share",  # of all content words
    "unmatched_function",  # function words without a partner, both sides
    "substituted",  # 1 when exactly one content word of either side stands against one of the other
    "unmatched_length",  # letters of the longest unmatched content word
    "unmatched_capital",  # unmatched words with a capital inside a sentence: likely names
    "related",  # unmatched words of the side with fewer that have a synonym among the other's
    "unrelated",  # the others of that side
    "siblings",  # of these, the ones beside which the other side has another kind of the same thing
    "opposed",  # 1 when an unmatched word has its opposite on the other side
    "nouns",  # of the unrelated ones, the nouns that stand against nouns
    "things",  # of these, the ones that are things, people or places on both sides
    "unfamiliar",  # unmatched words, both sides, that the lexicon does not know: mostly names
    "nearest_spelling",  # best share of common letter triples between unmatched words, 0 without any
    "in_order",  # longest run of common words in the same order, as a share of the common words; 1 around "and", "or"
    "rotated",  # 1 when the words are the same and only the last ones have come to the front
    "same_opening",  # 1 when the first content words are equal
    "opening_shared",  # how many of the two first content words the other side has anywhere
    "same_ending",  # 1 when the last content words are equal
    "shared_subject",  # Dice coefficient over the first unbroken run of content words: what is asked about
    "repeated",  # content words that one side has more often than the other, once paired
    "same_type",  # 1 when both are of one query type
    "is_how_to",  # 1 when both are of this query type, and so on
    "is_listing",
    "is_definition",
    "is_general",
    "unmatched_limits",  # words of one side alone that narrow what is meant: "daily", "direct", "recent"
    "bearing",  # kinds of meaning-bearing small words (question words, tense, must and may, all and any) of one side
    "amount_asked",  # 1 when one side alone asks how many, how long, how high, ...
    "specifics",  # names, numbers and the like in the question that has more of them
    "words_least",  # words of the shorter question
    "length_ratio",  # words of the shorter over words of the longer one
    "equal_letters",  # 1 when only spaces and marks differ
    "same_asking",  # 1 when both ask with the same question word
    "agreements",  # guards that found something and found it equal
    "is_ascii",  # 1 when neither side has letters beyond ASCII
    "sentences",  # sentence ends inside the longer question, at most 5
    "asks_records",  # log odds that a question asks for records of some data, the greater of the two
)

_MAY_ASK_RECORDS = -3.0  # log odds; the thresholds were chosen with it, and a text without any sign lies above it
_MARKS = frozenset(",.?")
_FUNCTION = words_of(
    "a an the of to in on at for from by with about as into onto over under up down out off than then that this these "
    "those there here it its i me my mine we us our ours you your yours he him his she her hers they them their theirs "
    "is are was were be been being am do does did done doing have has had having can could will would shall should may "
    "might must what which who whom whose when where why how if or and but so because while just also too very really "
    "actually please kindly tell show give explain some any many much get got let know want need like help hi hello "
    "hey thanks thank wondering wonder question s t d ll re ve m im id whats hows wheres whos"
)
_ASKING = words_of(
    "who whom whose when where why how which what is are was were can could should would do does did will has have"
)
_LIMITS = words_of(
    "daily weekly monthly yearly annual hourly recent latest newest oldest current former upcoming previous next "
    "last past future temporary permanent direct nonstop round return online offline remote local domestic "
    "foreign international national public private free paid cheap cheapest expensive wireless wired mobile main "
    "major minor primary secondary backup standby active inactive idle open closed empty full partial total "
    "average maximum minimum first second third final early late morning afternoon evening night weekend weekday "
    "different same other another similar special official original additional specific certain only own every "
    "each both either neither several few good better best bad worse worst big bigger biggest large larger "
    "largest small smaller smallest long longer longest short shorter shortest high higher highest low lower "
    "lowest fast faster fastest slow slower slowest most least"
)
_AMOUNTS = words_of(
    "many much long high tall big large far deep old wide heavy fast often few small low hot cold likely"
)
_MEASURES = words_of(
    "number amount count length height size width depth age weight speed cost price distance population area"
)
_JOINING = words_of("and or vs versus nor")  # what stands around them may change places
_ARTICLES = words_of("a an the")
_ONCE: Counter[str] = Counter()  # every word that a text has stands in it once
_LONGEST_JOINED = 6  # words on either side of a joining word
_LONGEST_ORDERED = 200  # words: further ones are left out of the order, for the time must stay linear

_Triple: TypeAlias = tuple[str, str, str]  # letters: made faster than strings of three, and compared as well


class _Profile(NamedTuple):
    """What one text brings to the comparison."""

    words: tuple[str, ...]
    stems: tuple[str, ...]
    all_stems: frozenset[str]
    content: frozenset[str]
    function: frozenset[str]  # the other stems
    pairs: frozenset[tuple[str, str]]
    triples: frozenset[_Triple]
    capitals: frozenset[str]  # stems of words with a capital that no sentence begins with
    letters: str
    opening: str
    ending: str
    subject: frozenset[str]
    counts: Counter[str] | None  # of the content stems; None when none stands twice
    query_type: str
    limits: frozenset[str]
    bearing: frozenset[str]
    asks_amount: bool
    specifics: int
    asking: str
    sentences: int
    is_ascii: bool
    asks_records: float


def evidence_of(
    asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
) -> Evidence:
    """The evidence that the two questions want the same answer. Symmetric in them.

    Args:
        similarity: cosine of the two.
        others: cosines of the other candidates.
        verdicts: what the guards said; only agreement is counted, a conflict is a veto and asks for no confidence.
    """
    left, right = features_of(asked).get(_profile), features_of(stored).get(_profile)
    shared = left.content & right.content
    mine, theirs = _unmatched(left.content - shared, right.content - shared)
    fewer, more = (len(mine), len(theirs)) if len(mine) <= len(theirs) else (len(theirs), len(mine))
    contents = len(left.content) + len(right.content)
    least = min(len(left.content), len(right.content))
    shorter, longer = sorted((len(left.words), len(right.words)))
    same_type = left.query_type if left.query_type == right.query_type else ""
    return [
        similarity,
        *crowding_of(similarity, others),
        _dice(left.all_stems, right.all_stems),
        1.0 - (fewer + more) / contents if contents else 1.0,
        1.0 - fewer / least if least else 1.0,
        _dice(left.pairs, right.pairs),
        _dice(left.triples, right.triples),
        float(fewer),
        float(more),
        (fewer + more) / contents if contents else 0.0,
        float(len(left.function ^ right.function)),
        1.0 if fewer == more == 1 else 0.0,
        float(max(map(len, (*mine, *theirs)))) if more else 0.0,
        float(len(mine & left.capitals) + len(theirs & right.capitals)),
        *exchanged(mine, theirs),
        _nearest_spelling(mine, theirs),
        _in_order(left, right),
        1.0 if left.all_stems == right.all_stems and _is_rotation(left.stems, right.stems) else 0.0,
        1.0 if left.opening == right.opening else 0.0,
        float((left.opening in right.content) + (right.opening in left.content)),
        1.0 if left.ending == right.ending else 0.0,
        _dice(left.subject, right.subject),
        _repeated(left, right, shared),
        1.0 if same_type else 0.0,
        1.0 if same_type == "how_to" else 0.0,
        1.0 if same_type == "listing" else 0.0,
        1.0 if same_type == "definition" else 0.0,
        1.0 if same_type == "general" else 0.0,
        float(len(left.limits ^ right.limits)),
        float(len(left.bearing ^ right.bearing)),
        1.0 if left.asks_amount != right.asks_amount else 0.0,
        float(max(left.specifics, right.specifics)),
        float(shorter),
        shorter / longer if longer else 1.0,
        1.0 if left.letters == right.letters else 0.0,
        1.0 if left.asking == right.asking else 0.0,
        float([verdict.verdict for verdict in verdicts].count("agree")),
        1.0 if left.is_ascii and right.is_ascii else 0.0,
        float(max(left.sentences, right.sentences)),
        max(left.asks_records, right.asks_records),
    ]


def asks_for_records(text: str) -> bool:
    """Whether a question may ask for records, or shows no sign that it does not: it is matched with more care."""
    return features_of(text).get(_profile).asks_records > _MAY_ASK_RECORDS


def crowding_of(similarity: float, others: Sequence[float]) -> tuple[float, float]:
    """The margin and the crowd of a candidate, the two numbers that depend on what else is stored."""
    if not others:
        return 0.2, 0.0
    margin = min(max(similarity - max(others), 0.0), 0.2)
    near = similarity - 0.1
    return margin, float(len([other for other in others if other > near]))


def stems_of(text: str) -> tuple[str, ...]:
    """The stems of a text's words, in order."""
    return tuple(map(stem_of, _words(features_of(text))))


def _words(features: Features) -> tuple[str, ...]:
    words = tuple([word for word in features.words if word not in _MARKS])
    return words if features.text.isascii() else tuple(piece for word in words for piece in _pieces(word))


def _profile(features: Features) -> _Profile:
    words = _words(features)
    is_ascii = features.text.isascii()
    stems = tuple(map(stem_of, words))
    content = frozenset([stem for word, stem in zip(words, stems, strict=True) if word not in _FUNCTION])
    all_stems = frozenset(stems)
    of_content = [stem for stem in stems if stem in content]  # a stem can stand for a function word as well
    return _Profile(
        words=words,
        stems=stems,
        all_stems=all_stems,
        content=content,
        function=all_stems - content,
        pairs=frozenset(pairwise(stems)),
        triples=_triples(" ".join(words)),
        capitals=_capitals(features),
        letters="".join(words),
        opening=of_content[0] if of_content else "",
        ending=of_content[-1] if of_content else "",
        subject=_first_run(stems, content),
        counts=Counter(of_content) if len(of_content) > len(content) else None,
        query_type=query_type_of(features.text),
        limits=_LIMITS.intersection(words),
        bearing=frozenset([BEARING[word] for word in words if word in BEARING]),
        asks_amount=_asks_amount(words),
        specifics=_specifics(features),
        asking=next((word for word in words if word in _ASKING), ""),
        sentences=min(_ends_inside(features.words), 5),
        is_ascii=is_ascii,
        asks_records=asks_records(stems),
    )


def _capitals(features: Features) -> frozenset[str]:
    return frozenset(
        [
            stem_of(lower)
            for text, lower, kind in features.tokens[1:]
            if kind == "word" and text[0].isupper() and not text.isupper()
        ]
    )


def _asks_amount(words: Sequence[str]) -> bool:
    if "how" in words and any(first == "how" and second in _AMOUNTS for first, second in pairwise(words)):
        return True
    return not _MEASURES.isdisjoint(words) and any(
        word in _MEASURES and after == "of" for word, after in pairwise(words)
    )


def _specifics(features: Features) -> int:
    """Tokens with a shape of their own, and those with a capital that the text does not begin with."""
    found = [
        place
        for place, (text, _, kind) in enumerate(features.tokens)
        if (kind != "word" and kind != "operator") or (place > 0 and text[0].isupper())
    ]
    return len(found)


def _ends_inside(words: Sequence[str]) -> int:
    return words[:-1].count(".") + words[:-1].count("?")


def _first_run(stems: Sequence[str], content: frozenset[str]) -> frozenset[str]:
    run = dropwhile(lambda stem: stem not in content, stems)
    return frozenset(takewhile(lambda stem: stem in content, run))


def _pieces(word: str) -> tuple[str, ...]:
    """Letters one by one where a script has no spaces between its words."""
    return tuple(word) if any("\u2e80" <= letter <= "\ud7ff" for letter in word) else (word,)


def _unmatched(mine: frozenset[str], theirs: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What is left once words that differ by a slip of the keyboard or by an ending have found each other."""
    if not mine or not theirs or len(mine) * len(theirs) > 200:
        return mine, theirs
    pairs = sorted(
        (max(word, other), min(word, other), word, other)  # one order for both directions: the result is symmetric
        for word in mine
        for other in theirs
        if _is_spelled_alike(word, other)
    )
    left, right = set(mine), set(theirs)
    for _, _, word, other in pairs:
        if word in left and other in right:
            left.discard(word)
            right.discard(other)
    return frozenset(left), frozenset(right)


def _is_spelled_alike(word: str, other: str) -> bool:
    """One letter more, less, other or changed with its neighbour in words of 5 letters and more, or another ending."""
    if len(word) > len(other):
        word, other = other, word
    short, extra = len(word), len(other) - len(word)
    if short < 4 or extra > 5 or not word.isalpha() or not other.isalpha():
        return False
    start = 0
    while start < short and word[start] == other[start]:
        start += 1
    if start >= max(short - 1, 4):
        return True  # "configur", "configuration"
    if short < 5 or extra > 1:
        return False
    if extra == 1:
        return word[start:] == other[start + 1 :]
    if word[start + 1 :] == other[start + 1 :]:
        return short > 5
    return (
        word[start + 2 :] == other[start + 2 :] and word[start] == other[start + 1] and word[start + 1] == other[start]
    )


def _nearest_spelling(mine: frozenset[str], theirs: frozenset[str]) -> float:
    if not mine or not theirs or len(mine) * len(theirs) > 200:
        return 0.0
    right = [_triples(word) for word in theirs]
    return max(_dice(_triples(word), other) for word in mine for other in right)


def _triples(text: str) -> frozenset[_Triple]:
    padded = f" {text} "
    return frozenset(zip(padded, padded[1:], padded[2:], strict=False))


def _repeated(left: _Profile, right: _Profile, shared: frozenset[str]) -> float:
    """Content words that one side has more often than the other."""
    if left.counts is None and right.counts is None:
        return 0.0
    mine, theirs = left.counts or _ONCE, right.counts or _ONCE
    return float(sum(abs(mine.get(stem, 1) - theirs.get(stem, 1)) for stem in shared))


def _in_order(left: _Profile, right: _Profile) -> float:
    """Length of the longest common run in order (gaps allowed) over the number of common stems; 1.0 below two."""
    if left.all_stems == right.all_stems and left.stems != right.stems and _is_exchange_of_equals(left, right):
        return 1.0
    places: dict[str, int] = {}
    for place, stem in enumerate(right.stems[:_LONGEST_ORDERED]):
        places.setdefault(stem, place)
    seen: set[str] = set()
    tails: list[int] = []
    for stem in left.stems[:_LONGEST_ORDERED]:
        found = places.get(stem)
        if found is None or stem in seen:
            continue
        seen.add(stem)
        at = bisect_left(tails, found)
        tails[at : at + 1] = [found]
    return len(tails) / len(seen) if len(seen) > 1 else 1.0


def _is_rotation(left: Sequence[str], right: Sequence[str]) -> bool:
    if len(left) != len(right):
        return False
    twice = f" {' '.join(left)} {' '.join(left)} "
    return f" {' '.join(right)} " in twice


def _is_exchange_of_equals(left: _Profile, right: _Profile) -> bool:
    """Only the two sides of an "and", "or" or "versus" have changed places."""
    mine = [stem for stem in left.stems if stem not in _ARTICLES]
    theirs = [stem for stem in right.stems if stem not in _ARTICLES]
    if len(mine) != len(theirs):
        return False
    for at in [place for place, stem in enumerate(mine[:_LONGEST_ORDERED]) if stem in _JOINING]:
        for before in range(1, min(at, _LONGEST_JOINED) + 1):
            for after in range(1, min(len(mine) - at - 1, _LONGEST_JOINED) + 1):
                swapped = [*mine[at + 1 : at + 1 + after], mine[at], *mine[at - before : at]]
                if theirs == mine[: at - before] + swapped + mine[at + 1 + after :]:
                    return True
    return False


def _dice(left: frozenset[object], right: frozenset[object]) -> float:
    total = len(left) + len(right)
    return 2.0 * len(left & right) / total if total else 1.0
