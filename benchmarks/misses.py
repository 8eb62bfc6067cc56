"""What a miss costs on top of the model call: the lookup that finds nothing, and the update."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.exact import CHAT
from benchmarks.timing import Case, Group, measure
from benchmarks.workload import ANSWER, STORES, Plan, Workload, chat_request
from llmcache_plugins import SemanticCache
from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Miss, Request, UpdateOutcome

__all__ = ["SECTION", "embedded_misses", "misses"]

SECTION = "miss"
FLOOR = "floor: hash the request"
_models = itertools.count()


def misses(workload: Workload, plan: Plan) -> Iterator[Group]:
    """Lookup, update and both together; with given vectors where there is anything to compare with."""
    size = max(plan.sizes)
    with contextlib.ExitStack() as stack:
        caches = {store: stack.enter_context(workload.filled(store, size)) for store in STORES}
        yield _in_new_scopes(caches, plan)
        yield _in_one_scope(caches, workload, plan, size)


def _in_new_scopes(caches: dict[str, SemanticCache], plan: Plan) -> Group:
    """Every request has a scope of its own, as each history and each retrieved context has: no vector is needed."""
    fresh = partial(_new_scopes, plan.slow_calls)
    cases = [Case(FLOOR, identify, fresh)]
    for store, cache in caches.items():
        cases += _three(store, cache, fresh)
    return measure(SECTION, f"{CHAT} in a new scope", cases, rounds=plan.rounds)


def _in_one_scope(caches: dict[str, SemanticCache], workload: Workload, plan: Plan, size: int) -> Group:
    """Plain questions in the scope of all others: searched by meaning, none near enough, stored with a vector."""
    fresh = partial(workload.unknown, plan.slow_calls)
    cases = [Case(FLOOR, lambda text: identify(Request(text)), fresh)]
    for store, cache in caches.items():
        cases += _three(store, cache, fresh)
    return measure(SECTION, f"plain string, {size:,} entries in the scope, vector given", cases, rounds=plan.rounds)


def _three(store: str, cache: SemanticCache, fresh: Callable[[], list[Any]]) -> list[Case]:
    return [
        Case(f"{store}, lookup", cache.lookup, fresh, _is_miss),
        Case(f"{store}, update", lambda request: cache.update(request, ANSWER), fresh, _is_stored),
        Case(f"{store}, get_or_generate", lambda request: cache.get_or_generate(request, _answer), fresh),
    ]


def embedded_misses(workload: Workload, plan: Plan, embedder: Embedder) -> Iterator[Group]:
    """The same with the real model, which runs once for the lookup and, its vector being remembered, not again."""
    with contextlib.ExitStack() as stack:
        cases = [Case("floor: the embedder alone", lambda text: embedder.embed([text]), lambda: _odd(plan.embed_calls))]
        for store in STORES:
            cache = stack.enter_context(workload.open(store, embedder=embedder))
            cache.update("Which cable do I need?", ANSWER)
            fresh = partial(_odd, plan.embed_calls)
            cases.append(Case(f"{store}, lookup", cache.lookup, fresh, _is_miss))
            cases.append(Case(f"{store}, update", lambda t, cache=cache: cache.update(t, ANSWER), fresh, _is_stored))  # type: ignore[misc]  # bound now
        yield measure(SECTION, "plain string, real embedder", cases, rounds=min(plan.rounds, 11))


_odd_numbers = itertools.count(1)


def _odd(count: int) -> list[str]:
    """Questions that differ in a number alone: the guards refuse what the model finds alike."""
    return [f"How many ports has the switch in rack {next(_odd_numbers)}?" for _ in range(count)]


def _new_scopes(count: int) -> list[Request]:
    return [chat_request("Which states does a session have?", model=f"model-{next(_models)}") for _ in range(count)]


def _answer() -> str:
    return ANSWER


def _is_miss(outcome: object) -> bool:
    return isinstance(outcome, Miss)


def _is_stored(outcome: object) -> bool:
    return isinstance(outcome, UpdateOutcome) and outcome.stored
