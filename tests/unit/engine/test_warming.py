"""`cache.warm`: answers before the questions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import MockLLM

from llmcache_plugins import Answer, ConfigError, Hit, Request, SemanticCache, TierConfig, Usage, open_cache
from llmcache_plugins.engine import warming as warming_module
from llmcache_plugins.engine.warm_course import Done
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.warming import Budget, Wanted, WarmProgress, WarmReport
from llmcache_plugins.warming.resume import read_done

DAY = 86400.0


class Model:
    """Answers, and remembers what it was asked."""

    def __init__(self, *, tokens: int = 10, fails: Callable[[str], bool] = lambda text: False) -> None:
        self.asked: list[str] = []
        self.tokens = tokens
        self.fails = fails
        self._lock = threading.Lock()

    def __call__(self, question: Request | str) -> Answer:
        text = question if isinstance(question, str) else question.text
        with self._lock:
            self.asked.append(text)
        if self.fails(text):
            raise TimeoutError("no answer")
        return Answer(f"answer to {text}", usage=Usage(output_tokens=self.tokens))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    embedder = FakeEmbedder({"Show BGP status": "bgp", "Display BGP state": "bgp"})
    with open_cache(
        "memory://", embedder=embedder, clock=clock, similarity_threshold=0.9, use_guards=False, profiler=None
    ) as cache:
        yield cache


@pytest.fixture(params=["sync", "async"])
def warm(request: pytest.FixtureRequest, cache: SemanticCache) -> Callable[..., WarmReport]:
    """Both roads to the same end."""
    if request.param == "sync":
        return cache.warm

    def run(*args: Any, **settings: Any) -> WarmReport:
        return asyncio.run(cache.awarm(*args, **settings))

    return run


def questions(count: int) -> list[str]:
    return [f"question number {number}" for number in range(count)]


# ---------------------------------------------------------------- what is asked
def test_warmed_questions_are_hits(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    model = Model()
    report = warm(questions(20), model)
    assert (report.warmed, report.calls, report.remaining, report.usage.output_tokens) == (20, 20, 0, 200)
    assert sorted(model.asked) == sorted(questions(20))
    outcome = cache.lookup("question number 7")
    assert isinstance(outcome, Hit)
    assert outcome.answer == "answer to question number 7"


def test_warming_counts_no_lookup_and_no_read(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    warm(["a question"], Model())
    warm(["a question"], Model())
    stats = cache.stats()
    assert (stats.lookups, stats.updates) == (0, 1)
    outcome = cache.lookup("a question")
    assert isinstance(outcome, Hit)
    assert outcome.access_count == 1


def test_what_is_fresh_is_skipped_be_it_by_meaning(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    cache.update("Show BGP status", "Established")
    model = Model()
    report = warm(["show bgp status?", "Display BGP state", "something else"], model)
    assert (report.skipped, model.asked) == (2, ["something else"])


def test_what_is_fresh_is_asked_anew_on_demand(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    cache.update("a question", "old")
    assert warm(["a question"], Model(), skip_fresh=False).warmed == 1
    outcome = cache.lookup("a question")
    assert isinstance(outcome, Hit)
    assert outcome.answer == "answer to a question"


def test_what_was_marked_stale_is_asked_anew(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    cache.update(Request("a question", tags=("t",)), "old")
    cache.invalidate(tags=("t",), mode="lazy")
    assert warm(["a question"], Model()).warmed == 1


def test_expired_answers_are_asked_anew(
    cache: SemanticCache, warm: Callable[..., WarmReport], clock: FakeClock
) -> None:
    cache.update("a question", "old", ttl=60)
    clock.advance(61)
    assert warm(["a question"], Model()).warmed == 1


def test_fresh_for_decides_how_long_an_answer_must_live(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    cache.update("a question", "old", ttl=60)
    assert warm(["a question"], Model(), fresh_for=59).skipped == 1
    assert warm(["a question"], Model(), fresh_for=60).warmed == 1


def test_the_most_wanted_is_asked_first_and_equal_questions_once(cache: SemanticCache) -> None:
    model = Model()
    cache.warm(["what is bgp", "What is BGP?", Wanted("urgent", 5)], model, concurrency=1)
    assert model.asked == ["urgent", "what is bgp"]


def test_a_whole_request_keeps_its_scope_and_its_tags(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    request = Request("Show vlans", model="m", context=["be brief"], tags=("device:r1",))
    warm([request], Model())
    assert isinstance(cache.lookup(Request("Show vlans", model="m", context=["be brief"])), Hit)
    assert not isinstance(cache.lookup("Show vlans"), Hit)
    cache.invalidate(tags=("device:r1",))
    assert not isinstance(cache.lookup(request), Hit)


def test_what_surrounds_the_call_counts(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    with cache.context(tenant="acme", tags=["ours"]):
        assert warm(questions(3), Model()).warmed == 3
        assert warm(questions(3), Model()).skipped == 3
        assert isinstance(cache.lookup("question number 1"), Hit)
    assert not isinstance(cache.lookup("question number 1"), Hit)
    assert cache.invalidate(tags=("ours",)).count == 3


def test_an_answer_from_before_an_invalidation_is_not_stored(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    def generate() -> str:
        cache.invalidate(tags=("device:r1",))  # the device changes while the model is at work
        return "old"

    report = warm([Request("a question", tags=("device:r1",))], generate)
    assert dict(report.failures) == {"invalidated": 1}
    assert not isinstance(cache.lookup("a question"), Hit)


def test_an_answer_from_after_an_invalidation_is_stored_though_a_user_waits_since_before(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    request = Request("a question", tags=("device:r1",))
    waiting = threading.Thread(target=cache.lookup, args=(request,))
    waiting.start()
    waiting.join()
    cache.invalidate(tags=("device:r1",))
    assert warm([request], Model()).warmed == 1


def test_a_callable_without_arguments_is_asked_too(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    assert warm(["a question"], lambda: "an answer").warmed == 1


def test_the_time_to_live_is_the_given_one(
    cache: SemanticCache, warm: Callable[..., WarmReport], clock: FakeClock
) -> None:
    warm(["a question"], Model(), ttl=60)
    clock.advance(61)
    assert not isinstance(cache.lookup("a question"), Hit)


def test_a_coroutine_function_is_awaited(cache: SemanticCache) -> None:
    async def generate(question: str) -> str:
        await asyncio.sleep(0)
        return f"answer to {question}"

    assert asyncio.run(cache.awarm(questions(5), generate)).warmed == 5
    with pytest.raises(ConfigError, match="awarm"):
        cache.warm(questions(5), generate)


def test_async_warming_does_not_block_the_loop(cache: SemanticCache) -> None:
    """A `generate` that waits for something the loop has to do."""
    let_go = threading.Event()

    async def main() -> WarmReport:
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(let_go.set))
        return await cache.awarm(["a question"], lambda: "late" if let_go.wait(30) else None)

    assert asyncio.run(main()).warmed == 1


def test_a_llama_index_model_is_asked_for_its_text(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    warm(["hello"], MockLLM(max_tokens=2))
    outcome = cache.lookup("hello")
    assert isinstance(outcome, Hit)
    assert outcome.answer == "text text"


def test_what_cannot_be_asked_is_refused(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="callable"):
        cache.warm(["a question"], "gpt")


# ---------------------------------------------------------------- limits
def test_no_more_calls_at_a_time_than_allowed(cache: SemanticCache) -> None:
    barrier, running, most = threading.Barrier(3, timeout=30), 0, [0]
    lock = threading.Lock()

    def generate() -> str:
        nonlocal running
        with lock:
            running += 1
            most[0] = max(most[0], running)
        barrier.wait()  # passes only when three run at once
        with lock:
            running -= 1
        return "x"

    assert cache.warm(questions(9), generate, concurrency=3).warmed == 9
    assert most[0] == 3


def test_the_rate_is_kept(
    cache: SemanticCache,
    warm: Callable[..., WarmReport],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def asleep(seconds: float) -> None:
        clock.advance(seconds)

    monkeypatch.setattr(warming_module, "_sleep", clock.advance)
    monkeypatch.setattr(warming_module, "_asleep", asleep)
    report = warm(questions(11), Model(), rate=2, concurrency=1)
    assert report.seconds == pytest.approx(5.0)


def test_a_budget_ends_it_and_the_next_run_goes_on(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    model = Model()
    report = warm(questions(10), model, budget=4)
    assert (report.warmed, report.remaining, report.stopped) == (4, 6, "calls")
    report = warm(questions(10), model)
    assert (report.warmed, report.skipped, len(model.asked)) == (6, 4, 10)


def test_money_is_never_spent_beyond_the_budget(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    report = warm(
        questions(50), Model(tokens=10), budget=Budget(money=1.0), cost_of=lambda usage: usage.total_tokens / 100
    )
    assert (report.warmed, report.stopped) == (10, "money")
    assert report.cost == pytest.approx(1.0)


def test_calls_that_run_at_the_same_time_keep_the_budget_too(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    report = warm(questions(50), Model(tokens=10), budget=Budget(tokens=95), concurrency=8)
    assert (report.usage.output_tokens, report.stopped) == (90, "tokens")


def test_a_failing_question_costs_that_question_alone(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    report = warm(questions(10), Model(fails=lambda text: text.endswith("3")))
    assert (report.warmed, report.failed, dict(report.failures)) == (9, 1, {"TimeoutError": 1})


def test_a_model_that_is_down_is_not_asked_for_ever(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    model = Model(fails=lambda text: True)
    report = warm(questions(100), model, most_failures=5, concurrency=2)
    assert report.stopped == "failures"
    assert 5 <= len(model.asked) <= 6


def test_an_answer_that_must_not_be_stored_is_a_failure_with_its_reason(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    report = warm(["a question"], lambda: Answer("half an ans", finish_reason="length"))
    assert dict(report.failures) == {"truncated": 1}


def test_a_broken_store_ends_it_before_it_costs_much(clock: FakeClock) -> None:
    store, model = FaultyStore(MemoryStore(max_entries=10, max_bytes=10**6)), Model()
    with open_cache(tiers=[TierConfig("only", store=store)], embedder=None, clock=clock) as cache:
        store.fail({"get", "put"})
        report = cache.warm(questions(100), model, concurrency=1, most_failures=3)
        store.heal()
    assert (report.stopped, len(model.asked)) == ("failures", 3)


def test_a_closed_cache_asks_nothing(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    model = Model()
    cache.close()
    assert warm(questions(3), model).stopped == "closed"
    assert model.asked == []


def test_progress_hears_every_question(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    heard: list[WarmProgress] = []
    cache.update("question number 0", "known")
    warm(questions(5), Model(), progress=heard.append, concurrency=1)
    assert [at.done for at in heard] == [1, 2, 3, 4, 5]
    assert (heard[-1].total, heard[-1].skipped, heard[-1].warmed, heard[-1].calls) == (5, 1, 4, 4)


def test_what_progress_raises_ends_the_warming(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    model = Model()

    def stop(at: WarmProgress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        warm(questions(100), model, progress=stop, concurrency=2)
    assert len(model.asked) <= 4


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": 0},
        {"concurrency": 1000},
        {"rate": 0},
        {"fresh_for": -1},
        {"fresh_for": 5, "skip_fresh": False},
        {"ttl": 0},
        {"resume": ""},
        {"progress": "yes"},
        {"budget": -1},
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_asked(
    settings: dict[str, Any], cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    model = Model()
    with pytest.raises(ConfigError):
        warm(["a question"], model, **settings)
    assert model.asked == []


def test_a_dry_run_asks_nothing_and_says_what_it_would(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    cache.update("question number 1", "known")
    model = Model()
    report = warm(questions(3), model, dry_run=True)
    assert (report.skipped, report.remaining, report.calls, model.asked) == (1, 2, 0, [])


# ---------------------------------------------------------------- going on
@pytest.mark.parametrize("kept_in", ["store", "file"])
def test_a_refresh_that_stopped_goes_on_where_it_was(
    kept_in: str, tmp_path: Path, cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    resume: Any = "nightly" if kept_in == "store" else tmp_path / "folder" / "nightly.json"
    model = Model()
    warm(questions(10), model, skip_fresh=False, budget=4, resume=resume)
    report = warm(questions(10), model, skip_fresh=False, resume=resume)
    assert (report.skipped, report.warmed) == (4, 6)
    assert sorted(model.asked) == sorted(questions(10))
    assert warm(questions(10), model, skip_fresh=False, resume=resume).warmed == 10  # the run before came to its end


def test_failed_questions_are_asked_again_by_the_next_run(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    broken = Model(fails=lambda text: text.endswith("3"))
    warm(questions(10), broken, skip_fresh=False, resume="nightly")
    model = Model()
    warm(questions(10), model, skip_fresh=False, resume="nightly")
    assert model.asked == ["question number 3"]


def test_what_is_kept_holds_no_questions(tmp_path: Path, cache: SemanticCache) -> None:
    cache.warm(["a secret question", "another"], Model(), budget=1, resume=tmp_path / "run")
    assert "secret" not in (tmp_path / "run").read_text(encoding="utf-8")


def test_a_folder_cannot_be_gone_on_with(tmp_path: Path, cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="folder"):
        cache.warm(["a question"], Model(), resume=tmp_path)


def test_a_run_that_is_interrupted_is_kept(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    def interrupts(text: str) -> bool:
        if text.endswith("3"):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        warm(questions(5), Model(fails=interrupts), concurrency=1, skip_fresh=False, resume="nightly")
    model = Model()
    warm(questions(5), model, skip_fresh=False, resume="nightly")
    assert sorted(model.asked) == ["question number 3", "question number 4"]


# ---------------------------------------------------------------- what expires
def test_the_nightly_refresh_renews_what_expires_and_was_read(
    cache: SemanticCache, warm: Callable[..., WarmReport], clock: FakeClock
) -> None:
    cache.update("read often", "old", ttl=DAY / 2)
    cache.update("read once", "old", ttl=DAY / 2)
    cache.update("never read", "old", ttl=DAY / 2)
    cache.update("lives on", "old", ttl=3 * DAY)
    cache.update(Request("of a model", model="m"), "old", ttl=DAY / 2)
    for text in ("read often", "read once", "read often", "lives on"):
        cache.lookup(text)
    cache.lookup(Request("of a model", model="m"))
    found = cache.expiring(within=DAY)
    assert [one.text for one in found.questions] == ["read often", "read once"]
    assert (found.unread, found.not_refreshable) == (1, 1)
    assert warm(found.questions, Model(), fresh_for=DAY).warmed == 2
    clock.advance(DAY / 2)
    outcome = cache.lookup("read often")
    assert isinstance(outcome, Hit)
    assert outcome.answer == "answer to read often"


def test_a_refreshed_answer_keeps_its_tags(cache: SemanticCache) -> None:
    cache.update(Request("a question", tags=("device:r1",)), "old", ttl=60)
    found = asyncio.run(cache.aexpiring(within=DAY, least_reads=0))
    cache.warm(found.questions, Model(), fresh_for=DAY)
    assert cache.invalidate(tags=("device:r1",)).count == 1


def test_another_namespace_is_not_refreshed(clock: FakeClock) -> None:
    with open_cache("memory://", embedder=None, clock=clock, namespace="mine") as cache:
        cache.update(Request("a question", namespace=("below",)), "x")
        cache.update("another", "x")
        found = cache.expiring(within=2 * DAY, least_reads=0)
        assert [one.text for one in found.questions] == ["another"]
        assert found.not_refreshable == 1


@pytest.mark.parametrize("settings", [{"within": 0}, {"within": 60, "least_reads": -1}])
def test_what_expires_takes_sound_bounds(settings: dict[str, Any], cache: SemanticCache) -> None:
    with pytest.raises(ConfigError):
        cache.expiring(**settings)


def test_what_is_remembered_is_never_written_on_the_event_loop() -> None:
    on: list[threading.Thread] = []

    class Watched(MemoryStore):
        def note(self, name: str, value: str | None) -> None:
            on.append(threading.current_thread())
            super().note(name, value)

    with open_cache(tiers=[TierConfig("only", store=Watched())], embedder=None, maintenance="manual") as cache:
        told: list[WarmProgress] = []
        report = asyncio.run(cache.awarm(questions(60), Model(), resume="nightly", progress=told.append))
    assert (report.warmed, len(told)) == (60, 60)
    assert len(on) == 3  # twice 25, and the end
    assert threading.current_thread() not in on


def test_a_long_run_does_not_write_all_of_itself_ever_so_often() -> None:
    written: list[str | None] = []
    done = Done(lambda: None, written.append)
    for number in range(20_000):
        done.add(f"{number:016x}")
    assert len(written) < 300
    assert len(read_done(written[-1])) > 0.97 * 20_000
