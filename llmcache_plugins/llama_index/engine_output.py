"""What engines answer, as JSON, and from JSON. Classes come from LlamaIndex and from the `output` class that the user
names, never from what is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.schema import BaseNode, Document, ImageNode, IndexNode, Node, NodeWithScore, TextNode
from llama_index.core.tools import ToolOutput
from pydantic import BaseModel

from llmcache_plugins.errors import CodecError
from llmcache_plugins.types import Hit, JsonValue

__all__ = ["Output", "output_of", "stored_of", "words_of"]

_FORM = "engine/1"
_NODES: dict[str, type[BaseNode]] = {
    "text": TextNode,
    "image": ImageNode,
    "index": IndexNode,
    "node": Node,
    "document": Document,
}
_WORDS = re.compile(r"\S+\s*|\s+")


class Output:
    """What an engine answered: a text or an object, the nodes it was made from, and more.

    Args:
        sources: of a chat engine, the outputs of its tools.
    """

    __slots__ = ("metadata", "nodes", "response", "sources")

    def __init__(
        self,
        response: str | BaseModel | None,
        nodes: Sequence[NodeWithScore] = (),
        metadata: Mapping[str, Any] | None = None,
        sources: Sequence[ToolOutput] = (),
    ) -> None:
        self.response = response
        self.nodes = list(nodes)
        self.metadata = metadata if metadata is None else dict(metadata)
        self.sources = list(sources)

    @property
    def text(self) -> str:
        response = self.response
        return response if isinstance(response, str) else "" if response is None else response.model_dump_json()

    @property
    def is_blank(self) -> bool:
        """Is nothing said, or only that nothing was found? With nodes it says that the LLM failed: LlamaIndex's
        synthesizers hold back some of its errors."""
        return self.text.strip() in ("", "Empty Response")

    def as_response(self) -> Response | PydanticResponse:
        if isinstance(self.response, BaseModel):
            return PydanticResponse(self.response, self.nodes, self.metadata)
        return Response(self.response, self.nodes, self.metadata)

    def as_chat(self) -> AgentChatResponse:
        return AgentChatResponse(self.text, self.sources, self.nodes, metadata=self.metadata)


def words_of(text: str) -> list[str]:
    """The pieces of a replayed stream."""
    return _WORDS.findall(text)


# ------------------------------------------------------------------------------------------------------------- in
def stored_of(output: Output, cls: Any = None) -> JsonValue:
    """
    Args:
        cls: the class of a response that is an object.

    Raises:
        CodecError: something in it is not JSON and cannot be given back.
    """
    return {
        "form": _FORM,
        "response": _response(output.response, cls),
        "nodes": [_node(node) for node in output.nodes],
        # A router's object among it is no reason to pay twice.
        "metadata": output.metadata
        and {name: value for name, value in output.metadata.items() if isinstance(name, str) and _is_json(value)},
        "sources": [_source(source, output) for source in output.sources],
    }


def _response(response: Any, cls: Any) -> JsonValue:
    if response is None or type(response) is str:
        return response
    if isinstance(response, BaseModel) and isinstance(cls, type) and type(response) is cls:
        dumped: JsonValue = response.model_dump(mode="json")
        if cls.model_validate(dumped) != response:
            raise CodecError(f"a {cls.__name__} does not come back equal from JSON")
        return {"model": dumped}
    raise CodecError(f"a response that is a {type(response).__name__} cannot be stored; give its class as output=")


def _node(found: NodeWithScore) -> JsonValue:
    node = found.node
    kind = next((kind for kind, cls in _NODES.items() if type(node) is cls), None)
    if kind is None or type(found) is not NodeWithScore:
        raise CodecError(f"a {type(node).__name__} among the source nodes cannot be stored")
    try:
        # Without the embedding: many numbers, which no answer needs.
        dumped = node.model_dump(mode="json", exclude={"embedding"}, warnings=False)
        again = _NODES[kind].model_validate(dumped).model_dump(mode="json", exclude={"embedding"}, warnings=False)
    except Exception as error:
        raise CodecError(f"a source node is not JSON and cannot be stored: {type(error).__name__}") from error
    if again != dumped or dumped.get("metadata") != node.metadata:
        raise CodecError("a source node does not come back equal from JSON")
    return {"kind": kind, "node": dumped, "score": None if found.score is None else float(found.score)}


def _source(source: ToolOutput, output: Output) -> JsonValue:
    return {
        "tool_name": source.tool_name,
        "content": source.content,
        "raw_input": _json(source.raw_input, "input of a tool"),
        "raw_output": _raw(source.raw_output, output),
        "is_error": source.is_error,
    }


def _raw(raw: Any, output: Output) -> JsonValue:
    """What a tool gave: nodes, a response, or JSON."""
    if isinstance(raw, list) and raw and all(isinstance(one, NodeWithScore) for one in raw):
        is_same = len(raw) == len(output.nodes) and all(a is b for a, b in zip(raw, output.nodes, strict=True))
        return {"same nodes": True} if is_same else {"nodes": [_node(one) for one in raw]}
    if type(raw) is Response:
        return {"response": stored_of(Output(raw.response, raw.source_nodes, raw.metadata))}
    return {"json": raw if _is_json(raw) else None}  # a stream that is not used up yet, for example


def _json(value: Any, where: str) -> JsonValue:
    if not _is_json(value):
        raise CodecError(f"the {where} is not JSON and cannot be stored")
    return value


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


# ------------------------------------------------------------------------------------------------------------ out
def output_of(hit: Hit, cls: Any = None) -> Output:
    """
    Raises:
        CodecError: what is stored is not of our making, or is not of this class.
    """
    try:
        return _output(hit.answer, cls)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored response cannot be read: {type(error).__name__}") from error


def _output(stored: JsonValue, cls: Any) -> Output:
    if stored["form"] != _FORM:
        raise CodecError("the stored response is of another form")
    response = stored["response"]
    if isinstance(response, dict):
        if cls is None:
            raise CodecError("the stored response needs a class, and no output= is given")
        response = cls.model_validate(response["model"])
    nodes = [_node_again(node) for node in stored["nodes"]]
    return Output(response, nodes, stored["metadata"], [_source_again(one, nodes) for one in stored["sources"]])


def _node_again(stored: JsonValue) -> NodeWithScore:
    return NodeWithScore(node=_NODES[stored["kind"]].model_validate(stored["node"]), score=stored["score"])


def _source_again(stored: JsonValue, nodes: list[NodeWithScore]) -> ToolOutput:
    ((word, value),) = stored["raw_output"].items()
    if word == "same nodes":
        raw: Any = nodes
    elif word == "nodes":
        raw = [_node_again(one) for one in value]
    else:
        raw = _output(value, None).as_response() if word == "response" else value
    return ToolOutput(
        tool_name=stored["tool_name"],
        content=stored["content"],
        raw_input=stored["raw_input"],
        raw_output=raw,
        is_error=stored["is_error"],
    )
