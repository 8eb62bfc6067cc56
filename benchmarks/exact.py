"""Exact hits in the bare engine, beside what hashing the request and one dict look-up cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.timing import Case, Group, measure
from benchmarks.workload import ANSWER, STORES, Plan, Workload, question
from llmcache_plugins import SemanticCache
from llmcache_plugins.keys.fingerprint import identify, key_of, scope_of
from llmcache_plugins.types import Hit, Request

__all__ = ["SECTION", "exact_hits"]

SECTION = "exact"
PLAIN, CHAT = "plain string", "chat request"


def exact_hits(workload: Workload, plan: Plan) -> Iterator[Group]:
    """A group for every size and kind of request; all stores in each."""
    for size in plan.sizes:
        caches = {store: workload.filled(store, size) for store in STORES}
        try:
            asked = _cycled([question(number * 7 % size) for number in range(plan.calls)], plan.calls)
            yield _group(f"{PLAIN}, {size:,} entries", caches, asked, _plain_floor(asked), plan)
            chats = _cycled(workload.asked_requests(), plan.calls)
            yield _group(f"{CHAT}, {size:,} entries", caches, chats, _chat_floor(chats), plan)
        finally:
            for cache in caches.values():
                cache.close()


def _cycled(inputs: Sequence[Any], count: int) -> list[Any]:
    return [inputs[number % len(inputs)] for number in range(count)]


def _plain_floor(texts: Sequence[str]) -> Callable[[str], object]:
    scope = scope_of(Request(""))
    entries = {(scope, key_of(scope, text)): ANSWER for text in texts}
    return lambda text: entries[scope, key_of(scope, text)]


def _chat_floor(requests: Sequence[Request]) -> Callable[[Request], object]:
    identities = [identify(request) for request in requests]
    entries = {(identity.scope, identity.key): ANSWER for identity in identities}

    def floor(request: Request) -> object:
        identity = identify(request)
        return entries[identity.scope, identity.key]

    return floor


def _group(
    title: str, caches: dict[str, SemanticCache], asked: list[Any], floor: Callable[[Any], object], plan: Plan
) -> Group:
    cases = [Case("floor: hash and dict look-up", floor, lambda: asked)]
    for store, cache in caches.items():
        cases.append(Case(f"{store}, lookup", cache.lookup, lambda: asked, _is_exact))
        cases.append(Case(f"{store}, get_or_generate", _getter(cache), lambda: asked, lambda a: bool(a == ANSWER)))
    return measure(SECTION, title, cases, rounds=plan.rounds)


def _getter(cache: SemanticCache) -> Callable[[Any], object]:
    return lambda request: cache.get_or_generate(request, _never)


def _never() -> str:
    raise RuntimeError("an exact hit called the model")


def _is_exact(outcome: object) -> bool:
    return isinstance(outcome, Hit) and outcome.kind == "exact"
