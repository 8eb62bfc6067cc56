"""The earlier turns of a request: whether they may be left out of what has to be equal, and what is left then. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.keys.question import looks_framed
from llmcache_plugins.matching.stems import stem_of
from llmcache_plugins.policies import payload_of
from llmcache_plugins.policies.standing_alone import leaning_of, own_words, stands_alone
from llmcache_plugins.types import JsonValue, Request

__all__ = ["Dialogue", "dialogue_of", "matched_context", "turns_to_resolve", "without_dialogue"]


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_STANDING = frozenset({"system", "developer"})
_ASKING = frozenset({"user", "human"})
_ANSWERING = frozenset({"assistant", "ai"})
# What a model thought is its own; every other kind of block is a tool's, or something to look at.
_OWN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "reasoning"})
_POINTING = frozenset({"pronoun", "demonstrative", "said_before", "ellipsis"})
_MOST_TURNS = 200
_MOST_CHARACTERS = 20_000  # of what the user said: more than that is material to work on, not talk

# What a user tells once and means for all that follows.
_TELLS_HOW = re.compile(
    r"\b(?:from now on|act as|pretend|role-?play|you are (?:an?|my|the|now)|you're (?:an?|my|the|now)|call me|remember|"
    r"forget|ignore|for the rest|words or less|eli5|be (?:more |very )?(?:concise|brief|short|polite|formal|specific)|"
    r"keep (?:your|the|it|answers|replies)|(?:always|only|never) \w+|"
    r"(?:answer|answers|reply|replies|respond|speak|write|talk|explain|translate|use|switch)\s+(?:\w+\s+){0,3}?"
    r"(?:in|with|using|like|as|to|only|briefly|metric|imperial|simple|markdown|bullet)|bullet points?|one sentence)\b",
    re.IGNORECASE,
)
_TELLS_A_FACT = re.compile(
    r"\b(?:i am|i'm|im|i was|i have|i've|i had|i use|i'm using|i live|i work|i own|i need|i want|i would like|"
    r"i'd like|i like|i prefer|i got|i meant?|i run|i bought|we are|we're|we have|we use|we run|we need|"
    r"my \w+ (?:is|are|has|was)|it is|it's|its|assume|assuming|suppose|supposing|given|let's say|imagine|consider|"
    r"in our|in my|on my|on our|for my|for our)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_ASKS = re.compile(
    r"\W*(?:(?:and|so|ok|okay|but|please|also|then)\W+)*(?:what|who|whose|where|when|why|how|which|is|are|was|were|do|"
    r"does|did|can|could|should|would|will|has|have|had)\b",
    re.IGNORECASE,
)
_PLEASANTRY = _set_of(
    "hi hello hey good morning afternoon evening day greetings there thanks thank you thx ok okay cool great nice yes "
    "no sure fine perfect awesome bye goodbye welcome very much so a lot i see got it how are doing today to meet well "
    "hola please that makes sense understood interesting wow"
)
_WORDS = re.compile(r"[a-z']+")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The earlier turns of a chat request.

    Args:
        standing: the turns that hold for all of it (the system prompt), canonical.
        said: role and text of the others; empty for a first turn.
        is_plain: they are talk and nothing else: no tool's calls or results, no media or documents, nothing that the
            user asked for once and for all ("answer in French").
    """

    standing: Sequence[JsonValue] = field(repr=False)
    said: Sequence[tuple[str, str]] = field(repr=False)
    is_plain: bool

    def is_settled(self) -> bool:
        """Has the user told nothing in it that a later question may rest on? Questions and pleasantries alone."""
        return all(_asks_only(text) for role, text in self.said if role in _ASKING)

    def tells_of(self, text: str) -> bool:
        """Is this text about something that the dialogue was about, so that it may mean that very thing? A word of the
        user's, or a name that the model used. What has a number in it (`rtr-001`) says by itself which one it is."""
        asked = {_root(word) for word in own_words(text) if word.isalpha()}
        for role, said in self.said:
            words = own_words(said)
            told = words if role in _ASKING else [word for word in words if not word.islower()]
            if not asked.isdisjoint(map(_root, told)):
                return True
        return False


def dialogue_of(context: JsonValue) -> Dialogue | None:
    """The dialogue in the context of a chat request; None where the context is made of something else."""
    if not isinstance(context, Mapping):
        return None
    history, turn = context.get("history"), context.get("turn")
    if not isinstance(history, list | tuple) or not isinstance(turn, Mapping):
        return None
    if not all(isinstance(one, Mapping) and isinstance(one.get("role"), str) for one in history):
        return None
    standing = [one for one in history if one["role"] in _STANDING]
    others = [one for one in history if one["role"] not in _STANDING]
    # A system turn that comes later holds for what it stands behind.
    is_in_order = list(history[: len(standing)]) == standing
    if not is_in_order or len(others) > _MOST_TURNS:
        return Dialogue(standing, [(one["role"], "") for one in others], is_plain=False)
    said = [(one["role"], _text_of(one)) for one in others]
    return Dialogue(standing, [(role, text or "") for role, text in said], is_plain=_are_plain(said))


def _root(word: str) -> str:
    return stem_of(word.lower().removesuffix("'s"))


def _text_of(turn: Mapping[str, JsonValue]) -> str | None:
    """What a turn says; None where it is more than talk."""
    blocks = turn.get("content")
    if turn.keys() - {"role", "content"} or not isinstance(blocks, list):
        return None
    if turn["role"] not in _ASKING | _ANSWERING:
        return None
    texts: list[str] = []
    for block in blocks:
        if not isinstance(block, Mapping) or block.get("type") not in _OWN_BLOCKS:
            return None
        if block["type"] == "text":
            if block.keys() - {"type", "text"} or not isinstance(block.get("text"), str):
                return None  # with its sources, for example
            texts.append(block["text"])
    return "\n".join(texts)


def _are_plain(said: Sequence[tuple[str, str | None]]) -> bool:
    told = 0
    for role, text in said:
        if text is None:
            return False
        if role in _ASKING:
            told += len(text)
            if told > _MOST_CHARACTERS or payload_of(text) or looks_framed(text) or _TELLS_HOW.search(text):
                return False
    return True


def _asks_only(text: str) -> bool:
    plain = text.replace("\u2019", "'")
    if _TELLS_A_FACT.search(plain):
        return False
    return all(
        bool(_ASKS.match(sentence)) or _PLEASANTRY.issuperset(_WORDS.findall(sentence.lower()))
        for sentence in _SENTENCE.findall(plain)
    )


def matched_context(request: Request) -> JsonValue:
    """What of the context has to be equal, where turns that stand alone may be answered over another history.

    A turn that stands alone: all but the dialogue. A first turn that points to what nobody said ("Was it a success?")
    must not meet those that were told what it is about: it has a scope of its own. Any other turn: everything.
    """
    dialogue = None if request.exact_only or payload_of(request.text) else dialogue_of(request.context)
    if dialogue is None:
        return request.context
    if not dialogue.said:
        return {**request.context, "leans": True} if leaning_of(request.text) in _POINTING else request.context
    return without_dialogue(request.context) if _stands_alone(request.text, dialogue) else request.context


def _stands_alone(text: str, dialogue: Dialogue) -> bool:
    return dialogue.is_plain and stands_alone(text) and dialogue.is_settled() and not dialogue.tells_of(text)


def without_dialogue(context: JsonValue) -> JsonValue:
    """The context of a chat request as that of a first turn."""
    dialogue = dialogue_of(context)
    return context if dialogue is None else {**context, "history": list(dialogue.standing)}


def turns_to_resolve(request: Request) -> list[dict[str, str]] | None:
    """The dialogue and the last turn, for a resolver; None where the request has no dialogue, stands alone, or has one
    that must not be left out whatever its last turn says."""
    dialogue = None if request.exact_only or payload_of(request.text) else dialogue_of(request.context)
    if dialogue is None or not dialogue.said or not dialogue.is_plain or _stands_alone(request.text, dialogue):
        return None
    said = [{"role": "user" if role in _ASKING else "assistant", "content": text} for role, text in dialogue.said]
    return [*said, {"role": "user", "content": request.text}]
