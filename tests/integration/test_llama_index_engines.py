"""Cached query engines and chat engines: looked up before retrieval, tagged with what the answer was made from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from llama_index.core import MockEmbedding, PromptTemplate, QueryBundle, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import AsyncStreamingResponse, PydanticResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine
from llama_index.core.schema import Document, NodeWithScore, TextNode
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base.event import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from pydantic import BaseModel, Field, PrivateAttr

from llmcache_plugins import CacheConfig, ConfigError, SemanticCache, open_cache
from llmcache_plugins.engine import Rules, Tier
from llmcache_plugins.llama_index import (
    LLMCacheEvent,
    cached_chat_engine,
    cached_llm,
    cached_query_engine,
    invalidate_documents,
)
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.recorded import ErrorEvent
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

# LlamaIndex imports LangChain's sunset package of integrations where it is installed.
pytestmark = pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning")
GROUPS = {"Show BGP status": "bgp", "Display BGP state": "bgp", "Show OSPF status": "ospf"}
SHOW, DISPLAY, OTHER = GROUPS
CHATS = ("context", "condense_question", "condense_plus_context", "simple")


class Parrot(CustomLLM):
    """Says `says`, a word at a time when it streams."""

    says: str = "It is up."
    reason: str = "stop"
    breaks: bool = False
    _calls: list[str] = PrivateAttr(default_factory=list)

    @property
    def calls(self) -> list[str]:
        return self._calls

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="parrot-1")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.calls.append(prompt)
        if self.breaks:
            raise TimeoutError("no model")
        usage = {"input_tokens": 10, "output_tokens": 5}
        return CompletionResponse(text=self.says, raw={"finish_reason": self.reason, "usage": usage})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:  # type: ignore[override]
        self.calls.append(prompt)

        def pieces() -> Iterator[CompletionResponse]:
            said = ""
            words = [f"{word} " for word in self.says.split(" ")]
            for number, word in enumerate(words):
                if self.breaks and number:
                    raise TimeoutError("no model")
                said += word
                reason = self.reason if number == len(words) - 1 else None
                yield CompletionResponse(text=said, delta=word, raw={"finish_reason": reason})

        return pieces()


def built(*ids: str, version: str = "1") -> VectorStoreIndex:
    documents = [Document(text=f"of {id}", id_=id, metadata={"version": version, "page": 3}) for id in ids or ("a",)]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))


def talking(index: VectorStoreIndex, llm: Parrot, mode: Any = "context") -> BaseChatEngine:
    """With the older memory: the default one opens a database, and leaves it to be closed by nobody."""
    return index.as_chat_engine(chat_mode=mode, llm=llm, memory=ChatMemoryBuffer.from_defaults(token_limit=3000))


@pytest.fixture
def errors() -> list[ErrorEvent]:
    return []


@pytest.fixture
def cache(errors: list[ErrorEvent]) -> Iterator[SemanticCache]:
    def hear(event: object) -> None:
        if isinstance(event, ErrorEvent):
            errors.append(event)

    with closing(open_cache("memory://", embedder=FakeEmbedder(GROUPS), recorders=[hear])) as opened:
        yield opened


@pytest.fixture
def llm() -> Parrot:
    return Parrot()


class Ear(BaseEventHandler):
    heard: list[Any] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.heard.append(event)


@pytest.fixture
def ear() -> Iterator[Ear]:
    listening = Ear()
    get_dispatcher().add_event_handler(listening)
    yield listening
    get_dispatcher().event_handlers.remove(listening)


def shown(nodes: Sequence[NodeWithScore]) -> list[Any]:
    return [(found.node.model_dump(exclude={"embedding"}), found.score) for found in nodes]


# --------------------------------------------------------------------------------------------------------- queries
def test_a_hit_in_other_words_asks_neither_index_nor_llm(cache: SemanticCache, llm: Parrot, ear: Ear) -> None:
    engine = cached_query_engine(built("a", "b").as_query_engine(llm=llm), cache)
    cold, warm = engine.query(SHOW), engine.query(DISPLAY)
    assert isinstance(warm, Response)
    assert (warm.response, warm.metadata) == (cold.response, cold.metadata) == ("It is up.", cold.metadata)
    assert shown(warm.source_nodes) == shown(cold.source_nodes)
    assert [type(found.node) for found in warm.source_nodes] == [TextNode] * 2
    assert len(llm.calls) == 1
    names = [type(event).__name__ for event in ear.heard]
    assert names.count("RetrievalStartEvent") == 1
    assert names.count("QueryStartEvent") == names.count("QueryEndEvent") == 2
    told = [event for event in ear.heard if isinstance(event, LLMCacheEvent)]
    assert [(event.op, event.hit, event.kind) for event in told] == [
        ("query", False, "miss"),
        ("query", True, "semantic"),
    ]
    assert told[1].saved_usage["input_tokens"] == 10


def test_a_hit_is_a_copy(cache: SemanticCache, llm: Parrot) -> None:
    engine = cached_query_engine(built().as_query_engine(llm=llm), cache)
    engine.query(SHOW).source_nodes[0].node.metadata["page"] = "changed by the caller"
    engine.query(SHOW).source_nodes[0].node.metadata["page"] = "changed by the caller"
    assert engine.query(SHOW).source_nodes[0].node.metadata["page"] == 3


async def test_async_queries_share_the_answers(cache: SemanticCache, llm: Parrot) -> None:
    engine = cached_query_engine(built().as_query_engine(llm=llm), cache)
    assert str(await engine.aquery(SHOW)) == str(engine.query(DISPLAY)) == str(await engine.aquery(DISPLAY))
    assert len(llm.calls) == 1


async def test_streams_are_recorded_and_replayed(cache: SemanticCache, llm: Parrot) -> None:
    engine = cached_query_engine(built().as_query_engine(llm=llm, streaming=True), cache)
    cold, warm = engine.query(SHOW), engine.query(SHOW)  # the first is read only now
    assert isinstance(cold, StreamingResponse)
    del warm
    assert list(cold.response_gen) == ["It ", "is ", "up. "]
    warm = engine.query(DISPLAY)
    assert isinstance(warm, StreamingResponse)
    assert list(warm.response_gen) == ["It ", "is ", "up. "]
    assert shown(warm.source_nodes) == shown(cold.source_nodes)
    calls = len(llm.calls)
    later = await engine.aquery(SHOW)
    assert isinstance(later, AsyncStreamingResponse)
    assert [piece async for piece in later.async_response_gen()] == ["It ", "is ", "up. "]
    for _ in range(2):
        other = await engine.aquery(OTHER)
        assert isinstance(other, AsyncStreamingResponse)
        assert str((await other.get_response()).response).strip() == "It is up."
    assert len(llm.calls) == calls + 1


def test_p14_a_stream_that_was_closed_failed_or_never_read_stores_nothing(cache: SemanticCache, llm: Parrot) -> None:
    engine = cached_query_engine(built().as_query_engine(llm=llm, streaming=True), cache)
    engine.query(SHOW)
    response = engine.query(SHOW)
    assert isinstance(response, StreamingResponse)
    assert next(response.response_gen) == "It "
    response.response_gen.close()
    llm.breaks = True
    broken = engine.query(SHOW)
    with pytest.raises(TimeoutError):
        str(broken)
    llm.breaks = False
    before = len(llm.calls)
    assert str(engine.query(SHOW)) == str(engine.query(SHOW)) == "It is up. "
    assert len(llm.calls) == before + 1


class Status(BaseModel):
    state: str


class Structured(CustomQueryEngine):
    def custom_query(self, query_str: str) -> Any:
        _made.append(query_str)
        return PydanticResponse(Status(state=query_str), [NodeWithScore(node=TextNode(text="x", id_="n"), score=None)])


_made: list[str] = []


def test_a_response_that_is_an_object(cache: SemanticCache, errors: list[ErrorEvent]) -> None:
    _made.clear()
    engine = cached_query_engine(Structured(), cache, output=Status)
    for _ in range(2):
        response = engine.query(SHOW)
        assert isinstance(response, PydanticResponse)
        assert response.response == Status(state=SHOW)
    assert _made == [SHOW]
    plain = cached_query_engine(Structured(), cache, name="without its class")
    for _ in range(2):
        plain.query(SHOW)
    assert len(_made) == 3
    assert {(event.component, event.error) for event in errors} == {("llama_index.engine_output", "CodecError")}


def test_an_engine_that_answers_with_text(cache: SemanticCache) -> None:
    class Plain(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            _made.append(query_str)
            return "a text"

    _made.clear()
    engine = cached_query_engine(Plain(), cache)
    assert str(engine.query(SHOW)) == str(engine.query(SHOW)) == "a text"
    assert len(_made) == 1


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_p17_an_answer_of_an_llm_that_was_cut_or_refused_is_not_stored(
    cache: SemanticCache, llm: Parrot, reason: str
) -> None:
    llm.reason = reason
    index = built()
    plain, streams = (index.as_query_engine(llm=llm, streaming=is_stream) for is_stream in (False, True))
    for _ in range(2):
        cached_query_engine(plain, cache).query(SHOW)
        str(cached_query_engine(streams, cache).query(SHOW))
    assert len(llm.calls) == 4


def test_nothing_found_is_not_stored(cache: SemanticCache, llm: Parrot) -> None:
    index = VectorStoreIndex.from_documents([], embed_model=MockEmbedding(embed_dim=4))
    engine = cached_query_engine(index.as_query_engine(llm=llm), cache)
    assert str(engine.query(SHOW)) == "Empty Response"
    assert cache.stats().entries == 0


# ------------------------------------------------------------------------------------------- what has to be equal
def test_an_engine_is_known_by_its_index_llm_and_prompts(cache: SemanticCache, llm: Parrot) -> None:
    index = built()
    cached_query_engine(index.as_query_engine(llm=llm), cache).query(SHOW)
    cached_query_engine(index.as_query_engine(llm=Parrot()), cache).query(SHOW)
    assert len(llm.calls) == 1
    engine = cached_query_engine(index.as_query_engine(llm=llm), cache)
    llm.says = "It is down."
    assert str(engine.query(SHOW)) == "It is down."
    prompt = PromptTemplate("Briefly: {context_str} {query_str}")
    engine.update_prompts({"response_synthesizer:text_qa_template": prompt})
    assert engine.get_prompts()["response_synthesizer:text_qa_template"].get_template() == prompt.get_template()
    engine.query(SHOW)
    cached_query_engine(index.as_query_engine(llm=llm, similarity_top_k=7), cache).query(SHOW)
    cached_query_engine(built().as_query_engine(llm=llm), cache).query(SHOW)
    assert len(llm.calls) == 5
    assert str(engine.query(QueryBundle(DISPLAY))) == "It is down."
    assert len(llm.calls) == 5
    engine.query(QueryBundle(DISPLAY, custom_embedding_strs=["other"]))
    assert len(llm.calls) == 6


def test_a_name_lets_another_index_answer_and_a_partition_does_not(cache: SemanticCache, llm: Parrot) -> None:
    for partition in (None, None, "v2", lambda question: ("v2", len(question))):
        engine = built().as_query_engine(llm=llm)
        cached_query_engine(engine, cache, name="support", partition=partition).query(SHOW)
    assert len(llm.calls) == 3


# ------------------------------------------------------------------------------------------------------ documents
def test_an_answer_goes_with_the_documents_it_was_made_from(cache: SemanticCache, llm: Parrot) -> None:
    for ids in (("a",), ("a", "b"), ("c",)):
        cached_query_engine(built(*ids).as_query_engine(llm=llm), cache).query(SHOW)
    assert invalidate_documents(cache, [("a", "2")]).count == 0
    assert invalidate_documents(cache, [("b", "1")]).count == 1
    assert invalidate_documents(cache, ["a", "b"]).count == 1
    assert invalidate_documents(cache, "c").count == 1


def test_refreshed_documents_are_known_by_their_ids(cache: SemanticCache, llm: Parrot) -> None:
    index = built("a", "b")
    engine = cached_query_engine(index.as_query_engine(llm=llm, similarity_top_k=1), cache)
    source = engine.query(SHOW).source_nodes[0].node.ref_doc_id
    documents = [
        Document(text="new" if id == source else f"of {id}", id_=id, metadata={"version": "1", "page": 3})
        for id in "ab"
    ]
    changed = index.refresh_ref_docs(documents)
    ids = [document.doc_id for document, is_new in zip(documents, changed, strict=True) if is_new]
    assert ids == [source]
    assert invalidate_documents(cache, ids).count == 1


def test_nodes_are_known_by_id_and_hash(cache: SemanticCache, llm: Parrot) -> None:
    index = VectorStoreIndex(nodes=[TextNode(text="x", id_="n")], embed_model=MockEmbedding(embed_dim=4))
    node = cached_query_engine(index.as_query_engine(llm=llm), cache).query(SHOW).source_nodes[0].node
    assert cache.invalidate(tags=["document:n", f"document:n@{node.hash}"]).count == 1


def test_how_to_read_a_node_can_be_said(cache: SemanticCache, llm: Parrot) -> None:
    engine = built().as_query_engine(llm=llm)
    cached_query_engine(engine, cache, documents=lambda node: (f"page {node.metadata['page']}", 9)).query(SHOW)
    assert cache.invalidate(tags="document:a").count == 0
    assert invalidate_documents(cache, [("page 3", "9")]).count == 1


def test_untagged_answers_can_be_left_out(cache: SemanticCache, llm: Parrot) -> None:
    engine = built().as_query_engine(llm=llm)
    unknown = cached_query_engine(engine, cache, documents=lambda node: None, untagged="skip")
    for _ in range(2):
        unknown.query(SHOW)
    assert len(llm.calls) == 2


# ------------------------------------------------------------------------------------------------ as an engine
def test_it_passes_for_the_engine(cache: SemanticCache, llm: Parrot) -> None:
    plain = built().as_query_engine(llm=llm)
    engine = cached_query_engine(plain, cache)
    assert isinstance(engine, BaseQueryEngine)
    assert engine.retriever is plain.retriever
    assert engine.callback_manager is plain.callback_manager
    assert len(engine.retrieve(QueryBundle(SHOW))) == 1
    assert str(engine.synthesize(QueryBundle(SHOW), engine.retrieve(QueryBundle(SHOW)))) == "It is up."
    tool = QueryEngineTool.from_defaults(query_engine=engine, name="status", description="status of a device")
    llm.calls.clear()
    assert [tool.call(SHOW).content, tool.call(input=DISPLAY).content] == ["It is up."] * 2
    assert len(llm.calls) == 1
    with pytest.raises(AttributeError):
        engine.nonsense  # noqa: B018  # the access is the test


def test_the_classic_callbacks_of_a_hit_tell_the_query_and_no_llm(cache: SemanticCache, llm: Parrot) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    index = built()
    manager = CallbackManager([debug])
    engine = index.as_query_engine(llm=llm)
    engine.callback_manager = manager
    llm.callback_manager = manager
    cached = cached_query_engine(engine, cache)
    cached.query(SHOW)
    before = len(debug.get_event_pairs(CBEventType.LLM))
    cached.query(SHOW)
    assert len(debug.get_event_pairs(CBEventType.LLM)) == before == 1


def test_an_llm_inside_of_a_miss_has_its_own_cache(cache: SemanticCache, llm: Parrot) -> None:
    index = built()
    inner = cached_llm(llm, cache)
    for partition in ("one", "two"):
        cached_query_engine(index.as_query_engine(llm=inner), cache, partition=partition).query(SHOW)
    assert len(inner.calls) == 1


# --------------------------------------------------------------------------------------------------------- chats
@pytest.mark.parametrize("mode", CHATS)
def test_a_conversation_goes_on_after_a_hit(cache: SemanticCache, llm: Parrot, mode: Any) -> None:
    index = built("a", "b")
    cold = cached_chat_engine(talking(index, llm, mode), cache)
    first, second = cold.chat(SHOW), cold.chat("And why?")
    calls = len(llm.calls)
    warm = cached_chat_engine(talking(index, llm, mode), cache)
    assert isinstance(warm, BaseChatEngine)
    again = warm.chat(SHOW)
    assert (again.response, shown(again.source_nodes)) == (first.response, shown(first.source_nodes))
    assert [source.content for source in again.sources] == [source.content for source in first.sources]
    assert [type(source.raw_output) for source in again.sources] == [type(one.raw_output) for one in first.sources]
    assert warm.chat("And why?").response == second.response
    assert len(llm.calls) == calls
    assert said(warm.chat_history) == said(cold.chat_history)
    assert len(warm.chat_history) == 4
    warm.reset()
    assert warm.chat_history == []
    assert warm.chat(DISPLAY).response == "It is up."
    assert len(llm.calls) == calls
    assert said(warm.chat_history) == [("user", DISPLAY), ("assistant", "It is up.")]


def said(history: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """The turns; LlamaIndex left white space behind a streamed one for a while."""
    return [(message.role.value, (message.content or "").strip()) for message in history]


@pytest.mark.parametrize("mode", CHATS)
async def test_chats_stream(cache: SemanticCache, llm: Parrot, mode: Any) -> None:
    index = built()

    def engine() -> Any:
        return cached_chat_engine(talking(index, llm, mode), cache)

    one, two, three, four = (engine() for _ in range(4))
    cold = one.stream_chat(SHOW)
    pieces = list(cold.response_gen)
    warm = two.stream_chat(DISPLAY)
    assert [piece.strip() for piece in warm.response_gen] == [piece.strip() for piece in pieces] == ["It", "is", "up."]
    assert (warm.response, shown(warm.source_nodes)) == (cold.response, shown(cold.source_nodes))
    later = await three.astream_chat(SHOW)
    assert "".join([piece async for piece in later.async_response_gen()]) == "It is up."
    assert (await four.achat(DISPLAY)).response == "It is up."
    assert len(llm.calls) == 1
    histories = [said(engine.chat_history) for engine in (one, two, three, four)]
    assert [history[1] for history in histories] == [("assistant", "It is up.")] * 4
    assert [history[0][1] for history in histories] == [SHOW, DISPLAY, SHOW, DISPLAY]


async def test_async_chat_streams_are_recorded(cache: SemanticCache, llm: Parrot) -> None:
    index = built()
    for calls in (1, 1):
        engine = cached_chat_engine(talking(index, llm, "condense_question"), cache)
        response = await engine.astream_chat(SHOW)
        assert "".join([piece async for piece in response.async_response_gen()]).strip() == "It is up."
        assert said(engine.chat_history) == [("user", SHOW), ("assistant", "It is up.")]
        assert len(llm.calls) == calls
    assert invalidate_documents(cache, "a").count == 1


def test_the_history_has_to_be_equal(cache: SemanticCache, llm: Parrot) -> None:
    index = built()
    histories: list[list[ChatMessage]] = [
        [],
        [ChatMessage(role="user", content="Of rtr-001?"), ChatMessage(role="assistant", content="Yes.")],
        [ChatMessage(role="user", content="Of rtr-002?"), ChatMessage(role="assistant", content="Yes.")],
    ]
    for _ in range(2):
        for history in histories:
            engine = cached_chat_engine(talking(index, llm), cache)
            engine.chat(SHOW, chat_history=list(history))
            assert said(engine.chat_history) == [*said(history), ("user", SHOW), ("assistant", "It is up.")]
    assert len(llm.calls) == 3


@pytest.mark.parametrize("mode", CHATS)
@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_p17_a_chat_that_was_cut_or_refused_is_not_stored(
    cache: SemanticCache, llm: Parrot, mode: Any, reason: str
) -> None:
    llm.reason = reason
    index = built()

    def engine() -> Any:
        return cached_chat_engine(talking(index, llm, mode), cache)

    for _ in range(2):
        engine().chat(SHOW)
        list(engine().stream_chat(SHOW).response_gen)
        await engine().achat(SHOW)
        async for _piece in (await engine().astream_chat(SHOW)).async_response_gen():
            pass
    assert len(llm.calls) == 8


def test_an_old_answer_of_a_chat_is_not_renewed_in_the_background(llm: Parrot) -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {"ttl": 60.0, "stale_while_revalidate": 600.0, "profiler": None}
    with closing(open_cache("memory://", embedder=None, clock=clock, **settings)) as cache:
        engine = cached_chat_engine(talking(built(), llm), cache)
        engine.chat(SHOW)
        engine.reset()
        clock.advance(90.0)
        assert engine.chat(SHOW).response == "It is up."
        assert len(engine.chat_history) == 2
        assert len(llm.calls) == 1


def test_a_memory_that_is_not_found_is_told(cache: SemanticCache, llm: Parrot) -> None:
    engine = talking(built(), llm)
    memory = engine._memory
    del engine._memory
    with pytest.raises(ConfigError, match="memory="):
        cached_chat_engine(engine, cache)
    engine._memory = memory
    assert cached_chat_engine(engine, cache, memory=memory).chat(SHOW).response == "It is up."


# ------------------------------------------------------------------------------------------ surroundings and faults
def test_tenants_bypass_and_refresh(cache: SemanticCache, llm: Parrot) -> None:
    engine = cached_query_engine(built().as_query_engine(llm=llm), cache)
    engine.query(SHOW)
    with cache.context(tenant="ann"):
        engine.query(SHOW)
        engine.query(DISPLAY)
    with cache.bypass():
        engine.query(SHOW)
    assert len(llm.calls) == 3
    with cache.context(refresh=True, tags="ticket:1"):
        engine.query(SHOW)
    engine.query(SHOW)
    assert len(llm.calls) == 4
    assert cache.invalidate(tags=["ticket:1", "document:a"]).count == 1


class Gate(Parrot):
    """Waits until it is opened."""

    _gate: threading.Event = PrivateAttr(default_factory=threading.Event)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._gate.wait(10)
        return super().complete(prompt, formatted, **kwargs)


async def test_p26_concurrent_questions_make_one_call(cache: SemanticCache) -> None:
    llm = Gate()
    engine = cached_query_engine(built().as_query_engine(llm=llm), cache)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(engine.query, SHOW) for _ in range(6)]
        llm._gate.set()
        assert {str(one.result(20)) for one in asked} == {"It is up."}
    assert len(llm.calls) == 1
    assert {str(one) for one in await asyncio.gather(*(engine.aquery(OTHER) for _ in range(6)))} == {"It is up."}
    assert len(llm.calls) == 2


def test_p40_an_event_handler_that_fails_changes_nothing(cache: SemanticCache, llm: Parrot) -> None:
    class Broken(BaseEventHandler):
        def handle(self, event: BaseEvent, **kwargs: Any) -> None:
            raise RuntimeError("a monitor")

    broken = Broken()
    get_dispatcher().add_event_handler(broken)
    try:
        engine = cached_query_engine(built().as_query_engine(llm=llm), cache)
        assert [str(engine.query(SHOW)) for _ in range(2)] == ["It is up."] * 2
    finally:
        get_dispatcher().event_handlers.remove(broken)
    assert len(llm.calls) == 1


@pytest.mark.parametrize("verbs", [{"get"}, {"put"}, {"census", "search"}, None])
async def test_p7_a_store_that_fails_costs_a_call_and_is_counted(llm: Parrot, verbs: set[str] | None) -> None:
    store = FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20))
    embedder, policy = FakeEmbedder(GROUPS), SimilarityPolicy(0.95)
    rules = Rules(("hot",), embedder.embedder_id, "test", lambda request: policy, judge, fail_open=True)
    parts: dict[str, Any] = {"embedder": embedder, "statistics": Statistics(), "clock": FakeClock()}
    tier = Tier("hot", store, AsyncStoreAdapter(store))
    cache = SemanticCache([tier], rules=rules, config=CacheConfig(), **parts)
    index = built()
    engine = cached_query_engine(index.as_query_engine(llm=llm), cache)
    chat = cached_chat_engine(talking(index, llm), cache)
    store.fail(verbs) if verbs else store.fail()
    assert str(engine.query(SHOW)) == str(await engine.aquery(OTHER)) == "It is up."
    assert chat.chat(SHOW).response == "It is up."
    assert "".join(chat.stream_chat(OTHER).response_gen).strip() == "It is up."
    assert cache.stats().errors["hot"] >= 1


def test_a_mistake_of_the_users_own_function_costs_the_cache_alone(
    cache: SemanticCache, llm: Parrot, errors: list[ErrorEvent]
) -> None:
    engine = built().as_query_engine(llm=llm)

    def broken(_: Any) -> Any:
        raise KeyError("no such thing")

    assert str(cached_query_engine(engine, cache, partition=broken).query(SHOW)) == "It is up."
    assert str(cached_query_engine(engine, cache, documents=broken).query(SHOW)) == "It is up."
    assert [event.component for event in errors] == ["llama_index.engine", "llama_index.engine_output"]


@pytest.mark.parametrize("settings", [{"partition": object()}, {"documents": "id"}, {"name": ""}, {"untagged": "drop"}])
def test_a_setting_that_is_wrong_is_told_at_once(cache: SemanticCache, llm: Parrot, settings: Any) -> None:
    index = built()
    with pytest.raises(ConfigError):
        cached_query_engine(index.as_query_engine(llm=llm), cache, **settings)
    with pytest.raises(ConfigError):
        cached_chat_engine(talking(index, llm), cache, **settings)
    with pytest.raises(ConfigError):
        cached_query_engine(index, cache)  # type: ignore[arg-type]


def test_a_cached_part_hands_its_documents_on(cache: SemanticCache, llm: Parrot) -> None:
    class Outer(CustomQueryEngine):
        inner: Any

        def custom_query(self, query_str: str) -> str:
            return str(self.inner.query(query_str)).upper()

    inner = cached_query_engine(built().as_query_engine(llm=llm), cache)
    inner.query(SHOW)  # from now on nothing is retrieved
    outer = cached_query_engine(Outer(inner=inner), cache, untagged="skip")
    assert str(outer.query(SHOW)) == "IT IS UP."
    assert cache.stats().entries == 2
    assert invalidate_documents(cache, [("a", "1")]).count == 2


def test_a_router_of_cached_engines_is_cached_itself(cache: SemanticCache, llm: Parrot) -> None:
    choosing = Parrot(says='[{"choice": 1, "reason": "the only one"}]')
    inner = cached_query_engine(built().as_query_engine(llm=llm), cache)
    tool = QueryEngineTool.from_defaults(query_engine=inner, description="status of devices")
    router = RouterQueryEngine.from_defaults(
        [tool, tool], selector=LLMSingleSelector.from_defaults(llm=choosing), llm=llm
    )
    engine = cached_query_engine(router, cache)
    assert [str(engine.query(question)) for question in (SHOW, DISPLAY)] == ["It is up."] * 2
    assert (len(choosing.calls), len(llm.calls)) == (1, 1)
    assert invalidate_documents(cache, "a").count == 2


def test_a_structured_engine_says_its_class_itself(cache: SemanticCache) -> None:
    llm = Parrot(says='{"state": "up"}')
    engine = cached_query_engine(built().as_query_engine(llm=llm, output_cls=Status), cache)
    for question in (SHOW, DISPLAY):
        response = engine.query(question)
        assert isinstance(response, PydanticResponse)
        assert response.response == Status(state="up")
    assert len(llm.calls) == 1
