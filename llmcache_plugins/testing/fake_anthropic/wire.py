"""What the API says of a request: its error envelope, and the checks a replaying cache can fail."""

from __future__ import annotations

import re
import secrets
from typing import Any, NoReturn

from llmcache_plugins.testing.loopback import Json, LoopbackError

__all__ = ["APIError", "Json", "blocks_of", "new_id", "require_max_tokens", "text_of", "validate"]

_ID_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ERROR_TYPES = {  # https://docs.claude.com/en/api/errors
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class APIError(LoopbackError):
    """An HTTP error of the API, with the status that decides its type."""

    @property
    def envelope(self) -> Json:
        error = {"type": _ERROR_TYPES.get(self.status, "api_error"), "message": self.message}
        return {"type": "error", "error": error, "request_id": new_id("req")}


def new_id(prefix: str) -> str:
    """A random id in the API's own form, `msg_01...` for example."""
    return f"{prefix}_01" + "".join(secrets.choice(_ID_LETTERS) for _ in range(22))


def blocks_of(content: Any) -> list[Json]:
    """The content blocks of a message; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content or [])


def text_of(content: Any) -> str:
    return "".join(block.get("text", "") for block in blocks_of(content) if block.get("type") == "text")


def validate(body: Json) -> None:
    """Refuse what the API refuses: no model, empty messages, tool calls and results that do not pair up.

    Raises:
        APIError: status 400, with the API's own wording where it is known.
    """
    if not isinstance(body.get("model"), str):
        _refuse("model: Field required")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        _refuse("messages: at least one message is required")
    _check_tool_choice(body)
    seen: set[str] = set()
    unanswered: set[str] = set()
    for index, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant", "system"):
            _refuse(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        blocks = blocks_of(message.get("content"))
        _check_content(index, message["role"], blocks, is_last=index == len(messages) - 1)
        _check_results(index, blocks, unanswered)
        unanswered = _new_tool_ids(index, blocks, seen)
    if unanswered:
        _refuse_unanswered(len(messages) - 1, unanswered)


def require_max_tokens(body: Json) -> None:
    """`max_tokens` is required by /v1/messages but not by /v1/messages/count_tokens."""
    if not isinstance(body.get("max_tokens"), int):
        _refuse("max_tokens: Field required")


def _refuse(message: str) -> NoReturn:
    raise APIError(400, message)


def _refuse_unanswered(index: int, tool_ids: set[str]) -> NoReturn:
    ids = ", ".join(sorted(tool_ids))
    _refuse(f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}")


def _check_tool_choice(body: Json) -> None:
    choice = body.get("tool_choice") or {}
    names = {tool.get("name") for tool in body.get("tools") or []}
    if choice.get("type") == "tool" and choice.get("name") not in names:
        _refuse(f"tool_choice.name: tool '{choice.get('name')}' not found in provided tools")


def _check_content(index: int, role: str, blocks: list[Json], *, is_last: bool) -> None:
    if not blocks and role == "user":
        _refuse("messages: text content blocks must be non-empty")
    if not blocks and not (is_last and role == "assistant"):
        rule = "all messages must have non-empty content except for the optional final assistant message"
        _refuse(f"messages.{index}: {rule}")
    if any(block.get("type") == "text" and not block.get("text", "").strip() for block in blocks):
        _refuse("messages: text content blocks must be non-empty")


def _check_results(index: int, blocks: list[Json], unanswered: set[str]) -> None:
    results = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
    if unanswered - results:
        _refuse_unanswered(index - 1, unanswered - results)
    if results - unanswered:
        ids = ", ".join(sorted(results - unanswered))
        _refuse(f"messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {ids}")


def _new_tool_ids(index: int, blocks: list[Json], seen: set[str]) -> set[str]:
    """The ids of this message's tool calls; adds them to `seen`."""
    fresh: set[str] = set()
    for block in blocks:
        if block.get("type") != "tool_use":
            continue
        tool_id = str(block.get("id"))
        if tool_id in seen:
            _refuse("messages: `tool_use` ids must be unique")
        if not _TOOL_ID.fullmatch(tool_id):
            _refuse(f"messages.{index}.content.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        seen.add(tool_id)
        fresh.add(tool_id)
    return fresh
