"""Does a turn stand alone, or does it lean on what was said before it ("and for the other one?")? Pure.

Rules over English words. A turn stands alone only when it is a whole question of a known shape and nothing in it points
back; whatever the rules are unsure of leans, and so does every other language. What leans costs a model call; what is
wrongly said to stand alone may cost a wrong answer.
"""

from __future__ import annotations

import re

__all__ = ["leaning_of", "own_words", "pointer_of", "says_what_it_means", "stands_alone"]


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LONGEST = 400  # characters; a question that needs more tells a story
_WORD = re.compile(r"[^\W_]+(?:[-'./:@][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<!\b[a-z]\.[a-z])(?<!\bvs)(?<!\b[mds][rts])(?<!\b\w)[.!?](?=\s+\S)|\n", re.IGNORECASE)
_OPENING = re.compile(
    r"\s*(?:(?:hi|hello|hey|please|kindly|thanks|thank you)\b[\s,.!]*)*"
    r"(?:(?:can|could|would|will)\s+(?:you|someone|anyone)\s+(?:please\s+|kindly\s+)?(?=(?:tell|show|give|explain|"
    r"describe|list|define|name|compare|help)\b)|please\s+|(?:do\s+you\s+know|i\s+(?:want|would\s+like|need)\s+to\s+"
    r"know|i\s+was\s+wondering|i\s+wonder)\s+(?=(?:what|who|whose|where|when|why|how|which)\b))?"
    r"(?:(?:tell|show|give)\s+me\s+(?=(?:what|who|whose|where|when|why|how|which)\b))?",
    re.IGNORECASE,
)

_POINTERS = _set_of(
    "he she him her his hers himself herself they them their theirs themselves its itself this these those "
    "other others another else same such former latter above previous aforementioned next again still instead "
    "besides also too likewise similarly otherwise moreover one ones both either neither there here then "
    "mentioned said yours mine more"
)
_PRONOUNS = _set_of("he she him her his hers himself herself they them their theirs themselves it its itself")
_DEMONSTRATIVES = _set_of("this that these those ones")
_EXCUSED = _set_of("there more one both that than")  # some of their uses point nowhere
_TELLING = _POINTERS | {"it", "that"}
_TELLING_OR_THAN = _TELLING | {"than"}
_DEFINES = re.compile(
    r"(?:what|who)(?:'s|\s+(?:is|are|was|were))\s+(?:(?:an?|the)\s+)?[\w-]+(?:\s+[\w-]+)?\W*$"
    r"|(?:define|explain|what\s+causes)\s+(?:an?\s+)?[\w-]+\W*$|how\s+(?:do|does)\s+[\w-]+\s+work\W*$",
    re.IGNORECASE,
)
_KIND = re.compile(r"(?:what|which) (?:kind|type|sort|part)s? of \w+$")
# Of languages that begin questions with a word that is English too.
_FOREIGN = _set_of(
    "ist das und ich wie der nicht mein meine sind kann wer warum sie zu wird werden auf ein eine est "
    "une quel quelle pourquoi cosa sono qual posso wat hoe het een zijn waarom och att varf\u00f6r"
)
_THAT = re.compile(r"\bthat\b(?!\s*-)", re.IGNORECASE)
_PLAIN_QUESTION = _set_of("what who whose whom where when why how which")
_AUXILIARIES = _set_of(
    "is are was were do does did can could should would will has have had isn't aren't wasn't "
    "weren't don't doesn't didn't can't couldn't shouldn't wouldn't won't hasn't haven't hadn't"
)
_ORDERS = _set_of("tell show give explain describe list define name compare display find check")
_CONNECTIVES = _set_of(
    "and or but so because then also okay ok yes no yeah yep nope sure really wow cool nice great right well oh ah "
    "hmm actually alternatively besides instead any anything speaking regarding concerning maybe perhaps"
)
_GOING_ON = _set_of("and or but so because then also besides instead alternatively")
_COMPARATIVES = _set_of(
    "better worse cheaper faster slower bigger smaller larger older younger higher lower longer shorter easier harder "
    "safer stronger weaker newer earlier later greater fewer less further farther taller heavier lighter"
)
_PREPOSITIONS = _set_of(
    "of in on at for to from with without by between among about into onto over under through during against per as "
    "like than via near within using on inside outside around across behind"
)
_ORDINALS = _set_of("first second third fourth fifth last latest final only")
_RELATIVES = _set_of("that which who whom whose where when")
# Of these there is one, or everybody's.
_UNIQUE = _set_of(
    "internet world sun moon earth universe future past weather bible us usa uk eu un u.s u.k sky ocean sea "
    "environment difference easiest meaning "
    "stock economy media police army law web"
)
_EMPTY = _set_of(
    # Of something, that is not named by them: "Are there side effects?", "Is it necessary?"
    "alternative alternatives benefit benefits advantage advantages disadvantage disadvantages risk risks cause causes "
    "treatment symptom symptoms side option options requirement requirements step steps feature features limitation "
    "limitations downside downsides pros cons difference differences price prices cost costs dose recovery necessary "
    "effective required available included include includes take takes need needs start stop next other each "
    "a an the and or of in on at for to from with without by between about into as like than is are was were be been "
    "being do does did done can could should would will has have had may might must am what who whose whom where when "
    "why how which that if it i you we me my your our us not no any some there much many more most best good kind sort "
    "type types kinds way ways thing things reason reasons example examples name names year years time times people "
    "person information info detail details aspect aspects fact facts article story part parts effect effects result "
    "results problem problems issue issues work works life career role happen happened happens happening make made "
    "makes mean means interesting important special known know think use used tell show give explain describe list "
    "get got say said ever really exactly first last new old big long far often so very just only please"
)
# "it" of no thing: "Is it possible to", "How long does it take to", "What is it like to".
_EMPTY_IT = re.compile(
    r"\b(?:(?:is|was|isn't|would)\s+it\s+(?:be\s+)?(?:really\s+|ever\s+|more\s+)?(?:possible|true|legal|illegal|normal|"
    r"necessary|common|important|advisable|customary|mandatory|compulsory|impossible|like)\s+(?:for\s+\w+\s+)?"
    r"(?:to|that|if|\w+ing)\b"
    r"|(?:does|do|did|would|will)\s+it\s+(?:\w+ly\s+)?(?:take|cost|feel|mean)\s+(?:\w+\s+){0,3}?to\b)",
    re.IGNORECASE,
)
_THAT_OF_A_CLAUSE = re.compile(
    r"(?<!\bis)(?<!\bdid)(?<!\bdoes)(?<!\bwas)(?<!\bof)(?<!\bin)(?<!\bat)(?<!\bfor)(?<!\bto)(?<!\babout)(?<!\bafter)"
    r"(?<!\bbefore)(?<!\bdo)(?<!\bby)(?<!\bon)(?<!\bwith)(?<!\band)(?<!\bduring)(?<!\bfrom)(?<!\blike)(?<!\bare)\s+that\s+"
    r"(?:i|you|we|people|some|most|are|is|was|were|can|could|will|would|have|has|had|do|does|did|don't|doesn't|should|"
    r"may|might|must|allow|allows|make|makes|cause|causes|the|a|an|no|every|[a-z]+s)\b",
    re.IGNORECASE,
)
_EMPTY_THERE = re.compile(r"\b(?:are|is|were|was|be)\s+there\b|\bthere\s+(?:are|is|be|a|any)\b", re.IGNORECASE)
_COUNTED_ONE = re.compile(
    r"(?<!which )(?<!another )(?<!the )(?<!this )(?<!that )(?<!each )(?<!other )(?<!what )\bone\s+(?:of\b|[a-z]{3,})",
    re.IGNORECASE,
)
# "What is X and how does it work?": the pronoun's thing is in the question.
_OWN_THING = re.compile(
    r"(?:,\s*)?\b(?:and|or|but)\s+(?:how|why|what|when|where|who|is|are|does|do|can|was|were|did)\b"
    r"(?:\s+\w+){0,2}?\s+(?:it|they|them|its|their|he|she|his|her)\b.*",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"^(?:what(?:'s|\u2019s| else)?\s+(?:happen|happens|happened|about|if|next|then|now)\b|how\s+(?:about|so|come)\b"
    r"|(?:was|were)\s+there\b|what\s+the\b|why\s+(?:not|so|two|then)\b|who\s+(?:was|were|is)\s+that\b"
    r"|(?:did|do|does|have|has|had|can|could|will|would|are|were)\s+(?:any|some)\b"
    r"|how\s+many\s+(?:are|were|is|do|does|did|can|could|have|has|had|will|should)\b"
    r"|(?:can|could|would|will)\s+you\s+(?:please\s+)?(?:translate|summari[sz]e|rephrase|rewrite|shorten|expand|"
    r"elaborate|simplify|continue|repeat|clarify)\b"
    r"|.*\bto help\W*$|how\s+(?:much|many)\s+(?:has|have|had|was|were|is|are|did)\s+(?:been|they|it)\b|.*\.\.+$"
    r"|(?:did|do|does)\s+you\b|have\s+you\b|are\s+you\b|were\s+you\b|can\s+i\s+not\b)",
    re.IGNORECASE,
)
_SAID_BEFORE = re.compile(
    r"\b(?:you|i|we)\s+(?:just\s+|have\s+|already\s+)?(?:said|mentioned|told|meant|asked|recommended|suggested|listed|"
    r"wrote|gave|described|explained|talked|discussed)\b|\b(?:i|you)(?:'|\u2019)ve\s+(?:heard|said|mentioned)\b|"
    r"\bdid\s+(?:you|we|i)\s+(?:just\s+)?(?:say|mention|tell|mean|ask|recommend|suggest|list|write|give|describe|explain)\b|"
    r"\b(?:first|second|third|last)\s+(?:one|point|option|part|item|step|example)\b",
    re.IGNORECASE,
)


def stands_alone(text: str) -> bool:
    """Is this turn a whole question by itself?

    >>> stands_alone("How do I check the BGP status of rtr-001?"), stands_alone("And for the other one?")
    (True, False)
    """
    return leaning_of(text) is None


def leaning_of(text: str) -> str | None:
    """Why this turn is not said to stand alone: what `pointer_of` finds, or a word for what it lacks (`"fragment"`,
    `"definite"`, `"vague"`, ...); None for one that does.

    >>> leaning_of("Why?"), leaning_of("What caused the drought?"), leaning_of("What is OSPF?")
    ('fragment', 'definite', None)
    """
    plain = text.strip().replace("\u2019", "'")
    if not plain or len(plain) > _LONGEST:
        return "long" if plain else "fragment"
    if not plain.isascii() and not _is_latin(plain):
        return "language"
    plain = plain[_OPENING.match(plain).end() :]  # type: ignore[union-attr]  # every part of it may be missing
    if _SENTENCE_END.search(plain):
        return "sentences"
    words = _WORD.findall(plain)
    lower = [word.lower() for word in words]
    if not _FOREIGN.isdisjoint(lower):
        return "language"
    shape = "fragment" if len(lower) < 3 else _shape_of(lower)
    if shape is not None:
        return shape
    found = pointer_of(plain)
    if found is not None:
        return found
    if _ABSENT.match(plain):
        return "ellipsis"
    if "than" not in lower and not _COMPARATIVES.isdisjoint(lower):
        return "comparative"
    if _points_to_one_thing(words, lower):
        return "definite"
    own = own_words(plain)
    is_named = any(not word.islower() for word in own if word != words[0])
    return None if len(own) > 1 or is_named or (own and _DEFINES.match(plain)) else "vague"


def own_words(text: str) -> list[str]:
    """The words of a text that say what it is about, as they are written; all but the few hundred that any question
    may hold."""
    return [word for word in _WORD.findall(text.replace("\u2019", "'")) if len(word) > 1 and word.lower() not in _EMPTY]


def says_what_it_means(text: str) -> bool:
    """May this text be taken for a question by itself, when somebody says that it is one? Not when it goes on with
    something ("And ..."), points to something ("that one"), or has a pronoun that no name comes before. What is not
    English is believed.

    >>> says_what_it_means("What did Tesla do after he left Graz?"), says_what_it_means("What did he do in Graz?")
    (True, False)
    """
    plain = text.replace("\u2019", "'")
    words = _WORD.findall(plain)
    if words and words[0].lower() in _GOING_ON:
        return False
    if pointer_of(plain) is None:
        return True
    if _SAID_BEFORE.search(plain):
        return False
    plain = _THAT_OF_A_CLAUSE.sub(" ", _OWN_THING.sub("", _EMPTY_IT.sub(" ", plain)))
    is_named = False
    for at, word in enumerate(_WORD.findall(plain)):
        bare = word.lower().split("'")[0]
        if bare in _DEMONSTRATIVES or (bare in _PRONOUNS and not is_named):
            return False
        is_named = is_named or (at > 0 and not word.islower() and bare != "i")
    lower = plain.lower().split()
    return ("one" not in lower or bool(_COUNTED_ONE.search(plain))) and (
        "there" not in lower or bool(_EMPTY_THERE.search(plain))
    )


def pointer_of(text: str) -> str | None:
    """What in this text points out of it (`"pronoun"`, `"demonstrative"`, `"said_before"`), or None. Weaker than
    `leaning_of`: a text without a pointer may lack something all the same.

    >>> pointer_of("What did he do?"), pointer_of("What is OSPF and how does it work?"), pointer_of("data volume")
    ('pronoun', None, None)
    """
    plain = text.replace("\u2019", "'")
    if _SAID_BEFORE.search(plain):
        return "said_before"
    if _pointing_words(plain).isdisjoint(_TELLING):
        return None
    plain = _OWN_THING.sub("", _EMPTY_IT.sub(" ", plain))
    found = _pointing_words(plain)
    if not _EXCUSED.issuperset(found):
        return "pronoun"
    is_excused = (
        ("there" not in found or _EMPTY_THERE.search(plain))
        and ("more" not in found or "than" in found)
        and ("one" not in found or _COUNTED_ONE.search(plain))
        and ("both" not in found or "and" in plain.lower().split())
    )
    if not is_excused:
        return "pronoun"
    return "demonstrative" if "that" in found and _THAT.search(_THAT_OF_A_CLAUSE.sub(" ", " " + plain)) else None


def _pointing_words(text: str) -> frozenset[str]:
    """Those of the text's words that may point, without endings ("it's")."""
    return _TELLING_OR_THAN.intersection(word.lower().split("'")[0] for word in _WORD.findall(text))


def _is_latin(text: str) -> bool:
    """English with a name or a sign that ASCII does not have."""
    return sum(not char.isascii() for char in text) * 10 <= len(text)


def _shape_of(lower: list[str]) -> str | None:
    """None for what begins like a whole question or order."""
    first = lower[0] if lower[0] in _AUXILIARIES else lower[0].split("'")[0]
    if first in _CONNECTIVES:
        return "ellipsis"
    if first in _PREPOSITIONS and lower[1] in _PLAIN_QUESTION:  # "In which year ...?"
        return None
    if first in _PLAIN_QUESTION:
        return "fragment" if len(lower) <= 4 and _KIND.match(" ".join(lower)) else None
    return None if first in _AUXILIARIES or first in _ORDERS else "fragment"


def _points_to_one_thing(words: list[str], lower: list[str]) -> bool:
    """`the drought`, `the maximum retention period`: a thing that only what was said before can tell. Not `the price of
    milk`, `the best way to`, `the iPhone`: those are told here, or known to everybody."""
    for at, word in enumerate(lower):
        if word != "the":
            continue
        phrase: list[str] = []
        for place in range(at + 1, len(lower)):
            if lower[place] in _PREPOSITIONS or lower[place] in _RELATIVES:
                break
            phrase.append(words[place])
        else:
            place = len(lower)
        is_told = place < len(lower) and (lower[place] in _PREPOSITIONS or lower[place] in _RELATIVES)
        if not phrase or _is_known(phrase):
            continue
        is_counted = lower[at + 1] in _ORDINALS and not (is_told and len(phrase) > 1 and lower[place] == "of")
        if is_counted or not is_told or len(phrase) > 4:
            return True
    return False


def _is_known(phrase: list[str]) -> bool:
    first = phrase[0].lower()
    if first in _ORDINALS:
        return False
    if first in _UNIQUE or any(word.lower() in _UNIQUE for word in phrase[:2]):
        return True
    if first.endswith("est") or first in ("most", "least", "best", "worst"):
        return len(phrase) > 2
    # `the CEO`, `the API`: there are many; `the Beatles`, `the United States`: those are names.
    return any(not word.islower() and not (word.isupper() and word.isalpha()) for word in phrase[:3])
