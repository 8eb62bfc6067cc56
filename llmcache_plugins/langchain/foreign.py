"""An answer that another plugin stored, as the message that `ChatAnthropic` would make of it.

Only calls that end in Anthropic's Messages API share their entries with other plugins.
"""

from __future__ import annotations

from langchain_core.messages import AIMessage

from llmcache_plugins.canonical.answer import ChatAnswer
from llmcache_plugins.types import JsonValue

__all__ = ["message_of_answer"]


def message_of_answer(answer: ChatAnswer) -> AIMessage:
    """The message, without usage and without what marks a hit. One text block alone becomes plain text."""
    blocks = [_block(block) for block in answer.blocks]
    return AIMessage(
        content=_content(blocks),
        tool_calls=[
            {"name": block["name"], "args": block["input"], "id": block["id"], "type": "tool_call"}
            for block in blocks
            if block["type"] == "tool_use"
        ],
        response_metadata={
            **answer.extra.get("anthropic", {}),
            "model_provider": "anthropic",
            "model": answer.model,
            "model_name": answer.model,
            "stop_reason": answer.stop_reason or ("tool_use" if answer.tool_calls else "end_turn"),
            "stop_sequence": answer.stop_sequence,
        },
    )


def _block(block: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Without the fields that the SDK fills with None."""
    return {name: value for name, value in block.items() if value is not None}


def _content(blocks: list[dict[str, JsonValue]]) -> JsonValue:
    alone = blocks[0] if len(blocks) == 1 else {}
    return alone["text"] if alone.get("type") == "text" and not alone.get("citations") else blocks
