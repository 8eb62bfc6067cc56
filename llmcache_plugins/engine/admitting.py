"""From a request and its answer to the entry that is stored, or to the reason why none is."""

from __future__ import annotations

import json
from collections.abc import Callable

from llmcache_plugins.config import CacheConfig, Default
from llmcache_plugins.engine.surroundings import Surroundings
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.keys.label import bucket_end
from llmcache_plugins.policies import payload_of, refusal_of
from llmcache_plugins.policies.freshness import Freshness
from llmcache_plugins.policies.tolerance import Tolerance
from llmcache_plugins.protocols import Profiler
from llmcache_plugins.types import Answer, Entry, Identity, JsonValue, Profile, Request, UpdateOutcome

__all__ = ["Admission"]


_MOST_PROFILED = 256  # questions whose profile waits for their answer
# What is no text, answer or vector is small, and no capacity in bytes counts it: more than that is no entry's.
_MOST_TAGS = 10_000
_LONGEST_NAMES = 1024 * 1024  # characters: of the tags, and of namespace, model, label and query type


class Admission:
    """Makes entries by the settings of one cache.

    Args:
        node: the id of the process that stores.
        profiler: None to profile nothing.
        profiler_failed: hears why a question could not be profiled. It may raise.
        kept: what of a question's text may be stored; None when nobody can tell.
    """

    def __init__(
        self,
        config: CacheConfig,
        *,
        surroundings: Surroundings,
        freshness: Freshness,
        tolerance: Tolerance,
        node: Callable[[], str],
        profiler: Profiler | None,
        profiler_failed: Callable[[Exception], None],
        kept: Callable[[str], str | None] = str,
    ) -> None:
        self._config = config
        self._surroundings = surroundings
        self._freshness = freshness
        self._tolerance = tolerance
        self._node = node
        self._profiler = profiler
        self._profiler_failed = profiler_failed
        self._kept = kept
        self._profiled: dict[str, tuple[Request, Profile]] = {}  # of misses whose answers have not come yet

    def __call__(
        self, request: Request, identity: Identity, answer: Answer, now: float, ttl: float | Default | None
    ) -> Entry | UpdateOutcome:
        """The entry, without a vector, or the outcome of an update that must not store this answer.

        Raises:
            CodecError: the content is not JSON, or would not come back equal.
        """
        if len(request.text) > self._config.max_answer_bytes or _length_of_names(request) > _LONGEST_NAMES:
            return UpdateOutcome(False, "too_large")
        answer_json = _encoded(answer.content)
        reason = refusal_of(
            answer,
            size=len(answer_json.encode("utf-8", "surrogatepass")),
            max_bytes=self._config.max_answer_bytes,
            store_truncated=self._config.store_truncated,
        )
        if reason is not None:
            return UpdateOutcome(False, reason)
        text = self._kept(request.text)
        if text is None:
            return UpdateOutcome(False, "redaction_error")
        try:
            profile = self._profile_of(request, identity, answer)
        except Exception as error:
            # Without its tags no invalidation would find it, and without its class it might live for too long.
            self._profiler_failed(error)
            return UpdateOutcome(False, "profiler_error")
        if len(profile.tags) > _MOST_TAGS or sum(map(len, profile.tags)) > _LONGEST_NAMES:
            return UpdateOutcome(False, "too_large")  # without some of them an invalidation would not find it
        expires_at = self._expiry(request, profile, now, ttl)
        if expires_at is not None and expires_at <= now:
            return UpdateOutcome(False, "expired")  # its time bucket ended while the model was at work
        return Entry(
            scope=identity.scope,
            key=identity.key,
            normalised_key=normalised_key_of(identity.scope, request.text),
            namespace=(*self._config.namespace, *request.namespace),
            text=text,
            answer_json=answer_json,
            created_at=now,
            expires_at=expires_at,
            # Guards that cannot read the whole question are blind.
            is_candidate=request.exact_only is None and payload_of(request.text) is None and text == request.text,
            model=request.model,
            usage=answer.usage,
            generation_seconds=answer.generation_seconds,
            node_id=self._node(),
            profile=profile,
            label=request.label,
            tolerant=self._tolerance.split(request.params)[1],
            finish_reason=answer.finish_reason,
        )

    def query_type_of(self, request: Request, identity: Identity) -> str:
        """What a question that was not answered is about; empty where the profiler cannot tell. One that fails is told
        of when the answer comes: this is for the statistics alone."""
        if request.query_type or self._profiler is None:
            return request.query_type or ""
        try:
            found = self._profiler(request)
            query_type = str(found.query_type)
        except Exception:
            return ""
        if len(self._profiled) >= _MOST_PROFILED:
            self._profiled.clear()  # calls that failed leave theirs behind; the others are profiled again
        self._profiled[identity.key] = request, found
        return query_type

    def _profile_of(self, request: Request, identity: Identity, answer: Answer) -> Profile:
        """What the request says itself, the profiler of the rest, and the tags of the answer."""
        before = self._profiled.pop(identity.key, None)
        if before is not None and before[0] is request:
            found = before[1]  # asked once for each call of the model
        else:
            found = Profile() if self._profiler is None else self._profiler(request)
        if not isinstance(found, Profile):
            raise ConfigError(f"a profiler gives a Profile, not {type(found).__name__}")
        volatility = request.volatility or found.volatility
        tags = self._surroundings.check(
            tags=(*request.tags, *found.tags, *answer.tags), volatility=volatility or None, query_type=found.query_type
        )
        return Profile(request.query_type or found.query_type, volatility, tuple(dict.fromkeys(tags)))

    def _expiry(self, request: Request, profile: Profile, now: float, ttl: float | Default | None) -> float | None:
        """When the entry expires: by what was given, here or around the call, else by its profile; with its time
        bucket at the latest, for after that nobody asks for it."""
        ttl = self._surroundings.ttl(ttl)
        if isinstance(ttl, Default):
            ttl = self._freshness.ttl_of(profile)
        ends = [end for end in (bucket_end(request.label), None if ttl is None else now + ttl) if end is not None]
        return min(ends, default=None)


def _length_of_names(request: Request) -> int:
    names = (request.provider, request.model, request.label, request.query_type or "", *request.namespace)
    return sum(map(len, names))


def _encoded(content: JsonValue) -> str:
    try:
        answer_json = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        is_json = json.loads(answer_json) == content  # a tuple would come back as a list, a key 1 as "1"
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"this answer cannot be stored: {type(error).__name__}; give JSON") from error
    if not is_json:
        raise CodecError("this answer cannot be stored: it would not come back equal; give JSON")
    return answer_json
