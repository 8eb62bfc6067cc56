"""The monitor: what it makes of the events of runs."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.callbacks import CallbackManager
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from llmcache_plugins import ConfigError, Usage
from llmcache_plugins.langchain import (
    LLMCacheCallbackHandler,
    get_llmcache_callback,
    unwatch_llmcache,
    watch_llmcache,
)
from llmcache_plugins.langchain.spending import PriceList, Spent, usage_of

MODEL = "claude-haiku-4-5-20251001"
PRICES = {"claude-haiku-4-5": (1.0, 5.0)}


def dollars(amount: float) -> Any:
    return pytest.approx(amount)


def usage(read: int, written: int, *, cached: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": read + cached,
        "output_tokens": written,
        "total_tokens": read + cached + written,
        "input_token_details": {"cache_read": cached, "cache_creation": 0},
    }


def answered(kind: str | None = None, *, model: str = MODEL, tokens: dict[str, Any] | None = None) -> LLMResult:
    """What a model's run ends with: a hit of this kind, or the model's own answer."""
    tokens = usage(100, 20) if tokens is None else tokens
    metadata: dict[str, Any] = {"model_name": model} if model else {}
    if kind is not None:
        metadata["llmcache"] = {"hit": True, "kind": kind, "tier": "warm", "saved_usage": tokens}
        tokens = usage(0, 0)
    message = AIMessage("yes", response_metadata=metadata, usage_metadata=tokens or None)
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def tell(
    handler: LLMCacheCallbackHandler,
    result: LLMResult | BaseException,
    *,
    parent: UUID | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> UUID:
    """One run of a model, as LangChain tells of it."""
    run = uuid4()
    handler.on_chat_model_start({}, [[]], run_id=run, parent_run_id=parent, tags=tags, metadata=metadata)
    if isinstance(result, BaseException):
        handler.on_llm_error(result, run_id=run, parent_run_id=parent, tags=tags)
    else:
        handler.on_llm_end(result, run_id=run, parent_run_id=parent, tags=tags)
    return run


def test_hits_misses_tokens_and_money_are_summed() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    tell(handler, answered())
    for kind in ("exact", "exact", "semantic"):
        tell(handler, answered(kind))
    total = handler.total
    assert (total.calls, total.hits, total.misses, total.hit_rate) == (4, {"exact": 2, "semantic": 1}, 1, 0.75)
    assert total.spent == Spent(1, 100, 20, usd=dollars(0.0002))
    assert total.saved == Spent(3, 300, 60, usd=dollars(0.0006))


def test_tokens_of_the_prompt_cache_are_counted_and_priced_apart() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    tell(handler, answered("exact", tokens=usage(100, 20, cached=1000)))
    assert handler.total.saved == Spent(1, 100, 20, 0, 1000, usd=dollars(0.0003))


def test_a_call_that_fails_or_is_cancelled_is_unfinished_and_costs_nothing() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    tell(handler, RuntimeError("down"))
    tell(handler, GeneratorExit())
    assert (handler.total.unfinished, handler.total.calls, handler.total.spent) == (2, 2, Spent())


def test_sums_by_model_and_by_the_users_own_tags() -> None:
    handler = LLMCacheCallbackHandler()
    tell(handler, answered(), tags=["seq:step:2", "billing"])
    tell(handler, answered("exact"), tags=["billing", "eu"])
    tell(handler, answered("exact", model="other"))
    assert {name: sums.calls for name, sums in handler.by_tag.items()} == {"billing": 2, "eu": 1}
    assert {name: sums.hit_count for name, sums in handler.by_model.items()} == {MODEL: 1, "other": 1}


def test_sums_by_the_outermost_run() -> None:
    handler = LLMCacheCallbackHandler()
    agent, tool = uuid4(), uuid4()
    handler.on_chain_start({}, {}, run_id=agent, parent_run_id=None)
    tell(handler, answered(), parent=agent)
    handler.on_tool_start({}, "", run_id=tool, parent_run_id=agent)
    tell(handler, answered("exact"), parent=tool)
    handler.on_tool_end("", run_id=tool, parent_run_id=agent)
    handler.on_chain_end({}, run_id=agent, parent_run_id=None)
    alone = tell(handler, answered("exact"))
    assert {run: (sums.hit_count, sums.misses) for run, sums in handler.by_run.items()} == {
        str(agent): (1, 1),
        str(alone): (1, 0),
    }


def test_only_so_many_runs_and_tags_are_remembered() -> None:
    handler = LLMCacheCallbackHandler(max_groups=2)
    runs = [str(tell(handler, answered(), tags=[f"user:{number}"])) for number in range(4)]
    assert (list(handler.by_run), list(handler.by_tag)) == (runs[2:], ["user:2", "user:3"])
    assert handler.total.calls == 4


def test_the_model_is_known_from_the_run_when_the_answer_does_not_name_it() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    tell(handler, answered(model=""), metadata={"ls_model_name": "claude-haiku-4-5"})
    tell(handler, answered(model=""))
    assert {name: sums.spent.unpriced for name, sums in handler.by_model.items()} == {
        "claude-haiku-4-5": 0,
        "unknown": 1,
    }
    assert handler.total.spent.usd == dollars(0.0002)


def test_a_call_without_a_price_costs_what_every_call_costs_or_is_counted_as_unpriced() -> None:
    free, flat = LLMCacheCallbackHandler(prices=PRICES), LLMCacheCallbackHandler(prices=PRICES, cost_per_call=0.01)
    for handler in (free, flat):
        tell(handler, answered("exact", model="other"))
        tell(handler, answered("exact"))
    assert (free.total.saved.unpriced, free.total.saved.usd) == (1, dollars(0.0002))
    assert (flat.total.saved.unpriced, flat.total.saved.usd) == (0, dollars(0.0102))


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("claude-haiku-4-5", 1.0),
        ("claude-haiku-4-5-20251001", 1.0),
        ("claude-haiku-4-5@20251001", 1.0),
        ("claude-haiku-4-5-latest", 1.0),
        ("claude-haiku-4-5-mini", None),  # another model, which costs something else
        ("claude-haiku", None),
    ],
)
def test_a_name_without_its_date_prices_the_dated_ones_too(model: str, usd: float | None) -> None:
    assert PriceList(PRICES).usd(model, Usage(1_000_000)) == usd


def test_four_prices_name_the_prompt_cache_too() -> None:
    tokens = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000)
    assert PriceList({"m": (1, 2, 3, 4)}).usd("m", tokens) == 10
    assert PriceList({"m": (1, 2)}).usd("m", tokens) == dollars(1 + 2 + 1.25 + 0.1)


@pytest.mark.parametrize("price", [1.0, (1.0,), (1.0, 2.0, 3.0), (1.0, -2.0), ("1", "2"), "12", (1.0, float("nan"))])
def test_a_price_that_is_none_is_refused(price: Any) -> None:
    with pytest.raises(ConfigError, match="'m'"):
        LLMCacheCallbackHandler(prices={"m": price})
    with pytest.raises(ConfigError, match="cost_per_call"):
        get_llmcache_callback(cost_per_call=-1).__enter__()


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (usage(10, 5, cached=7), Usage(10, 5, 0, 7)),
        ({"input_tokens": 30, "input_token_details": {"ephemeral_5m_input_tokens": 20}}, Usage(10, 0, 20, 0)),
        ({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}, Usage(3, 4, 0, 5)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(3, 4)),
        ({"input_tokens": None, "output_tokens": "many"}, Usage()),
        (None, Usage()),
    ],
)
def test_tokens_are_read_in_every_providers_words(reported: Any, expected: Usage) -> None:
    assert usage_of(reported) == expected


def test_a_completion_models_tokens_stand_beside_the_answer() -> None:
    handler = LLMCacheCallbackHandler()
    output = {"model_name": "davinci", "token_usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    tell(handler, LLMResult(generations=[[Generation(text="yes")]], llm_output=output))
    assert handler.by_model["davinci"].spent == Spent(1, 7, 2, unpriced=1)
    output = {"llmcache": {"hit": True, "kind": "exact", "saved_usage": {}}}
    tell(handler, LLMResult(generations=[[Generation(text="yes")]], llm_output=output))
    assert (handler.total.hits, handler.total.misses) == ({"exact": 1}, 1)


def test_a_chain_that_is_answered_as_a_whole_is_one_hit() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    outer, chain = uuid4(), uuid4()
    handler.on_chain_start({}, {}, run_id=outer, parent_run_id=None)
    handler.on_chain_start({}, {}, run_id=chain, parent_run_id=outer)
    mark = {"hit": True, "kind": "semantic", "model": MODEL, "saved_usage": {"input_tokens": 100, "output_tokens": 20}}
    handler.on_custom_event("llmcache", mark, run_id=chain, tags=["docs"])
    handler.on_custom_event("progress", {"hit": True}, run_id=chain)  # the application's own
    handler.on_custom_event("llmcache", "nonsense", run_id=chain)
    assert handler.total.hits == {"semantic": 1}
    assert handler.total.saved == Spent(1, 100, 20, usd=dollars(0.0002))
    assert handler.by_tag["docs"] == handler.by_run[str(outer)] == handler.total


def test_it_reads_in_a_few_lines_and_as_json() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    tell(handler, answered())
    tell(handler, answered("exact"))
    tell(handler, answered("exact", model="other"))
    assert str(handler).splitlines() == [
        "3 calls: 2 hits (exact 2), 1 miss; hit rate 67%",
        "spent: 1 call, 100 input and 20 output tokens, $0.0002",
        "saved: 2 calls, 200 input and 40 output tokens, $0.0002, 1 call without a price",
    ]
    said = handler.as_dict()
    assert (said["calls"], said["hits"], said["misses"], said["hit_rate"]) == (3, {"exact": 2}, 1, 0.6667)
    assert said["saved"]["usd"] == 0.0002
    assert set(said["by_model"]) == {MODEL, "other"}
    handler.clear()
    assert str(handler).startswith("0 calls: 0 hits, 0 misses")


def test_events_it_cannot_read_never_raise() -> None:
    handler = LLMCacheCallbackHandler()
    handler.raise_error = True  # whatever an application sets
    handler.on_llm_end("nonsense")  # type: ignore[arg-type]
    handler.on_chain_end({})
    tell(handler, LLMResult(generations=[]))
    tell(handler, LLMResult(generations=[[]], llm_output={"token_usage": 3}))
    assert handler.total.misses == 2


def test_nested_blocks_count_each_run_once() -> None:
    def run() -> None:
        manager = CallbackManager.configure()
        (model,) = manager.on_chat_model_start({}, [[]])
        model.on_llm_end(answered())

    with get_llmcache_callback() as outer:
        run()
        with get_llmcache_callback() as inner:
            run()
        run()
    run()
    assert (outer.total.calls, inner.total.calls) == (3, 1)


def test_a_block_counts_nothing_of_other_threads_and_a_watch_counts_all_of_them() -> None:
    def run() -> None:
        (model,) = CallbackManager.configure().on_chat_model_start({}, [[]])
        model.on_llm_end(answered())

    watching = watch_llmcache()
    try:
        assert watch_llmcache(watching) is watching  # not counted twice
        with get_llmcache_callback() as block:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            run()
    finally:
        unwatch_llmcache(watching)
    run()
    assert (block.total.calls, watching.total.calls) == (1, 2)


def test_hooks_are_used_again() -> None:
    from langchain_core.tracers.context import _configure_hooks

    for _ in range(3):
        with get_llmcache_callback():
            unwatch_llmcache(watch_llmcache())
    before = len(_configure_hooks)
    for _ in range(10):
        with get_llmcache_callback():
            unwatch_llmcache(watch_llmcache())
    assert len(_configure_hooks) == before


def test_threads_that_count_at_the_same_time_lose_nothing() -> None:
    handler = LLMCacheCallbackHandler(prices=PRICES)
    threads = [threading.Thread(target=lambda: [tell(handler, answered()) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (handler.total.misses, handler.total.spent.input_tokens) == (800, 80_000)
