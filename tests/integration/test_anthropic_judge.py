"""A Claude model as a judge, through the real SDK against a server that plays the API."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from llmcache_plugins import ConfigError, Hit, Miss, SemanticCache, open_cache
from llmcache_plugins.anthropic import AnthropicJudge, cache_client
from llmcache_plugins.testing import FakeAnthropic, FakeEmbedder

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
OTHERS = [f"{ASKED} {word}" for word in ("now", "here", "there", "then")]


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        running.handler = verdict("YES")
        yield running


@pytest.fixture
def client(server: FakeAnthropic) -> Iterator[Any]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield made


def verdict(word: str) -> Any:
    """A model that does what it is told: the word, with the mark of the sheet."""

    def handler(body: dict[str, Any]) -> dict[str, Any]:
        said = re.search(rf"{word}-\w+", body["system"])
        assert said is not None
        return {"content": [{"type": "text", "text": said[0]}]}

    return handler


def opened(judge: Any, **settings: Any) -> SemanticCache:
    groups = dict.fromkeys((ASKED, STORED, *OTHERS), "bgp")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.9), judge=judge, **settings)
    cache.update(STORED, "Six.")
    return cache


@pytest.mark.parametrize(("word", "kind"), [("YES", Hit), ("NO", Miss)])
def test_the_model_decides(server: FakeAnthropic, client: Any, word: str, kind: type) -> None:
    server.handler = verdict(word)
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(cache.lookup(ASKED), kind)
        assert cache.stats().judged == {word.lower(): 1}


async def test_in_asynchronous_lookups_too(server: FakeAnthropic, client: Any) -> None:
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(await cache.alookup(ASKED), Hit)
    assert server.count() == 1


async def test_an_asynchronous_client_is_awaited_on_the_callers_loop(server: FakeAnthropic) -> None:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url) as client:
        with opened(client) as cache:
            assert isinstance(cache.lookup(ASKED), Miss)
            assert cache.stats().errors == {"judge": 1}
            assert isinstance(await cache.alookup(ASKED), Hit)
    assert server.count() == 1


def test_a_client_itself_is_a_judge(server: FakeAnthropic, client: Any) -> None:
    with opened(client) as cache:
        assert isinstance(cache.lookup(ASKED), Hit)
    assert server.requests[0]["body"]["model"] == "claude-haiku-4-5"


def test_one_short_request_at_temperature_0_with_both_questions_between_marks(
    server: FakeAnthropic, client: Any
) -> None:
    with opened(AnthropicJudge(client, model="claude-of-tomorrow", shows_answer=True)) as cache:
        cache.lookup(ASKED)
    (request,) = server.requests
    body = request["body"]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("claude-of-tomorrow", 0.0, 24)
    (message,) = body["messages"]
    mark = re.search(r"YES-(\w+)", body["system"])
    assert mark is not None
    for name, text in (("A", ASKED), ("B", STORED), ("stored answer", "Six.")):
        assert f"<<<{name} {mark[1]}>>>\n{text}\n<<<end of {name} {mark[1]}>>>" in message["content"]
        assert text not in body["system"]


def test_a_model_that_takes_no_temperature_is_given_none(server: FakeAnthropic, client: Any) -> None:
    with opened(AnthropicJudge(client, temperature=None)) as cache:
        cache.lookup(ASKED)
    assert "temperature" not in server.requests[0]["body"]


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "YES"},
        {"text": "I think they are the same."},
        {"content": []},
        {"content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]},
    ],
)
def test_any_other_reply_is_no_verdict(server: FakeAnthropic, client: Any, answer: dict[str, Any]) -> None:
    server.enqueue(**answer)
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().judged == {"none": 1}
        assert cache.stats().errors == {}


def test_a_refusal_is_no_verdict_whatever_it_says(server: FakeAnthropic, client: Any) -> None:
    obliging = verdict("YES")
    server.handler = lambda body: {**obliging(body), "stop_reason": "refusal"}
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().judged == {"none": 1}


def test_thoughts_before_the_word_are_let_pass(server: FakeAnthropic, client: Any) -> None:
    obliging = verdict("YES")

    def thinking(body: dict[str, Any]) -> dict[str, Any]:
        thought = {"type": "thinking", "thinking": "NO?", "signature": "s"}
        return {"content": [thought, *obliging(body)["content"]]}

    server.handler = thinking
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(cache.lookup(ASKED), Hit)


def test_an_error_of_the_api_is_a_miss_and_counted(server: FakeAnthropic, client: Any) -> None:
    server.enqueue(status=500, message=f"about {ASKED}")
    with opened(AnthropicJudge(client)) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().errors == {"judge": 1}
        assert isinstance(cache.lookup(ASKED), Hit)  # it was no verdict, so it is asked again


def test_a_server_that_does_not_answer_is_given_up(server: FakeAnthropic, client: Any) -> None:
    release = threading.Event()
    server.handler = lambda body: release.wait(20) and None
    try:
        with opened(AnthropicJudge(client), judge_timeout=0.05) as cache:
            assert isinstance(cache.lookup(ASKED), Miss)
            assert cache.stats().errors == {"judge": 1}
    finally:
        release.set()


async def test_a_server_that_does_not_answer_blocks_no_loop(server: FakeAnthropic) -> None:
    release = threading.Event()
    server.handler = lambda body: release.wait(20) and None
    try:
        async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url) as client:
            with opened(AnthropicJudge(client), judge_timeout=0.05) as cache:
                assert isinstance(await asyncio.wait_for(cache.alookup(ASKED), 10), Miss)
    finally:
        release.set()


def test_tokens_are_money_and_the_budget_is_kept(server: FakeAnthropic, client: Any) -> None:
    obliging = verdict("NO")
    used = {"input_tokens": 300, "output_tokens": 8, "cache_read_input_tokens": 100}
    server.handler = lambda body: {**obliging(body), "usage": used}
    cost = (400 * 1.0 + 8 * 5.0) / 1e6
    with opened(AnthropicJudge(client, price=(1.0, 5.0)), judge_budget=2.5 * cost) as cache:
        for question in OTHERS:
            cache.lookup(question)
        stats = cache.stats()
        assert stats.judged == {"no": 2, "budget": 2}
        assert stats.judge_cost == pytest.approx(2 * cost)


def test_a_budget_without_a_price_is_refused(client: Any) -> None:
    with pytest.raises(ConfigError, match="judge_budget needs to know what the judge costs"):
        opened(AnthropicJudge(client), judge_budget=1.0)
    opened(AnthropicJudge(client), judge_budget=1.0, judge_cost=0.001).close()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_behind_the_same_cache_is_asked_past_it(server: FakeAnthropic, kind: str) -> None:
    where: dict[str, Any] = {"api_key": "test", "base_url": server.base_url}
    cache = opened(None)
    async with anthropic.AsyncAnthropic(**where) as later:
        with anthropic.Anthropic(**where) as now:
            client = cache_client(later if kind == "async" else now, cache)
            with opened(AnthropicJudge(client)) as judged:
                for question in OTHERS:  # the same words to the model, but for the marks
                    assert isinstance(await judged.alookup(question), Hit)
            assert cache.stats().lookups == 0
            own = client.messages.create(
                model="claude-haiku-4-5", max_tokens=9, system="YES-1", messages=[{"role": "user", "content": "Hi"}]
            )
            await own if kind == "async" else None
            assert cache.stats().lookups == 1  # the cache is in its place, and hears of other calls
    cache.close()


@pytest.mark.parametrize("wrong", [object(), None, "client", anthropic.Anthropic])
def test_what_is_no_client_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="a client of the Anthropic SDK is needed"):
        AnthropicJudge(wrong)


def test_a_class_is_no_judge() -> None:
    with pytest.raises(ConfigError, match="not the class Anthropic"):
        opened(anthropic.Anthropic)


def test_judges_of_other_models_and_prompts_are_told_apart(client: Any) -> None:
    judges = [AnthropicJudge(client), AnthropicJudge(client, model="m"), AnthropicJudge(client, shows_answer=True)]
    assert len({(judge.judge_id, judge.version) for judge in judges}) == 3
    assert repr(judges[0]) == "AnthropicJudge('anthropic/claude-haiku-4-5')"
