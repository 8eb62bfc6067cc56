"""What a cached engine of LlamaIndex is made of: what is changed while it runs, and what tells two of them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from llama_index.core import (
    ChatPromptTemplate,
    MockEmbedding,
    PromptTemplate,
    QueryBundle,
    StorageContext,
    SummaryIndex,
    VectorStoreIndex,
)
from llama_index.core.base.response.schema import PydanticResponse
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import Document, NodeWithScore, TextNode
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters, SimpleVectorStore
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import SimpleSpan
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from pydantic import BaseModel, Field, PrivateAttr

from llmcache_plugins import Answer, SemanticCache, open_cache
from llmcache_plugins.llama_index import CachedQueryEngine, cached_chat_engine, cached_query_engine
from llmcache_plugins.llama_index.engine_chat import _context
from llmcache_plugins.llama_index.engine_identity import EngineIdentity
from llmcache_plugins.testing import FakeEmbedder

# LlamaIndex imports LangChain's sunset package of integrations where it is installed.
pytestmark = pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning")
QUESTION = "Show BGP status"


class Counter(CustomLLM):
    """Says how often it was asked."""

    _calls: list[str] = PrivateAttr(default_factory=list)

    @property
    def count(self) -> int:
        return len(self._calls)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="counter-1")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._calls.append(prompt)
        return CompletionResponse(text=f"answer {self.count}")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        said = self.complete(prompt).text
        return iter([CompletionResponse(text=said, delta=said)])


@pytest.fixture
def llm() -> Counter:
    return Counter()


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


def documents(*texts: str) -> list[Document]:
    return [Document(text=text, metadata={"group": text}) for text in texts]


def built(*texts: str) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(documents(*texts), embed_model=MockEmbedding(embed_dim=4))


def group(name: str) -> MetadataFilters:
    return MetadataFilters(filters=[ExactMatchFilter(key="group", value=name)])


# ---------------------------------------------------------------- changed while it runs
def more_of_it(engine: Any) -> None:
    engine.retriever.similarity_top_k = 7


def other_filters(engine: Any) -> None:
    engine.retriever._filters = group("blue")


def filters_in_place(engine: Any) -> None:
    engine.retriever._filters.filters[0].value = "blue"


def other_cutoff(engine: Any) -> None:
    engine._node_postprocessors[0].similarity_cutoff = -1.0


def template_in_place(engine: Any) -> None:
    engine._response_synthesizer._text_qa_template.message_templates[0].content = "At length: {context_str} {query_str}"


CHANGES = [more_of_it, other_filters, filters_in_place, other_cutoff, template_in_place]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_part_is_another_engine(
    cache: SemanticCache, llm: Counter, change: Callable[[CachedQueryEngine], None]
) -> None:
    engine = cached_query_engine(
        built("red", "blue").as_query_engine(
            llm=llm,
            filters=group("red"),
            node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.0)],
            text_qa_template=ChatPromptTemplate([ChatMessage("Briefly: {context_str} {query_str}")]),
        ),
        cache,
    )
    for count in (1, 2):
        for _ in range(2):
            engine.query(QUESTION)
            assert llm.count == count
        change(engine)


def test_nothing_is_looked_at_again_while_nothing_changes(llm: Counter) -> None:
    identity = EngineIdentity(built("red").as_query_engine(llm=llm), None)
    first = identity.digest
    spans = SimpleSpanHandler()
    get_dispatcher().add_span_handler(spans)
    try:
        assert identity.digest == first
        told: list[SimpleSpan] = spans.completed_spans
        assert not told
    finally:
        get_dispatcher().span_handlers.remove(spans)


class Remembers(BaseRetriever):
    """Counts, as retrievers of the user's own may."""

    def __init__(self) -> None:
        self.asked = 0
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self.asked += 1
        return [NodeWithScore(node=TextNode(text=str(getattr(query_bundle, "user", "all"))))]


def test_what_a_part_of_the_users_own_remembers_is_no_change(cache: SemanticCache, llm: Counter) -> None:
    engine = cached_query_engine(RetrieverQueryEngine.from_args(Remembers(), llm=llm), cache)
    for _ in range(3):
        engine.query(QUESTION)
    assert llm.count == 1


# ---------------------------------------------------------------- what tells them apart
@dataclass
class Personal(QueryBundle):
    user: str = ""


def test_what_a_bundle_of_the_users_own_says_counts(cache: SemanticCache, llm: Counter) -> None:
    engine = cached_query_engine(RetrieverQueryEngine.from_args(Remembers(), llm=llm), cache)
    answers = [str(engine.query(Personal(QUESTION, user=user))) for user in ("ada", "bob", "ada", "bob")]
    assert answers == ["answer 1", "answer 2", "answer 1", "answer 2"]


@pytest.mark.parametrize("kind", [VectorStoreIndex, SummaryIndex])
def test_two_indexes_of_one_id_are_two(cache: SemanticCache, llm: Counter, kind: Any) -> None:
    indexes = [kind.from_documents(documents(text), embed_model=MockEmbedding(embed_dim=4)) for text in ("a", "b")]
    for index in indexes:
        index.set_index_id("vector_index")
    for _ in range(2):
        for index in indexes:
            cached_query_engine(index.as_query_engine(llm=llm), cache).query(QUESTION)
    assert llm.count == 2


class Elsewhere(SimpleVectorStore):
    """A store that is a server: the index knows nothing of what is in it."""

    stores_text: bool = True
    url: str = ""


def test_two_servers_under_one_id_are_two_and_their_passwords_do_not_count(llm: Counter) -> None:
    digests = []
    for url in ("http://me:one@a.example", "http://me:other@a.example", "http://me:one@b.example"):
        store = Elsewhere()
        store.url = url
        index = VectorStoreIndex(
            nodes=[],
            embed_model=MockEmbedding(embed_dim=4),
            storage_context=StorageContext.from_defaults(vector_store=store),
        )
        index.set_index_id("vector_index")
        digests.append(EngineIdentity(index.as_query_engine(llm=llm), None).digest)
    assert digests[0] == digests[1] != digests[2]


def test_equal_prompts_in_other_objects_are_equal(llm: Counter) -> None:
    index = built("red")
    prompts = [PromptTemplate(text) for text in ("A {query_str}", "A {query_str}", "B {query_str}")]
    a, b, c = (
        EngineIdentity(index.as_query_engine(llm=llm, text_qa_template=prompt), None).digest for prompt in prompts
    )
    assert a == b != c


# ---------------------------------------------------------------- what cannot be read any more
class Early(BaseModel):
    state: str


class Late(BaseModel):
    status: str


class Typed(CustomQueryEngine):
    """Answers with an object."""

    answer: BaseModel
    asked: list[str] = Field(default_factory=list)

    def custom_query(self, query_str: str) -> Any:
        self.asked.append(query_str)
        return PydanticResponse(self.answer)


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_answer_of_an_older_class_is_replaced(cache: SemanticCache, is_async: bool) -> None:
    def engine(answer: BaseModel, asked: list[str]) -> CachedQueryEngine:
        inner = Typed(answer=answer)
        inner.asked = asked
        return cached_query_engine(inner, cache, name="status", output=type(answer))

    engine(Early(state="up"), []).query(QUESTION)
    asked: list[str] = []
    for _ in range(2):
        late = engine(Late(status="up"), asked)
        response = await late.aquery(QUESTION) if is_async else late.query(QUESTION)
        assert response.response == Late(status="up")
    assert len(asked) == 1


@pytest.mark.parametrize("shape", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_a_chat_that_cannot_be_read_is_replaced(cache: SemanticCache, llm: Counter, shape: str) -> None:
    async def said() -> str:
        memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
        engine = cached_chat_engine(SimpleChatEngine.from_defaults(llm=llm, memory=memory), cache)
        if not engine_requests:
            request, _ = engine._llmcache_calls.request(QUESTION, _context([], {}))
            cache.update(request, Answer({"form": "engine/0"}))
            engine_requests.append(request)
        response = getattr(engine, shape)(QUESTION)
        response = await response if shape.startswith("a") else response
        if shape == "stream_chat":
            list(response.response_gen)
        if shape == "astream_chat":
            _ = [piece async for piece in response.async_response_gen()]
        return str(response)

    engine_requests: list[Any] = []
    assert [await said(), await said()] == ["answer 1", "answer 1"]
    assert llm.count == 1


class Failing(Counter):
    """Fails in a way that LlamaIndex holds back."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        if not self.count:
            self._calls.append(prompt)
            Late.model_validate({})
        return super().complete(prompt, formatted, **kwargs)


def test_an_error_that_was_held_back_is_not_stored(cache: SemanticCache) -> None:
    engine = cached_query_engine(built("red").as_query_engine(llm=Failing()), cache)
    first = engine.query(QUESTION)
    assert str(first) == "Empty Response"
    assert first.source_nodes
    assert [str(engine.query(QUESTION)) for _ in range(2)] == ["answer 2", "answer 2"]
