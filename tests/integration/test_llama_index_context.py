"""Cached LLMs of LlamaIndex in an application: engines, contexts, tenants, streams that break, stores that fail."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import LLM, CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel, Field

from llmcache_plugins import (
    Answer,
    CacheConfig,
    ConfigError,
    Profile,
    Request,
    SemanticCache,
    open_cache,
    set_default_cache,
)
from llmcache_plugins.engine import Rules, Tier
from llmcache_plugins.llama_index import (
    LLMCacheCallbackHandler,
    LLMCacheEventHandler,
    Warmer,
    cached_llm,
    install,
    uninstall,
)
from llmcache_plugins.llama_index.requests import Spoken, request_of
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

# LlamaIndex warns of its own: an index imports what it finds of LangChain.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
# The memory of a chat engine leaves connections and event loops to the garbage collector.
leaves_open = pytest.mark.filterwarnings("ignore::ResourceWarning")

CALLS: list[str] = []
LOOPS: list[asyncio.AbstractEventLoop] = []


@pytest.fixture
def own_loop() -> Iterator[None]:
    """Kept for good: a loop that is collected in the middle of another test fails that one."""
    LOOPS.append(asyncio.new_event_loop())
    asyncio.set_event_loop(LOOPS[-1])
    yield
    asyncio.set_event_loop(None)


class Teller(CustomLLM):
    """Says how often a model was asked, so that a fresh answer is told from a stored one."""

    is_chat_model: bool = True
    breaks: bool = False
    is_sloppy: bool = False

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="teller-1", is_chat_model=self.is_chat_model)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        CALLS.append(prompt)
        return CompletionResponse(text=f"answer number {len(CALLS)}")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        CALLS.append(prompt)
        words = ["answer ", "number ", str(len(CALLS))]

        def pieces() -> Any:
            said = ""
            for word in words:
                said += word
                yield CompletionResponse(text=word if self.is_sloppy else said, delta=word)
                if self.breaks:
                    raise ConnectionError("cut")

        return pieces()


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    CALLS.clear()
    before = Settings._llm, Settings._embed_model, Settings._callback_manager
    yield
    uninstall()
    Settings._llm, Settings._embed_model, Settings._callback_manager = before


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    groups = {"Show BGP status": "bgp", "Display BGP state": "bgp"}
    with open_cache(embedder=FakeEmbedder(groups, similarity=0.99), verifier=None) as cache:
        yield cache


@pytest.fixture
def llm(cache: SemanticCache) -> Teller:
    return cached_llm(Teller(), cache)


def user(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


def chat(llm: LLM, text: str = "a question") -> str:
    return llm.chat(user(text)).message.content or ""


# ---------------------------------------------------------------- engines
@pytest.fixture
def index() -> Iterator[VectorStoreIndex]:
    Settings.llm, Settings.embed_model = Teller(), MockEmbedding(embed_dim=8)
    yield VectorStoreIndex.from_documents([Document(text="A loopback is virtual.")])
    gc.collect()


@leaves_open
@pytest.mark.usefixtures("own_loop")
@pytest.mark.parametrize("mode", ["context", "condense_plus_context", "condense_question", "simple"])
def test_a_chat_engine_is_answered_turn_by_turn(index: VectorStoreIndex, cache: SemanticCache, mode: Any) -> None:
    install(cache)

    def talk() -> list[str]:
        engine = index.as_chat_engine(chat_mode=mode)
        return [str(engine.chat("What is it?")), str(engine.chat("And why?"))]

    first, calls = talk(), len(CALLS)
    assert calls >= 2
    assert talk() == first
    assert len(CALLS) == calls
    engine = index.as_chat_engine(chat_mode=mode)
    assert "".join(engine.stream_chat("What is it?").response_gen) == first[0]
    assert len(CALLS) == calls


@leaves_open
@pytest.mark.usefixtures("own_loop")
@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
def test_a_query_engine_is_answered_again(index: VectorStoreIndex, cache: SemanticCache, mode: Any) -> None:
    engine = index.as_query_engine(response_mode=mode)
    install(cache)
    first = str(engine.query("What is it?"))
    assert str(engine.query("What is it?")) == str(asyncio.run(engine.aquery("What is it?"))) == first
    assert len(CALLS) == 1


# ---------------------------------------------------------------- installing
def test_a_later_llm_is_not_cached_until_install_is_called_again(cache: SemanticCache) -> None:
    Settings.llm = first = Teller()
    install(cache)
    install(cache)
    Settings.llm = second = Teller(is_chat_model=False)
    assert type(second) is Teller
    chat(second), chat(second)
    assert len(CALLS) == 2
    install(cache)
    chat(second), chat(second)
    assert len(CALLS) == 3
    uninstall()
    assert type(first) is type(second) is Teller


def test_installing_with_another_cache_replaces_the_first(cache: SemanticCache) -> None:
    Settings.llm = llm = Teller()
    install(cache)
    chat(llm)
    with open_cache(embedder=None) as other:
        install(other)
        chat(llm), chat(llm)
        assert other.stats().updates == 1
    assert (len(CALLS), cache.stats().updates) == (2, 1)


def test_further_llms_are_installed_without_settings(cache: SemanticCache) -> None:
    Settings._llm = None
    llm, structured = Teller(), Teller().as_structured_llm(Named)
    install(cache, llms=[llm, structured])
    chat(llm), chat(structured.llm)
    assert len(CALLS) == 1
    assert Settings._llm is None


class Named(BaseModel):
    """A structured answer."""

    name: str = "x"


def test_a_structured_llm_is_cached_below(cache: SemanticCache) -> None:
    plain = Teller().as_structured_llm(Named)
    cached = cached_llm(plain, cache)
    chat(cached.llm), chat(cached.llm)
    assert len(CALLS) == 1
    assert type(plain.llm) is Teller


def test_without_a_cache_the_default_one_is_asked() -> None:
    with open_cache(embedder=None) as default:
        set_default_cache(default)
        try:
            llm = cached_llm(Teller())
            chat(llm), chat(llm)
        finally:
            set_default_cache(None)
        assert default.stats().updates == 1
    assert len(CALLS) == 1


def test_any_function_may_find_the_question(cache: SemanticCache) -> None:
    @dataclass
    class Extractor:  # has no hash
        asked: list[str]

        def __call__(self, text: str) -> None:
            self.asked.append(text)

    extractor = Extractor([])
    cached_llm(Teller(), cache, extractor=extractor).complete("one two")
    assert extractor.asked


def test_what_is_no_llm_is_refused(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="LLM"):
        cached_llm("gpt", cache)  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="LLM"):
        install(cache, llms=["gpt"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="SemanticCache"):
        cached_llm(Teller(), "redis://")  # type: ignore[arg-type]


# ---------------------------------------------------------------- contexts
def test_a_question_in_other_words_hits(llm: Teller) -> None:
    assert chat(llm, "Show BGP status") == chat(llm, "Display BGP state")
    assert llm.complete("Show BGP status").text == llm.complete("Display BGP state").text
    assert len(CALLS) == 2
    with_system = [ChatMessage(role="system", content="Be brief."), *user("Display BGP state")]
    llm.chat(with_system)
    assert len(CALLS) == 3


def test_tenants_share_nothing(cache: SemanticCache, llm: Teller) -> None:
    with cache.context(tenant="a"):
        of_a = chat(llm)
    with cache.context(tenant="b"):
        of_b = chat(llm)
    with cache.context(tenant="a"):
        assert "".join(piece.delta for piece in llm.stream_chat(user("a question"))) == of_a != of_b


def test_bypass_asks_and_stores_nothing(cache: SemanticCache, llm: Teller) -> None:
    first = chat(llm)
    with cache.bypass():
        assert chat(llm) != first
        assert "".join(piece.delta for piece in llm.stream_chat(user("a question"))) != first
    assert chat(llm) == first
    assert cache.stats().bypasses == 2


async def test_refresh_answers_anew_and_stores_it(cache: SemanticCache, llm: Teller) -> None:
    first = chat(llm)
    with cache.context(refresh=True):
        second = (await llm.achat(user("a question"))).message.content
    assert second != first
    assert chat(llm) == second


def test_tags_reach_the_entry_and_one_call_removes_it(cache: SemanticCache, llm: Teller) -> None:
    with cache.context(tags="device:rtr-001"):
        first = chat(llm)
        list(llm.stream_complete("another question"))
    cache.invalidate(tags="device:rtr-001")
    assert chat(llm) != first
    assert len(CALLS) == 3


def test_what_was_said_of_the_run_reaches_the_profiler() -> None:
    seen: list[Any] = []

    def profile(request: Request) -> Profile:
        seen.append(request.details)
        return Profile()

    with open_cache(embedder=None, profiler=profile) as cache, instrument_tags({"run": "nightly"}):
        chat(cached_llm(Teller(), cache))
    assert seen == [{"instrument_tags": {"run": "nightly"}}]


# ---------------------------------------------------------------- streams
@pytest.mark.parametrize("is_sloppy", [False, True])
def test_a_stream_is_given_back_in_pieces(cache: SemanticCache, is_sloppy: bool) -> None:
    llm = cached_llm(Teller(is_sloppy=is_sloppy), cache)
    cold = list(llm.stream_complete("hello"))
    warm = list(llm.stream_complete("hello"))
    assert [piece.delta for piece in warm] == [piece.delta for piece in cold]
    assert [piece.text for piece in warm] == ["answer ", "answer number ", "answer number 1"]
    assert llm.complete("hello").text == "answer number 1"


@pytest.mark.parametrize("how", ["close", "forget", "never begin"])
def test_a_stream_that_is_left_stores_nothing_and_frees_the_others(cache: SemanticCache, llm: Teller, how: str) -> None:
    stream = llm.stream_complete("hello")
    if how != "never begin":
        next(stream)
    if how == "close":
        stream.close()
    del stream
    gc.collect()
    assert cache.stats().updates == 0
    assert llm.complete("hello").text == "answer number 2"


async def test_an_awaited_stream_that_is_left_stores_nothing(cache: SemanticCache, llm: Teller) -> None:
    stream = await llm.astream_complete("hello")
    await anext(stream)
    await stream.aclose()
    assert cache.stats().updates == 0
    assert (await llm.acomplete("hello")).text == "answer number 2"


def test_a_stream_that_breaks_stores_nothing(cache: SemanticCache, llm: Teller) -> None:
    llm.breaks = True
    with pytest.raises(ConnectionError):
        list(llm.stream_complete("hello"))
    llm.breaks = False
    assert [piece.text for piece in llm.stream_complete("hello")][-1] == "answer number 2"
    assert cache.stats().updates == 1


def test_changing_what_was_handed_out_changes_nothing_that_is_stored(llm: Teller) -> None:
    for piece in llm.stream_chat(user("a question")):
        last = piece
        last.message.blocks[0].text = "changed" if piece.delta == "1" else piece.message.blocks[0].text
    said = chat(llm)
    response = llm.chat(user("a question"))
    response.message.blocks[0].text = "changed"
    response.additional_kwargs.clear()
    assert chat(llm) == said
    assert len(CALLS) == 1


# ---------------------------------------------------------------- old answers
def test_an_old_answer_is_served_while_it_is_renewed() -> None:
    clock = FakeClock()
    with open_cache(embedder=None, clock=clock, ttl=10, stale_while_revalidate=100) as cache:
        llm = cached_llm(Teller(), cache)
        first = chat(llm)
        clock.advance(20)
        assert chat(llm) == first
        for _ in range(1000):
            if cache.stats().updates == 2:
                break
            asyncio.run(asyncio.sleep(0.005))
        assert chat(llm) == "answer number 2"


# ---------------------------------------------------------------- failures
def _on(store: FaultyStore) -> SemanticCache:
    policy = SimilarityPolicy(0.95)
    rules = Rules(("hot",), "fake/64/unit", "test", lambda request: policy, judge, fail_open=True)
    tier = Tier("hot", store, AsyncStoreAdapter(store))
    parts: dict[str, Any] = {"embedder": FakeEmbedder(), "statistics": Statistics(), "clock": FakeClock()}
    return SemanticCache([tier], config=CacheConfig(), rules=rules, **parts)


@pytest.mark.parametrize("shape", ["chat", "stream_chat", "complete", "stream_complete"])
def test_a_store_that_fails_costs_a_call(shape: str) -> None:
    with closing(_on(store := FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20)))) as cache:
        store.fail()
        llm = cached_llm(Teller(), cache)
        for number in (1, 2):
            given = getattr(llm, shape)(user("hello") if "chat" in shape else "hello")
            last = list(given)[-1] if "stream" in shape else given
            said = last.message.content if isinstance(last, ChatResponse) else last.text
            assert said == f"answer number {number}"
        assert sum(cache.stats().errors.values()) > 0
        store.heal()


@pytest.mark.parametrize("content", ["plain text", {"form": "chat/9"}, {"form": "chat/1", "answers": [7]}])
@pytest.mark.parametrize("shape", ["chat", "stream_chat"])
def test_what_cannot_be_read_is_replaced(cache: SemanticCache, llm: Teller, content: Any, shape: str) -> None:
    request = request_of(llm, Teller, Spoken("chat", messages=user("hello")), extractor=_extractor).request
    cache.update(request, Answer(content))
    given = getattr(llm, shape)(user("hello"))
    said = list(given)[-1] if shape == "stream_chat" else given
    assert said.message.content == "answer number 1"
    assert chat(llm, "hello") == "answer number 1"
    assert len(CALLS) == 1
    assert cache.stats().errors["llama_index"] == 1


def _extractor(text: str) -> None:
    return None


def test_a_call_that_cannot_be_told_from_others_passes_and_is_counted(cache: SemanticCache, llm: Teller) -> None:
    for _ in range(2):
        llm.complete("hello", logits_processor=object())
        llm.chat(iter(user("hello")))  # type: ignore[arg-type]
    assert len(CALLS) == 4
    assert cache.stats().bypasses == 4
    assert cache.stats().updates == 0


def test_an_identity_stands_for_fields_that_cannot_be_compared(cache: SemanticCache) -> None:
    class Local(Teller):
        weights: Any = None

    plain = Local(weights=object())
    chat(cached_llm(plain, cache)), chat(cached_llm(plain, cache))
    assert (len(CALLS), cache.stats().bypasses) == (2, 2)
    for identity in ("small", "small", "large"):
        chat(cached_llm(plain, cache, identity=identity))
    assert len(CALLS) == 4


@pytest.mark.parametrize("field", ["name", "style", "unshown"])
def test_every_setting_of_an_llm_counts(cache: SemanticCache, field: str) -> None:
    class Persona(Teller):
        name: str = ""
        style: Any = None
        unshown: str = Field(default="", exclude=True)

    for value in ("Ada", "Grace", "Grace"):
        chat(cached_llm(Persona(**{field: value}), cache))
    assert len(CALLS) == 2


def test_an_llm_that_stands_for_another_one_is_told_by_it(cache: SemanticCache) -> None:
    class Standing(Teller):
        _inner: Any = None

        def standing_for(self, inner: Any) -> Standing:
            self._inner = inner
            return self

    chat(cached_llm(Standing().standing_for(MockLLM(max_tokens=1)), cache))
    chat(cached_llm(Standing().standing_for(MockLLM(max_tokens=2)), cache))
    assert len(CALLS) == 2
    chat(cached_llm(Standing().standing_for(MockLLM(max_tokens=2)), cache))
    assert len(CALLS) == 2


def test_a_prompt_template_of_the_users_own_is_part_of_the_question(cache: SemanticCache) -> None:
    def template(style: str) -> Callable[[Sequence[ChatMessage]], str]:
        return lambda messages: style + str(messages[-1].content)

    for style in ("loud ", "loud ", "quiet "):
        chat(cached_llm(Teller(messages_to_prompt=template(style)), cache))
    chat(cached_llm(Teller(), cache))
    assert CALLS[:2] == ["loud a question", "quiet a question"]
    assert len(CALLS) == 3


# ---------------------------------------------------------------- watching
def test_hits_take_no_token_of_the_rate_limiter(cache: SemanticCache) -> None:
    taken: list[int] = []

    class Limiter:
        def acquire(self) -> None:
            taken.append(1)

    llm = cached_llm(Teller(rate_limiter=Limiter()), cache)
    chat(llm)
    before = len(taken)
    chat(llm), list(llm.stream_chat(user("a question")))
    assert before > 0 or "rate_limiter" not in LLM.model_fields  # older LLMs have none
    assert len(taken) == before


def test_the_handlers_sum_up(cache: SemanticCache) -> None:
    events, classic = LLMCacheEventHandler(), LLMCacheCallbackHandler()
    root = get_dispatcher()
    root.add_event_handler(events)
    try:
        llm = cached_llm(Teller(callback_manager=CallbackManager([classic])), cache)
        for question in ("a", "a", "b", "a"):
            chat(llm, question)
        list(llm.stream_chat(user("b")))
        with cache.bypass():
            chat(llm, "a")
    finally:
        root.event_handlers.remove(events)
    assert (events.hits, events.misses, events.bypasses) == (3, 2, 1)
    assert events.hit_rate == 0.6
    assert (classic.hits, classic.misses, classic.model_calls) == (3, 2, 3)
    assert events.saved_usage == classic.saved_usage


# ---------------------------------------------------------------- warming
@pytest.mark.parametrize("is_chat_model", [True, False])
def test_warmed_answers_are_found_by_the_llm(cache: SemanticCache, is_chat_model: bool) -> None:
    llm = cached_llm(Teller(is_chat_model=is_chat_model, system_prompt="Be brief."), cache)
    assert cache.warm(["one", "two"], llm).warmed == 2
    assert len(CALLS) == 2
    if is_chat_model:
        llm.chat([ChatMessage(role="system", content="Be brief."), *user("one")])
    else:
        llm.complete("two")
    assert len(CALLS) == 2
    assert cache.warm(["one", "two"], llm).warmed == 0


async def test_warming_awaits_and_takes_inputs_of_other_shapes(cache: SemanticCache) -> None:
    llm = cached_llm(Teller(), cache)
    warmer = Warmer(llm, make_input=lambda question: [ChatMessage(role="system", content="Be brief."), *user(question)])
    assert (await cache.awarm(["one"], warmer)).warmed == 1
    llm.chat([ChatMessage(role="system", content="Be brief."), *user("one")])
    assert len(CALLS) == 1
    with pytest.raises(ConfigError, match="install"):
        Warmer(Teller())
