"""What LangChain's description of a call leaves out, and the live process knows.

A class of pydantic, given as the format of the answer, stands in it by its name alone: two versions of one class would
be one question. And the address of an OpenAI-compatible server is missing where the environment names it, as are the
headers that Anthropic's SDK takes from there: betas, the workspace, a gateway's choice of the server.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from llmcache_plugins.langchain.parse import HIDDEN
from llmcache_plugins.types import JsonValue

__all__ = ["with_live_facts", "with_schemas"]

_CLASS = "<class '"
# A string literal (kept), or the repr of a class.
_LITERAL_OR_CLASS = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|<class '([^']+)'>""", re.DOTALL)
_OPENAI_CHAT = '{"id": ["langchain", "chat_models", "openai", "ChatOpenAI"], "kwargs": {'
_OPENAI_TEXT = "[('_type', 'openai'), "
_ADDRESS = "openai_api_base"
_ADDRESS_VARIABLE = "OPENAI_BASE_URL"
_ANTHROPIC_CHAT = '{"id": ["langchain", "chat_models", "anthropic", "ChatAnthropic"], "kwargs": {'
_HEADERS_VARIABLE = "ANTHROPIC_CUSTOM_HEADERS"


def with_schemas(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, classes of pydantic by name and schema."""
    return {name: _shown(value) if _is_model(value) else value for name, value in arguments.items()}


def with_live_facts(llm_string: str) -> str:
    """LangChain's string of a call, with what it leaves out: schemas of classes, and what the environment says."""
    if _CLASS in llm_string:
        llm_string = _LITERAL_OR_CLASS.sub(_described, llm_string)
    # Not read by the factory: both belong to the user's client, which reads them when it is made.
    headers = os.environ.get(_HEADERS_VARIABLE)
    if headers and llm_string.startswith(_ANTHROPIC_CHAT):
        return _with_field(llm_string, _ANTHROPIC_CHAT, "environment_headers", _parsed(headers))
    address = os.environ.get(_ADDRESS_VARIABLE)
    if not address:
        return llm_string
    if llm_string.startswith(_OPENAI_CHAT):
        return _with_field(llm_string, _OPENAI_CHAT, _ADDRESS, address)
    if llm_string.startswith(_OPENAI_TEXT) and repr(_ADDRESS) not in llm_string:
        return f"{_OPENAI_TEXT}({_ADDRESS!r}, {address!r}), {llm_string[len(_OPENAI_TEXT) :]}"
    return llm_string


def _with_field(llm_string: str, head: str, name: str, value: JsonValue) -> str:
    """A field before the others: one of the same name that stands there already comes later, and so it counts."""
    rest = llm_string[len(head) :]
    return f"{head}{json.dumps(name)}: {json.dumps(value)}{'' if rest.startswith('}') else ', '}{rest}"


def _parsed(headers: str) -> dict[str, JsonValue]:
    """One header a line; by name, so that credentials among them are known as such."""
    pairs = (line.partition(":") for line in headers.split("\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _described(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    # The class is used for this call, so it lives: where only one of its name does, it is that one.
    shown = {repr(_shown(kind)) for kind in _subclasses(BaseModel) if _name(kind) == found[2]}
    if len(shown) > 1:
        return repr(HIDDEN)
    return shown.pop() if shown else found[0]


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _shown(kind: type[BaseModel]) -> dict[str, JsonValue]:
    try:
        schema = json.dumps(kind.model_json_schema())
    except Exception:  # pydantic raises errors of many kinds for what has no schema
        return HIDDEN
    return {"__class__": _name(kind), "__schema__": schema}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
