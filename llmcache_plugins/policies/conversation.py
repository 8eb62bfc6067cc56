"""What was said earlier in a conversation: a follow-up ("Is it up?") is about what its history names. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmcache_plugins.types import JsonValue

__all__ = ["earlier_turns"]

_STANDING = frozenset({"system", "developer"})
_FRAME = "turn"  # of the last turn: what stands around the question, documents for example


def earlier_turns(context: JsonValue, longest: int) -> tuple[str, str]:
    """The text of all earlier turns with the tools' calls and results, and that of the user's turns alone; of either
    the last `longest` characters.

    A system prompt is left out: an inventory in it would make every answer one about every device.

    >>> earlier_turns([{"role": "user", "content": "Where is rtr-001?"}, {"role": "assistant", "content": "NY"}], 99)
    ('Where is rtr-001?\\nNY', 'Where is rtr-001?')
    """
    said: list[str] = []
    asked: list[str] = []
    for turn in _turns(context):
        text = "\n".join(_texts({name: part for name, part in turn.items() if name != "role"}))
        said.append(text)
        if turn["role"] in ("user", "human"):
            asked.append(text)
    return "\n".join(said)[-longest:], "\n".join(asked)[-longest:]


def _turns(node: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    """The messages of a context, whatever it is made of, in their order."""
    todo = [node]  # not by recursion: what users send may be nested deeper than Python calls
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            if not isinstance(node.get("role"), str):
                todo += [value for name, value in reversed(list(node.items())) if name != _FRAME]
            elif node["role"] not in _STANDING:
                yield node
        elif isinstance(node, list | tuple):
            todo += reversed(node)


def _texts(node: JsonValue) -> Iterator[str]:
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            todo += reversed(list(node.values()))
        elif isinstance(node, list | tuple):
            todo += reversed(node)
