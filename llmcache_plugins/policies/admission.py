"""Which answers may be stored. Pure."""

from __future__ import annotations

from llmcache_plugins.types import Answer, JsonValue

__all__ = ["refusal_of"]

# Why a provider stopped, in the words of Anthropic, OpenAI, Google, Cohere, Ollama and Bedrock; compared in lower case.
_TRUNCATED = {
    "length",
    "max_length",
    "max_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "token_limit",
    "model_context_window_exceeded",
    "incomplete",
}
_REFUSED = {
    "refusal",
    "refused",
    "content_filter",
    "content_filtered",
    "guardrail_intervened",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "language",
    "image_safety",
}
_UNFINISHED = {"pause_turn", "paused", "in_progress", "queued"}
_FAILED = {"error", "failed", "malformed_function_call", "cancelled", "canceled", "aborted", "timeout"}


def refusal_of(answer: Answer, *, size: int, max_bytes: int, store_truncated: bool) -> str | None:
    """Why this answer must not be stored (`"empty"`, `"truncated"`, `"refused"`, `"unfinished"`, `"failed"`,
    `"too_large"`), or None when it may.

    Args:
        size: bytes of the serialised content.
    """
    if _is_empty(answer.content):
        return "empty"
    reason = (answer.finish_reason or "").strip().lower()
    if reason in _TRUNCATED and not store_truncated:
        return "truncated"
    if reason in _REFUSED:
        return "refused"
    if reason in _UNFINISHED:
        return "unfinished"
    if reason in _FAILED:
        return "failed"
    return "too_large" if size > max_bytes else None


def _is_empty(content: JsonValue) -> bool:
    if isinstance(content, str):
        return not content.strip()
    return content is None or (isinstance(content, list | dict) and not content)
