"""Through LangChain's `model.invoke`: exact hits beside the caches that LangChain users have today, and misses."""

from __future__ import annotations

import contextlib
import itertools
import logging
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from benchmarks.timing import Case, Group, measure
from benchmarks.workload import ANSWER, STORES, Plan, Workload, question
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

__all__ = ["FLOOR", "HIT", "MISS", "anthropic_model", "chain_hits", "chain_misses"]

HIT, MISS = "chain", "chain-miss"
FLOOR, NO_CACHE, SQLITE = "floor: InMemoryCache", "no cache", "SQLiteCache"
HISTORIES = (1, 20)
_CONVERSATIONS = 20
_SYSTEM = "You answer the questions of network engineers. Be brief and exact; say so when you do not know."
_users = itertools.count()


def conversation(number: int, messages: int) -> list[BaseMessage]:
    """A conversation of `messages` messages that ends with a question; the longer ones start with a system prompt."""
    turns: list[BaseMessage] = [] if messages == 1 else [SystemMessage(_SYSTEM)]
    while len(turns) < messages - 1:
        turns.append(AIMessage(ANSWER) if isinstance(turns[-1], HumanMessage) else HumanMessage(question(len(turns))))
    return [*turns, HumanMessage(question(1_000 + number))]


def chain_hits(workload: Workload, plan: Plan, *, with_sqlite_cache: bool = True) -> Iterator[Group]:
    """A group for every model and length of conversation; every conversation was answered once before."""
    with FakeAnthropic() as server, contextlib.ExitStack() as stack:
        caches = _caches(workload, stack, with_sqlite_cache=with_sqlite_cache)
        for name, make in (("instant fake model", _fake), ("ChatAnthropic", partial(anthropic_model, server.base_url))):
            models = {label: make(cache) for label, cache in caches.items()}
            if name == "instant fake model":
                models[NO_CACHE] = make(None)
            for messages in HISTORIES:
                asked = [conversation(number, messages) for number in range(_CONVERSATIONS)]
                yield _hits(f"{name}, {_count(messages)}", models, asked, plan)


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"


def _hits(title: str, models: dict[str, BaseChatModel], asked: list[list[BaseMessage]], plan: Plan) -> Group:
    rounds = [asked[number % len(asked)] for number in range(plan.slow_calls)]
    cases = [Case(label, model.invoke, lambda: rounds, _is_answer) for label, model in models.items()]
    for model in models.values():
        for messages in asked:
            model.invoke(messages)  # stored now; every later call is a hit
    return measure(HIT, title, cases, rounds=plan.rounds)


def chain_misses(workload: Workload, plan: Plan, *, with_sqlite_cache: bool = True) -> Iterator[Group]:
    """New conversations, answered by a loopback server that does not think: what is left is the client's own work."""
    with FakeAnthropic() as server, contextlib.ExitStack() as stack:
        caches = _caches(workload, stack, with_sqlite_cache=with_sqlite_cache)
        models: dict[str, BaseChatModel] = {NO_CACHE: anthropic_model(server.base_url, None)}
        models |= {
            label.removeprefix("floor: "): anthropic_model(server.base_url, cache) for label, cache in caches.items()
        }
        cases = [
            Case(label, model.invoke, partial(_new_conversations, plan.embed_calls), _is_answer)
            for label, model in models.items()
        ]
        yield measure(MISS, "ChatAnthropic, 3 messages", cases, rounds=plan.rounds)


def _new_conversations(count: int) -> list[list[BaseMessage]]:
    """Each with a first question of its own, so each in a scope of its own."""
    first = [HumanMessage(question(10_000 + next(_users))) for _ in range(count)]
    return [[message, AIMessage("That depends."), HumanMessage("On what?")] for message in first]


def _caches(workload: Workload, stack: contextlib.ExitStack, *, with_sqlite_cache: bool) -> dict[str, BaseCache]:
    caches: dict[str, BaseCache] = {FLOOR: InMemoryCache()}
    for store in STORES:
        caches[f"LLMCache, {store}"] = LLMCache(stack.enter_context(workload.open(store)))
    if with_sqlite_cache:
        caches[SQLITE] = _sqlite_cache(workload.folder, stack)
    return caches


def _sqlite_cache(folder: Path, stack: contextlib.ExitStack) -> BaseCache:
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")  # of a package at the end of its life, at the import and at every look-up
    from langchain_community.cache import SQLiteCache

    cache = SQLiteCache(str(folder / f"langchain-{next(_users)}.db"))
    stack.callback(cache.engine.dispose)
    return cache


def _fake(cache: BaseCache | None) -> BaseChatModel:
    return FakeListChatModel(responses=[ANSWER], cache=False if cache is None else cache)


def anthropic_model(base_url: str, cache: BaseCache | None) -> BaseChatModel:
    """The real client, against a loopback server."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 1024, "api_key": "loopback"}
    return ChatAnthropic(base_url=base_url, cache=False if cache is None else cache, **settings)


def _is_answer(message: object) -> bool:
    return isinstance(message, AIMessage) and bool(message.content)
