"""`call` and `record`: where an answer comes from, and answers that their caller makes piece by piece."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmcache_plugins import Answer, Bypass, Hit, Miss, SemanticCache, open_cache
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.testing import FakeClock

QUESTION = "What is BGP?"


@pytest.fixture
def cache() -> SemanticCache:
    return open_cache("memory://", embedder=None)


def never() -> Answer:
    raise AssertionError("nobody renews here")


def recorded(cache: SemanticCache) -> Recording:
    recording = cache.record(QUESTION, never)
    assert isinstance(recording, Recording)
    return recording


def test_a_call_says_where_its_answer_comes_from(cache: SemanticCache) -> None:
    first = cache.call(QUESTION, lambda: Answer("a protocol", finish_reason="end_turn"))
    second = cache.call(QUESTION, never)
    assert isinstance(first.outcome, Miss)
    assert first.answer is not None
    assert first.answer.finish_reason == "end_turn"
    assert isinstance(second.outcome, Hit)
    assert second.answer is None
    assert first.content == second.content == "a protocol"


async def test_an_awaited_call_too(cache: SemanticCache) -> None:
    async def generate() -> str:
        return "a protocol"

    assert isinstance((await cache.acall(QUESTION, generate)).outcome, Miss)
    assert isinstance((await cache.acall(QUESTION, generate)).outcome, Hit)


def test_what_was_recorded_is_a_hit(cache: SemanticCache) -> None:
    assert recorded(cache).store(Answer("a protocol")).stored
    hit = cache.record(QUESTION, never)
    assert isinstance(hit, Hit)
    assert hit.answer == "a protocol"
    assert hit.entry.generation_seconds is not None


async def test_what_was_recorded_on_a_loop_is_a_hit(cache: SemanticCache) -> None:
    recording = await cache.arecord(QUESTION, never)
    assert isinstance(recording, Recording)
    assert (await recording.astore(Answer("a protocol"))).stored
    assert isinstance(await cache.arecord(QUESTION, never), Hit)


def test_only_the_first_end_of_a_recording_counts(cache: SemanticCache) -> None:
    recording = recorded(cache)
    recording.release()
    assert recording.store(Answer("too late")).reason == "ended"
    assert isinstance(cache.lookup(QUESTION), Miss)
    recorded(cache).store(Answer("a protocol"))


def test_those_who_wait_get_what_was_recorded(cache: SemanticCache) -> None:
    recording = recorded(cache)
    started = threading.Event()

    def follow() -> Hit | Recording:
        started.set()
        return cache.record(QUESTION, never)

    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(follow)
        started.wait()
        recording.store(Answer("a protocol"))
        assert isinstance(follower.result(10), Hit)


async def test_those_who_wait_get_the_error_of_a_failed_recording(cache: SemanticCache) -> None:
    recording = recorded(cache)
    follower = contextvars.Context().run(asyncio.create_task, cache.arecord(QUESTION, never))
    while not recording._flight or not recording._flight._callbacks:
        await asyncio.sleep(0)
    recording.fail(RuntimeError("the model is down"))
    with pytest.raises(RuntimeError, match="the model is down"):
        await follower


def test_a_released_recording_lets_the_next_one_ask(cache: SemanticCache) -> None:
    recorded(cache).fail(GeneratorExit())
    recorded(cache).store(Answer("a protocol"))
    assert isinstance(cache.lookup(QUESTION), Hit)


def test_a_recording_may_end_in_another_thread(cache: SemanticCache) -> None:
    recording = recorded(cache)
    thread = threading.Thread(target=lambda: recording.store(Answer("a protocol")))
    thread.start()
    thread.join()
    assert isinstance(cache.lookup(QUESTION), Hit)
    assert len(cache._flights) == 0


async def test_a_recording_may_end_in_another_task(cache: SemanticCache) -> None:
    recording = await cache.arecord(QUESTION, never)
    assert isinstance(recording, Recording)
    await asyncio.create_task(recording.astore(Answer("a protocol")))
    assert isinstance(cache.lookup(QUESTION), Hit)


def test_a_recording_keeps_the_surroundings_it_began_in(cache: SemanticCache) -> None:
    with cache.context(tags=["device:rtr-001"], tenant="acme", ttl=60):
        recording = recorded(cache)
    recording.store(Answer("a protocol"))
    assert isinstance(cache.lookup(QUESTION), Miss)
    with cache.context(tenant="acme"):
        hit = cache.lookup(QUESTION)
    assert isinstance(hit, Hit)
    assert "device:rtr-001" in hit.entry.profile.tags
    assert hit.entry.expires_at is not None
    assert hit.entry.expires_at - hit.entry.created_at == 60


def test_nothing_is_stored_of_a_bypassed_recording(cache: SemanticCache) -> None:
    with cache.bypass():
        recording = recorded(cache)
    assert isinstance(recording.outcome, Bypass)
    assert recording.store(Answer("a protocol")).reason == "bypass"
    assert isinstance(cache.lookup(QUESTION), Miss)


def test_an_answer_recorded_over_an_invalidation_is_not_stored(cache: SemanticCache) -> None:
    with cache.context(tags=["device:rtr-001"]):
        recording = recorded(cache)
    cache.invalidate(tags=["device:rtr-001"])
    assert recording.store(Answer("old news")).reason == "invalidated"


def test_an_old_answer_is_replayed_while_it_is_renewed() -> None:
    clock = FakeClock()
    cache = open_cache("memory://", embedder=None, clock=clock, ttl=60, stale_while_revalidate=600)
    cache.update(QUESTION, "old")
    clock.advance(61)
    renewed = threading.Event()

    def renew() -> str:
        renewed.set()
        return "new"

    hit = cache.record(QUESTION, renew)
    assert isinstance(hit, Hit)
    assert (hit.answer, hit.is_stale) == ("old", True)
    assert renewed.wait(10)


def test_refresh_serves_nothing_and_stores_the_new_answer(cache: SemanticCache) -> None:
    cache.update(QUESTION, "old")
    with cache.context(refresh=True):
        miss = cache.lookup(QUESTION)
        assert isinstance(miss, Miss)
        assert miss.reason == "refresh"
        assert cache.get_or_generate(QUESTION, lambda: "new") == "new"
    hit = cache.lookup(QUESTION)
    assert isinstance(hit, Hit)
    assert hit.answer == "new"


def test_those_who_refresh_at_once_each_make_a_call(cache: SemanticCache) -> None:
    barrier = threading.Barrier(2, timeout=10)

    def regenerate(number: int) -> object:
        def generate() -> int:
            barrier.wait()
            return number

        with cache.context(refresh=True):
            return cache.get_or_generate(QUESTION, generate)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(regenerate, (1, 2))) == [1, 2]
