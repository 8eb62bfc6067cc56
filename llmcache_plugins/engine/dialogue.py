"""The earlier turns of a request: whether they may be left out of what has to be equal, and what is left then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from llmcache_plugins.keys.question import looks_framed
from llmcache_plugins.matching.stems import stem_of
from llmcache_plugins.policies import payload_of
from llmcache_plugins.policies.standing_alone import own_words, says_what_it_means, stands_alone
from llmcache_plugins.policies.talk import asks_only, tells_how
from llmcache_plugins.types import JsonValue, Request

__all__ = ["Dialogue", "dialogue_of", "matched_context", "turns_to_resolve", "without_dialogue"]


_STANDING = frozenset({"system", "developer"})
_ASKING = frozenset({"user", "human"})
_ANSWERING = frozenset({"assistant", "ai"})
# What a model thought is its own; every other kind of block is a tool's, or something to look at.
_OWN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "reasoning"})
_MOST_TURNS = 200
_LONGEST_KEPT = 4000  # characters of a turn that is remembered
_MOST_CHARACTERS = 20_000  # of what the user said: more than that is material to work on, not talk


class _Turn(NamedTuple):
    """What a turn of the user's holds: talk and nothing else; questions and pleasantries alone; words it is about."""

    is_talk: bool
    asks_only: bool
    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The earlier turns of a chat request.

    Args:
        standing: the turns that hold for all of it (the system prompt), canonical.
        said: role and text of the others, None for a text where a turn is more than that; empty for a first turn.
        is_in_order: the standing turns come first.
    """

    standing: Sequence[JsonValue] = field(repr=False)
    said: Sequence[tuple[str, str | None]] = field(repr=False)
    is_in_order: bool = True

    @property
    def is_plain(self) -> bool:
        """Is it talk and nothing else? No tool's calls or results, no media or documents, nothing that the user asked
        for once and for all ("answer in French")."""
        if not self.is_in_order or len(self.said) > _MOST_TURNS or any(text is None for _, text in self.said):
            return False
        asked = [text for role, text in self.said if role in _ASKING and text]
        return sum(map(len, asked)) <= _MOST_CHARACTERS and all(_told_by(text).is_talk for text in asked)

    def is_settled(self, text: str) -> bool:
        """Can nothing in it decide what this text means? So it is where the user only asked and was polite, and where
        it was not about the same: he used no word of the text's, and the model no name in it. What has a number in it
        (`rtr-001`) says by itself which one it is."""
        topics = _roots(word for word in own_words(text) if word.isalpha())
        for role, said in self.said:
            if role not in _ASKING:
                if not topics.isdisjoint(_names_in(said or "")):
                    return False
            elif said and not ((turn := _told_by(said)).asks_only and topics.isdisjoint(turn.topics)):
                return False
        return True


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
    is_in_order = all(one["role"] in _STANDING for one in history[: len(standing)])
    return Dialogue(standing, [(one["role"], _text_of(one)) for one in others], is_in_order)


def _told_by(text: str) -> _Turn:
    return _read(text) if len(text) <= _LONGEST_KEPT else _read.__wrapped__(text)


@lru_cache(maxsize=1024)  # a dialogue grows at its end: all turns but the last were read before
def _read(text: str) -> _Turn:
    is_talk = not (payload_of(text) or looks_framed(text) or tells_how(text))
    return _Turn(is_talk, asks_only(text), _roots(own_words(text)))


def _names_in(text: str) -> frozenset[str]:
    return _read_names(text) if len(text) <= _LONGEST_KEPT else _read_names.__wrapped__(text)


@lru_cache(maxsize=1024)
def _read_names(text: str) -> frozenset[str]:
    return _roots(word for word in own_words(text) if not word.islower())


def _roots(words: Iterable[str]) -> frozenset[str]:
    return frozenset(stem_of(word.lower().removesuffix("'s")) for word in words)


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


def matched_context(request: Request) -> JsonValue:
    """What of the context has to be equal, where turns that stand alone may be answered over another history.

    A turn that stands alone: all but the dialogue. A first turn that points to what nobody said ("Was it a success?")
    must not meet those that were told what it is about: it has a scope of its own. Any other turn: everything.
    """
    dialogue = None if request.exact_only or payload_of(request.text) else dialogue_of(request.context)
    if dialogue is None:
        return request.context
    if not dialogue.said:
        return request.context if says_what_it_means(request.text) else {**request.context, "leans": True}
    return without_dialogue(request.context) if _stands_alone(request.text, dialogue) else request.context


def _stands_alone(text: str, dialogue: Dialogue) -> bool:
    return stands_alone(text) and dialogue.is_plain and dialogue.is_settled(text)


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
    said = [{"role": "user" if role in _ASKING else "assistant", "content": text or ""} for role, text in dialogue.said]
    return [*said, {"role": "user", "content": request.text}]
