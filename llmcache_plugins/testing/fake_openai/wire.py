"""What the API says of a request: its error envelope, and the checks a replaying cache can fail."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from typing import Any, NoReturn

from llmcache_plugins.testing.loopback import Json, LoopbackError

__all__ = ["APIError", "Json", "new_id", "text_of", "validate"]

_LETTERS = string.ascii_letters + string.digits
_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
_LONGEST_TOOL_ID = 40
_MOST_CHOICES = 128
_MOST_STOPS = 4
_ERROR_TYPES = {429: "requests"}  # https://platform.openai.com/docs/guides/error-codes
_ERROR_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class APIError(LoopbackError):
    """An HTTP error of the API; the status decides its type, and its code where none is given."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.param = param
        self.code = code or _ERROR_CODES.get(status)

    @property
    def envelope(self) -> Json:
        kind = "server_error" if self.status >= 500 else _ERROR_TYPES.get(self.status, "invalid_request_error")
        if self.code == "insufficient_quota":
            kind = self.code
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def new_id(prefix: str, length: int = 24) -> str:
    """A random id in the API's own form, `call_...` or `chatcmpl-...`."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def text_of(content: Any) -> str:
    """The text of a message's content, a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if part.get("type") == "text")


def validate(body: Json) -> None:
    """Refuse what the API refuses: no messages, tool calls and tool messages that do not pair up, ...

    Raises:
        APIError: status 400, with the API's own wording where it is known.
    """
    if not isinstance(body.get("model"), str):
        _refuse("you must provide a model parameter")
    messages = body.get("messages")
    if messages is None:
        _refuse("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not isinstance(messages, list) or not messages:
        _refuse_empty("messages")
    _check_tools(body)
    _check_limits(body)
    unanswered: set[str] = set()
    calls: set[str] = set()
    for index, message in enumerate(messages):
        _check_message(index, message)
        if message["role"] == "tool":
            _check_tool_message(index, message, calls)
            unanswered.discard(message["tool_call_id"])
            continue
        if unanswered:
            _refuse_unanswered(index, unanswered)
        calls = {str(call.get("id")) for call in message.get("tool_calls") or []}
        unanswered = set(calls)
    if unanswered:
        _refuse_unanswered(len(messages), unanswered)
    _check_json_mode(body)


def _refuse(message: str, param: str | None = None, code: str | None = None) -> NoReturn:
    raise APIError(400, message, param=param, code=code)


def _refuse_empty(name: str) -> NoReturn:
    rule = "empty array. Expected an array with minimum length 1, but got an empty array instead."
    _refuse(f"Invalid '{name}': {rule}", name, "empty_array")


def _refuse_unanswered(index: int, call_ids: set[str]) -> NoReturn:
    rule = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    ids = ", ".join(sorted(call_ids))
    _refuse(
        f"{rule} The following tool_call_ids did not have response messages: {ids}", f"messages.[{index}].role", None
    )


def _check_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                _refuse(f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", name)
        return
    if not tools:
        _refuse_empty("tools")
    names = [(tool.get("function") or {}).get("name") for tool in tools if tool.get("type") == "function"]
    for index, given in enumerate(names):
        if not isinstance(given, str) or not _FUNCTION_NAME.fullmatch(given):
            param = f"tools[{index}].function.name"
            _refuse(f"Invalid '{param}': string does not match pattern '^[a-zA-Z0-9_-]+$'.", param, "invalid_value")
    choice = body.get("tool_choice")
    wanted = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    if wanted is not None and wanted not in names:
        _refuse(f"Tool choice '{wanted}' not found in 'tools' parameter.", "tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        supported = "Supported values are: 'none', 'auto', and 'required'."
        _refuse(f"Invalid value: '{choice}'. {supported}", "tool_choice", "invalid_value")


def _check_limits(body: Json) -> None:
    choices = body.get("n")
    if choices is not None and not (isinstance(choices, int) and 1 <= choices <= _MOST_CHOICES):
        _refuse(f"Invalid 'n': expected an integer from 1 to {_MOST_CHOICES}.", "n")
    if isinstance(body.get("stop"), list) and len(body["stop"]) > _MOST_STOPS:
        _refuse(f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}.", "stop")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        _refuse("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens")
    if body.get("stream_options") is not None and not body.get("stream"):
        rule = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        _refuse(f"Invalid value for 'stream_options': {rule}", "stream_options")


def _check_message(index: int, message: Any) -> None:
    if not isinstance(message, dict):
        _refuse(f"Invalid type for 'messages[{index}]': expected an object.", f"messages[{index}]", "invalid_type")
    role = message.get("role")
    if role not in _ROLES:
        supported = ", ".join(f"'{name}'" for name in _ROLES)
        _refuse(f"Invalid value: '{role}'. Supported values are: {supported}.", f"messages[{index}].role")
    content = message.get("content")
    has_calls = role == "assistant" and (message.get("tool_calls") or message.get("function_call"))
    if content is None and not has_calls and not message.get("refusal"):
        _refuse("Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content")
    if content == []:
        _refuse_empty(f"messages[{index}].content")
    for part in content if isinstance(content, list) else []:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _PARTS:
            supported = ", ".join(f"'{name}'" for name in _PARTS)
            param = f"messages[{index}].content"
            _refuse(f"Invalid value: '{kind}'. Supported values are: {supported}.", param, "invalid_value")
    if role == "assistant" and "tool_calls" in message:
        _check_calls(index, message["tool_calls"])


def _check_calls(index: int, calls: Any) -> None:
    if calls == []:
        _refuse_empty(f"messages[{index}].tool_calls")
    for position, call in enumerate(calls or []):
        where = f"messages[{index}].tool_calls[{position}]"
        call_id = call.get("id")
        if not isinstance(call_id, str):
            _refuse(f"Missing required parameter: '{where}.id'.", f"{where}.id", "missing_required_parameter")
        if len(call_id) > _LONGEST_TOOL_ID:
            rule = f"string too long. Expected a string with maximum length {_LONGEST_TOOL_ID}"
            _refuse(f"Invalid '{where}.id': {rule}.", f"{where}.id", "string_above_max_length")
        function = call.get("function") or {}
        if call.get("type") == "function" and not isinstance(function.get("arguments"), str):
            param = f"{where}.function.arguments"
            _refuse(f"Invalid type for '{param}': expected a string.", param, "invalid_type")


def _check_tool_message(index: int, message: Json, calls: set[str]) -> None:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        param = f"messages[{index}].tool_call_id"
        _refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    if not calls:
        rule = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        _refuse(f"Invalid parameter: {rule}", f"messages.[{index}].role")
    if call_id not in calls:
        rule = f"'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message."
        _refuse(f"Invalid parameter: {rule}", f"messages.[{index}].tool_call_id")


def _check_json_mode(body: Json) -> None:
    """JSON mode without the word leads real models to endless white space, so the API insists on it."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        rule = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        _refuse(rule, "messages")
    if wanted.get("type") == "json_schema" and not (wanted.get("json_schema") or {}).get("name"):
        param = "response_format.json_schema.name"
        _refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
