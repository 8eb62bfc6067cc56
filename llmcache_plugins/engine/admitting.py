"""From a request and its answer to the entry that is stored, or to the reason why none is."""

from __future__ import annotations

import json

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.errors import CodecError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.policies import payload_of, refusal_of
from llmcache_plugins.types import Answer, Entry, Identity, JsonValue, Request, UpdateOutcome

__all__ = ["entry_of"]


def entry_of(
    request: Request, identity: Identity, answer: Answer, config: CacheConfig, now: float, expires_at: float | None
) -> Entry | UpdateOutcome:
    """The entry, without a vector, or the outcome of an update that must not store this answer.

    Raises:
        CodecError: the content is not JSON, or would not come back equal.
    """
    answer_json = _encoded(answer.content)
    reason = refusal_of(
        answer,
        size=len(answer_json.encode("utf-8", "surrogatepass")),
        max_bytes=config.max_answer_bytes,
        store_truncated=config.store_truncated,
    )
    if reason is not None:
        return UpdateOutcome(False, reason)
    return Entry(
        scope=identity.scope,
        key=identity.key,
        normalised_key=normalised_key_of(identity.scope, request.text),
        namespace=(*config.namespace, *request.namespace),
        text=request.text,
        answer_json=answer_json,
        created_at=now,
        expires_at=expires_at,
        is_candidate=request.exact_only is None and payload_of(request.text) is None,
        model=request.model,
        usage=answer.usage,
        generation_seconds=answer.generation_seconds,
    )


def _encoded(content: JsonValue) -> str:
    try:
        answer_json = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        is_json = json.loads(answer_json) == content  # a tuple would come back as a list, a key 1 as "1"
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"this answer cannot be stored: {type(error).__name__}; give JSON") from error
    if not is_json:
        raise CodecError("this answer cannot be stored: it would not come back equal; give JSON")
    return answer_json
