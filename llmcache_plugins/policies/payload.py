"""Turns that carry something to work on: a text to translate, code, a configuration. Pure.

In such a turn a single character may be the whole point, and a sentence embedding is blind to it: they are matched
exactly only. Questions that a retrieval template framed are not affected, their context is part of the scope.
"""

from __future__ import annotations

import re

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
_SEARCHED = 4000  # characters: a longer turn is not a question, whatever it holds


def payload_of(text: str) -> str | None:
    """Why this turn may only be matched exactly (`"multi_line"`, `"long"`, `"task"`, `"code"`), or None."""
    stripped = text.strip()
    if "\n" in stripped or "\r" in stripped:
        return "multi_line"
    if len(stripped) > _SEARCHED:
        return "long"
    if _TASK.match(stripped):
        return "task"
    return "code" if _CODE.search(stripped) else None
