"""Turns that carry something to work on: a text to translate, code, a configuration. Pure.

In such a turn a single character may be the whole point, and a sentence embedding is blind to it: they are matched
exactly only. Questions that a retrieval template framed are not affected, their context is part of the scope.
"""

from __future__ import annotations

import re

from llmcache_plugins.policies.appearance import disguise_of

__all__ = ["payload_of"]

_TASK = re.compile(
    r"\s*(?:please\s+|kindly\s+|(?:can|could|would|will)\s+you\s+(?:please\s+)?|i\s+(?:want|need)\s+you\s+to\s+)?"
    r"(?:translate|transliterate|rewrite|reword|rephrase|paraphrase|summari[sz]e|proofread|correct|fix|edit|improve|"
    r"polish|shorten|expand|simplify|complete|continue|classify|categori[sz]e|label|tag|extract|convert|format|"
    r"reformat|parse|decode|encode|encrypt|decrypt|hash|evaluate|calculate|compute|solve|simulate|execute|run|"
    r"review|critique|grade|rate|score|debug|refactor|optimi[sz]e|document|test|write\s+(?:an?\s+)?unit\s+tests?|"
    r"count|sort|reverse|repeat|spell|answer|reply|respond)\b[^\n:]{0,120}:\s*\S",
    re.IGNORECASE,
)
# Signs that stand in code, markup and shell lines, and hardly ever in a question.
_CODE = re.compile(
    r"[{}]|=>|->|==|!=|<=|>=|&&|\|\||</|/>|<\w+[^<>]*>|;\s*$"
    r"|\b\w+\([^()]*\)\s*[:;{]|\bdef \w+\(|\breturn\s+\w+\s*[-+*/%]"
    r"|\bselect\b.{1,200}\bfrom\b.{1,200}\bwhere\b",
    re.IGNORECASE,
)
# Words to the model or to the cache in place of a question: such an answer says what its author wanted, and a sentence
# of that kind is little beside a long question. English; in other words it is left to guards and confidence.
_INSTRUCTION = re.compile(
    r"\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+|bypass\w*)\b[^?]{0,40}"
    r"\b(?:instructions?|questions?|prompts?|rules|guidelines|above|previous|prior|earlier|everything)\b"
    r"|\b(?:cach|stor|sav|remember|memori[sz]|keep|reus|serv|return|repeat|us)(?:e|es|ed|ing)?\s+"
    r"(?:this|that|your|my|the\s+(?:same|following))\b[^?]{0,20}\b(?:answer|response|reply|output|text|message|result)\b"
    r"|\b(?:this|your|the\s+same)\s+(?:answer|response|reply|output|text|message)\b[^?]{0,40}"
    r"\b(?:every|all|any|each|everyone|everybody|anyone|others?)\b"
    r"|\b(?:answer|reply|respond)\s+(?:only\s+)?(?:with|that|as\s+if|wrongly|falsely|incorrectly)\b"
    r"|\b(?:say|write|print|output)\s+(?:only|just|exactly|nothing\s+but)\b"
    r"|\bpretend\s+that\b|\btell\s+(?:everyone|everybody|the\s+user)\s+that\b"
    r"|\bfrom\s+now\s+on\b|\byou\s+are\s+(?:now|no\s+longer)\b|\bnew\s+(?:system\s+)?(?:instructions?|prompt)\b"
    r"|\bsystem\s+(?:prompt|message|note|override)\b|(?:^|\s)[\[(#*]*(?:system|assistant|developer|admin)[\])*]*:"
    r"|<\|\w+\|>|\[/?INST\]",
    re.IGNORECASE,
)
# One of these is in every text that a pattern above finds: most questions have none, and that is cheap to see.
_CODE_SIGNS = frozenset("{}=<>&|;(")
_CODE_WORDS = ("return", "select")
_INSTRUCTION_PARTS = (
    *("answer", "respon", "reply", "output", "text", "message", "result"),
    *("ignor", "disregard", "forget", "overrid", "bypass", "pretend", "tell", "write", "print", "say", "now"),
    *("you", "new", "system", "assistant", "developer", "admin", "inst", "<|"),
)
_LINE_END = re.compile("[\n\r\u2028\u2029]")
_SEARCHED = 4000  # characters: a longer turn is not a question, whatever it holds


def payload_of(text: str) -> str | None:
    """Why this turn may only be matched exactly (`"multi_line"`, `"long"`, `"hidden_signs"`, `"look_alikes"`, `"task"`,
    `"code"`, `"instruction"`), or None."""
    stripped = text.strip()
    if _LINE_END.search(stripped):
        return "multi_line"
    if len(stripped) > _SEARCHED:
        return "long"
    disguise = disguise_of(stripped)
    if disguise is not None:
        return disguise
    if _TASK.match(stripped):
        return "task"
    folded = stripped.casefold()
    if _may_be_code(folded) and _CODE.search(stripped):
        return "code"
    return "instruction" if _may_instruct(folded) and _INSTRUCTION.search(stripped) else None


def _may_be_code(folded: str) -> bool:
    return not _CODE_SIGNS.isdisjoint(folded) or any(word in folded for word in _CODE_WORDS)


def _may_instruct(folded: str) -> bool:
    return any(part in folded for part in _INSTRUCTION_PARTS)
