"""Turns that stand alone over another history, and follow-ups that a resolver turns into such.

Most tests run twice, by plain calls and on an event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, Miss, Outcome, Request, SemanticCache, StoreError, open_cache
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages
from llmcache_plugins.recorded import Event, ResolutionEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder

ABOUT_TESLA = ("Who was Nikola Tesla?", "An inventor.")
ABOUT_CURIE = ("Who was Marie Curie?", "A chemist.")
FOLLOW_UP = "Where was the inventor of that born?"
ALONE = "Where was Nikola Tesla born?"
Look = Callable[[SemanticCache, Request], Outcome]


def chat(*said: str, system: str | None = None, **further: Any) -> Request:
    """The user and the assistant in turns."""
    turns = [ChatTurn("system", system)] if system is not None else []
    turns += [ChatTurn("assistant" if at % 2 else "user", text) for at, text in enumerate(said)]
    return request_from_messages(turns, provider="p", model="m", params={}, **further)


@pytest.fixture(params=["sync", "async"])
def look(request: pytest.FixtureRequest) -> Look:
    if request.param == "sync":
        return lambda cache, question: cache.lookup(question)
    return lambda cache, question: asyncio.run(cache.alookup(question))


class Scripted:
    """A resolver that knows what each dialogue means, by its first and its last turn."""

    def __init__(self, known: dict[tuple[str, str], Any] | None = None) -> None:
        self.known = {(ABOUT_TESLA[0], FOLLOW_UP): ALONE} if known is None else known
        self.asked: list[Sequence[dict[str, str]]] = []

    def __call__(self, turns: Sequence[dict[str, str]]) -> str | None:
        self.asked.append(turns)
        said = self.known.get((turns[0]["content"], turns[-1]["content"]))
        if isinstance(said, Exception):
            raise said
        return said


TESLA = chat(*ABOUT_TESLA, FOLLOW_UP)
CURIE = chat(*ABOUT_CURIE, FOLLOW_UP)


# ---------------------------------------------------------------- turns that stand alone
def test_by_default_another_history_never_answers(look: Look) -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:
        cache.update(chat("hi", "Hello!", ALONE), "Smiljan")
        assert isinstance(look(cache, chat("hi", "Hello!", ALONE)), Hit)
        assert isinstance(look(cache, chat(ALONE)), Miss)
        assert isinstance(look(cache, chat("hey", "Hello!", ALONE)), Miss)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (chat("hi", "Hello!", ALONE), "exact"),
        (chat(ALONE), "exact"),
        (chat("What is DNS?", "A system of names.", ALONE), "exact"),
        (chat("What is DNS?", "A system of names.", "where was Nikola Tesla born"), "normalised"),
        (chat("What is DNS?", "A system of names.", "At which place was Nikola Tesla born?"), "semantic"),
    ],
)
def test_what_stands_alone_hits_over_another_history(asked: Request, kind: str, look: Look) -> None:
    near = {ALONE: "born", "At which place was Nikola Tesla born?": "born"}
    with closing(open_cache("memory://", embedder=FakeEmbedder(near), standalone_turns=True)) as cache:
        cache.update(chat("hi", "Hello!", ALONE), "Smiljan")
        outcome = look(cache, asked)
        assert isinstance(outcome, Hit), outcome
        assert outcome.kind == kind
        assert outcome.answer == "Smiljan"
        assert cache.stats().entries == 1


@pytest.mark.parametrize(
    "asked",
    [
        chat("hi", "Hello!", ALONE, system="Answer as a pirate."),
        chat("I am writing about his youth.", "Fine.", ALONE),
        chat("Answer in French from now on.", "Oui.", ALONE),
        chat(*ABOUT_TESLA, ALONE),
        chat("hi", "Hello!", ALONE, namespace=("acme",)),
        request_from_messages([ChatTurn("user", ALONE)], provider="p", model="other", params={}),
        request_from_messages([ChatTurn("user", ALONE)], provider="p", model="m", params={"temperature": 1}),
        request_from_messages([ChatTurn("user", ALONE)], provider="p", model="m", params={"tools": [{"name": "ping"}]}),
    ],
    ids=["system", "fact", "wish", "topic", "tenant", "model", "params", "tools"],
)
def test_what_else_shapes_the_answer_has_to_be_equal(asked: Request, look: Look) -> None:
    with closing(open_cache("memory://", embedder=None, standalone_turns=True)) as cache:
        cache.update(chat("hi", "Hello!", ALONE), "Smiljan")
        assert isinstance(look(cache, asked), Miss)
        cache.update(asked, "other")
        assert isinstance(hit := look(cache, asked), Hit)
        assert hit.answer == "other"


def test_a_follow_up_keeps_its_history(look: Look) -> None:
    with closing(open_cache("memory://", embedder=None, standalone_turns=True)) as cache:
        cache.update(TESLA, "Smiljan")
        assert isinstance(look(cache, TESLA), Hit)
        assert isinstance(look(cache, CURIE), Miss)
        assert isinstance(look(cache, chat(FOLLOW_UP)), Miss)


def test_an_identity_that_a_caller_keeps_is_that_of_the_lookup() -> None:
    asked = chat("hi", "Hello!", ALONE)
    with closing(open_cache("memory://", embedder=None, standalone_turns=True)) as cache:
        identity = cache.identify(asked)
        assert identity.key == cache.identify(chat(ALONE)).key
        cache.update(asked, "Smiljan", identity=identity)
        assert isinstance(cache.lookup(chat(ALONE)), Hit)
        with cache.context(tenant="acme"):
            assert isinstance(cache.lookup(asked, identity=identity), Miss)


def test_it_is_a_setting_like_any_other() -> None:
    with pytest.raises(ConfigError, match="standalone_turns must be True or False, not 'yes'"):
        open_cache("memory://", standalone_turns="yes")
    with pytest.raises(ConfigError, match="resolver_timeout"):
        open_cache("memory://", resolver_timeout=0)
    with pytest.raises(ConfigError, match="resolver must be callable, not str"):
        open_cache("memory://", resolver="a model")  # type: ignore[arg-type]


# ---------------------------------------------------------------- follow-ups
def test_a_follow_up_is_matched_as_the_question_that_it_means(look: Look) -> None:
    resolver = Scripted()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        assert isinstance(look(cache, TESLA), Miss)
        cache.update(TESLA, "Smiljan")
        assert [turn["content"] for turn in resolver.asked[0]] == [*ABOUT_TESLA, FOLLOW_UP]
        for asked in (chat(ALONE), chat("hi", "Hello!", ALONE), TESLA):
            assert isinstance(hit := look(cache, asked), Hit)
            assert (hit.kind, hit.answer, hit.matched_question) == ("exact", "Smiljan", ALONE)
        assert len(resolver.asked) == 1
        assert cache.stats().entries == 1
        assert cache.stats().resolved == {"resolved": 1}


def test_the_model_is_asked_what_the_caller_sent() -> None:
    given: list[Request] = []

    def generate(request: Request) -> str:
        given.append(request)
        return "Smiljan"

    with closing(open_cache("memory://", embedder=None, resolver=Scripted())) as cache:
        assert cache.get_or_generate(TESLA, generate) == "Smiljan"
        assert cache.get_or_generate(chat(ALONE), generate) == "Smiljan"
    assert given == [TESLA]


def test_the_same_follow_up_over_two_histories_never_meets(look: Look) -> None:
    resolver = Scripted(
        {(ABOUT_TESLA[0], FOLLOW_UP): ALONE, (ABOUT_CURIE[0], FOLLOW_UP): "Where was Marie Curie born?"}
    )
    groups = {ALONE: "born", "Where was Marie Curie born?": "born", FOLLOW_UP: "born"}
    with closing(open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.99), resolver=resolver)) as cache:
        cache.update(chat(ALONE), "Smiljan")
        assert isinstance(look(cache, TESLA), Hit)
        assert isinstance(look(cache, CURIE), Miss)
        cache.update(CURIE, "Warsaw")
        assert isinstance(hit := look(cache, CURIE), Hit)
        assert hit.answer == "Warsaw"
        assert isinstance(look(cache, chat(FOLLOW_UP)), Miss)  # it means nothing without a history


@pytest.mark.parametrize(
    "other",
    [
        chat(*ABOUT_TESLA, FOLLOW_UP, system="Answer as a pirate."),
        chat(*ABOUT_TESLA, FOLLOW_UP, namespace=("acme",)),
    ],
    ids=["system", "tenant"],
)
def test_a_resolved_question_stays_with_its_system_prompt_and_tenant(other: Request, look: Look) -> None:
    with closing(open_cache("memory://", embedder=None, resolver=Scripted())) as cache:
        look(cache, TESLA)
        cache.update(TESLA, "Smiljan")
        assert isinstance(look(cache, other), Miss)
        with cache.context(tenant="acme"):
            assert isinstance(look(cache, TESLA), Miss)


def test_a_follow_up_on_a_tools_result_is_not_resolved(look: Look) -> None:
    resolver = Scripted()
    turns = [
        ChatTurn("user", ABOUT_TESLA[0]),
        ChatTurn("assistant", "", {"tool_calls": [{"name": "search", "args": {}, "id": "call_1"}]}),
        ChatTurn("tool", "Nikola Tesla, inventor", {"tool_call_id": "call_1"}),
        ChatTurn("user", FOLLOW_UP),
    ]
    asked = request_from_messages(turns, provider="p", model="m", params={})
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        cache.update(asked, "Smiljan")
        assert isinstance(look(cache, asked), Hit)
        assert isinstance(look(cache, chat(ALONE)), Miss)
    assert resolver.asked == []


@pytest.mark.parametrize(
    "said",
    [None, "", "   ", FOLLOW_UP, "Where was he born?", "Why so?", "It was\nreally " * 100, RuntimeError("down"), 7],
    ids=["none", "empty", "blank", "unchanged", "pronoun", "fragment", "long", "error", "number"],
)
def test_what_no_resolver_can_tell_is_matched_over_its_history(said: Any, look: Look) -> None:
    resolver = Scripted({(ABOUT_TESLA[0], FOLLOW_UP): said, (ABOUT_CURIE[0], FOLLOW_UP): said})
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        assert isinstance(look(cache, TESLA), Miss)
        cache.update(TESLA, "Smiljan")
        assert isinstance(hit := look(cache, TESLA), Hit)
        assert (hit.kind, hit.answer) == ("exact", "Smiljan")
        assert isinstance(look(cache, CURIE), Miss)
        is_failure = isinstance(said, Exception | int)
        assert cache.stats().resolved == {"failed" if is_failure else "unresolved": 2}
        assert cache.stats().errors == ({"resolver": 2} if is_failure else {})


def test_a_stored_answer_needs_no_resolver(tmp_path: Path, look: Look) -> None:
    url, resolver = f"disk://{tmp_path}/answers.db", Scripted()
    with closing(open_cache(url, embedder=None, resolver=Scripted())) as cache:
        cache.get_or_generate(TESLA, lambda: "Smiljan")
    with closing(open_cache(url, embedder=None, resolver=resolver)) as cache:  # another process
        assert isinstance(hit := look(cache, TESLA), Hit)
        assert hit.kind == "exact"
        assert resolver.asked == []

    class Other(Scripted):
        resolver_id = "other"

    with closing(open_cache(url, embedder=None, resolver=(other := Other({})))) as cache:
        assert isinstance(look(cache, TESLA), Miss)  # what another one said does not count
        assert len(other.asked) == 1


def test_answers_from_before_there_was_a_resolver_are_found(tmp_path: Path, look: Look) -> None:
    url, resolver = f"disk://{tmp_path}/answers.db", Scripted()
    with closing(open_cache(url, embedder=None)) as cache:
        cache.update(TESLA, "Smiljan")
    with closing(open_cache(url, embedder=None, resolver=resolver)) as cache:
        assert isinstance(look(cache, TESLA), Hit)
        assert resolver.asked == []


def test_first_turns_and_turns_that_stand_alone_need_no_resolver(look: Look) -> None:
    resolver = Scripted()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        for asked in (chat(ALONE), chat(FOLLOW_UP), chat("hi", "Hello!", ALONE)):
            look(cache, asked)
        cache.lookup("And a plain text?")
    assert resolver.asked == []


def test_nobody_is_asked_under_bypass_or_after_the_end(look: Look) -> None:
    resolver = Scripted()
    cache = open_cache("memory://", embedder=None, resolver=resolver)
    with cache.bypass():
        look(cache, TESLA)
    cache.close()
    look(cache, TESLA)
    assert resolver.asked == []


def test_an_update_without_a_lookup_asks_nobody() -> None:
    resolver = Scripted()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        cache.update(TESLA, "Smiljan")
        assert isinstance(cache.lookup(TESLA), Hit)
    assert resolver.asked == []


def test_an_explanation_shows_what_a_follow_up_was_found_to_mean() -> None:
    with closing(open_cache("memory://", embedder=None, resolver=(resolver := Scripted()))) as cache:
        assert cache.explain(TESLA).asked == FOLLOW_UP
        assert resolver.asked == []
        cache.lookup(TESLA)
        assert cache.explain(TESLA).asked == ALONE


def test_a_new_epoch_forgets_resolved_answers_too() -> None:
    with closing(open_cache("memory://", embedder=None, resolver=Scripted())) as cache:
        cache.get_or_generate(TESLA, lambda: "Smiljan")
        assert isinstance(cache.lookup(TESLA), Hit)
        cache.invalidate(everything=True)
        assert isinstance(cache.lookup(TESLA), Miss)
        assert isinstance(cache.lookup(chat(ALONE)), Miss)


def test_tags_come_from_the_question_that_was_meant() -> None:
    asked = chat("Is BGP up on rtr-001?", "Yes.", "And on the second one?")
    resolver = Scripted({("Is BGP up on rtr-001?", "And on the second one?"): "Is BGP up on rtr-002?"})
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        cache.get_or_generate(asked, lambda: "No.")
        cache.invalidate(tags=["device:rtr-002"])
        assert isinstance(cache.lookup(asked), Miss)


# ---------------------------------------------------------------- limits
class Hanging:
    """A resolver that does not come back until it is released."""

    def __init__(self) -> None:
        self.calls = 0
        self.released = threading.Event()

    def __call__(self, turns: Sequence[dict[str, str]]) -> str:
        self.calls += 1
        self.released.wait(30)
        return ALONE


def test_a_resolver_that_hangs_costs_a_miss_and_then_a_pause(look: Look) -> None:
    resolver, clock = Hanging(), FakeClock()
    with closing(
        open_cache("memory://", embedder=None, resolver=resolver, resolver_timeout=0.01, clock=clock)
    ) as cache:
        for at in range(5):
            asked = chat(*ABOUT_TESLA, f"And that one, number {at}?")
            assert isinstance(look(cache, asked), Miss)
        assert cache.stats().resolved == {"failed": 3, "paused": 2}
        clock.advance(31)
        look(cache, chat(*ABOUT_TESLA, "And that one?"))
        assert resolver.calls == 4
        resolver.released.set()


def test_an_answer_given_up_lands_where_it_took_off() -> None:
    """The flight of a follow-up that nobody could resolve in time is that of the request, whatever is known later."""
    resolver = Scripted({(ABOUT_TESLA[0], FOLLOW_UP): RuntimeError("down")})
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        assert isinstance(cache.lookup(TESLA, lead=True), Miss)
        resolver.known = {(ABOUT_TESLA[0], FOLLOW_UP): ALONE}
        with ThreadPoolExecutor(1) as pool:  # another caller, whose resolver says it
            assert isinstance(pool.submit(cache.lookup, TESLA).result(), Miss)
        cache.update(TESLA, "Smiljan")
        assert not [flight for flight in cache.current_lead().flights if flight.table is cache._flights]


def test_callers_of_one_follow_up_share_one_call() -> None:
    resolver = Hanging()
    with (
        closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache,
        ThreadPoolExecutor(4) as pool,
    ):
        outcomes = [pool.submit(cache.lookup, TESLA) for _ in range(4)]
        while not resolver.calls:
            pass
        resolver.released.set()
        assert all(isinstance(outcome.result(10), Miss) for outcome in outcomes)
        assert resolver.calls == 1


async def test_on_an_event_loop_nothing_blocks() -> None:
    resolver = Hanging()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        first, second = (asyncio.create_task(cache.alookup(TESLA)) for _ in range(2))
        while not resolver.calls:
            await asyncio.sleep(0)  # the loop runs on
        resolver.released.set()
        await first
        await second
        assert resolver.calls == 1


async def test_a_coroutine_function_is_awaited_on_the_loop() -> None:
    loops: list[Any] = []

    async def resolver(turns: Sequence[dict[str, str]]) -> str:
        loops.append(asyncio.get_running_loop())
        return ALONE

    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        await cache.aget_or_generate(TESLA, lambda: "Smiljan")
        assert isinstance(await cache.alookup(chat(ALONE)), Hit)
        assert loops == [asyncio.get_running_loop()]


async def test_a_function_that_gives_an_awaitable_is_awaited_too() -> None:
    async def said() -> str:
        return ALONE

    with closing(open_cache("memory://", embedder=None, resolver=lambda turns: said())) as cache:
        await cache.alookup(TESLA)
        assert cache.stats().resolved == {"resolved": 1}


def test_plain_calls_cannot_ask_a_coroutine_function() -> None:
    async def resolver(turns: Sequence[dict[str, str]]) -> str:
        return ALONE

    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        assert isinstance(cache.lookup(TESLA), Miss)
        assert cache.stats().errors == {"resolver": 1}


async def test_a_cancelled_lookup_leaves_nothing_behind() -> None:
    started = asyncio.Event()
    said: list[str] = []

    async def resolver(turns: Sequence[dict[str, str]]) -> str:
        started.set()
        if not said:
            await asyncio.Event().wait()
        return said[0]

    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        task = asyncio.create_task(cache.alookup(TESLA))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        said.append(ALONE)
        await cache.alookup(TESLA)
        assert cache.stats().resolved == {"resolved": 1}


def test_a_resolver_behind_its_own_cache_goes_past_it() -> None:
    class Recursive:
        def __call__(self, turns: Sequence[dict[str, str]]) -> str:
            asked = chat(*(turn["content"] for turn in turns))
            assert self.cache.get_or_generate(asked, lambda: "fresh") == "fresh"
            assert self.cache.get_or_generate(asked, lambda: "fresh again") == "fresh again"
            return ALONE

        cache: SemanticCache

    resolver = Recursive()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        resolver.cache = cache
        assert cache.get_or_generate(TESLA, lambda: "Smiljan") == "Smiljan"
        assert cache.stats().resolved == {"resolved": 1}
        assert cache.stats().entries == 1


# ---------------------------------------------------------------- what is told of it
def test_events_count_it_and_logs_never_quote_it(caplog: pytest.LogCaptureFixture, look: Look) -> None:
    heard: list[Event] = []
    caplog.set_level(logging.DEBUG)
    resolver = Scripted({(ABOUT_TESLA[0], FOLLOW_UP): ALONE, (ABOUT_CURIE[0], FOLLOW_UP): RuntimeError(ALONE)})
    cache = open_cache("memory://", embedder=None, resolver=resolver, recorders=[heard.append])
    with closing(cache):
        look(cache, TESLA)
        look(cache, CURIE)
    told = [event for event in heard if isinstance(event, ResolutionEvent)]
    assert [event.outcome for event in told] == ["resolved", "failed"]
    assert all(event.seconds >= 0.0 for event in told)
    assert "Tesla" not in caplog.text
    assert "Tesla" not in repr(told)


@pytest.mark.parametrize("fails_open", [True, False])
def test_a_broken_store_costs_a_call_or_is_heard_of(
    fails_open: bool, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(store: Any, scope: str, key: str) -> Any:
        raise StoreError("down")

    with closing(open_cache("memory://", embedder=None, resolver=Scripted(), fail_open=fails_open)) as cache:
        monkeypatch.setattr(type(cache._parts.tiers[-1].store), "get", broken)
        if fails_open:
            assert isinstance(look(cache, TESLA), Miss)
        else:
            with pytest.raises(StoreError):
                look(cache, TESLA)
