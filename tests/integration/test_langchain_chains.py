"""`cached_chain`: an answer is looked up before the chain retrieves, and goes with the documents it was made from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from llmcache_plugins import CacheConfig, CodecError, ConfigError, SemanticCache, open_cache
from llmcache_plugins.engine import Rules, Tier
from llmcache_plugins.langchain import LLMCache, cached_chain, invalidate_documents
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.recorded import ErrorEvent
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

GROUPS = {"Show BGP status": "bgp", "Display BGP state": "bgp", "Show OSPF status": "ospf"}
SHOW, DISPLAY, OTHER = GROUPS


class Shelf(BaseRetriever):
    """Gives all of its documents, and counts how often it was asked."""

    documents: list[Document]
    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return self._asked

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        self._asked.append(query)
        return [document.model_copy() for document in self.documents]


class Parrot(BaseChatModel):
    """Says `says`, a word at a time when it streams."""

    says: str = "It is up."
    stop_reason: str = "end_turn"
    calls: list[Any] = Field(default_factory=list)
    breaks_after: int | None = None
    tools: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "parrot"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": "parrot-1", "says": self.says}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.calls.append(messages)
        if self.breaks_after is not None:
            raise TimeoutError("no model")
        message = AIMessage(
            self.says,
            tool_calls=self.tools,
            response_metadata={"stop_reason": self.stop_reason},
            usage_metadata={"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        self.calls.append(messages)
        words = self.says.split(" ")
        for number, word in enumerate(words):
            if number == self.breaks_after:
                raise TimeoutError("no model")
            is_last = number == len(words) - 1
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=word if is_last else f"{word} ",
                    response_metadata={"stop_reason": self.stop_reason} if is_last else {},
                )
            )


def shelf(*ids: str, version: str = "1") -> Shelf:
    return Shelf(documents=[Document(f"of {id}", id=id, metadata={"version": version, "page": 3}) for id in ids or "a"])


def rag(retriever: Shelf, model: Parrot, template: str = "{context}: {question}") -> Runnable[Any, Any]:
    """From a question to a text."""
    prompt = ChatPromptTemplate.from_template(template)
    return {"context": retriever, "question": RunnablePassthrough()} | prompt | model | StrOutputParser()


def told(retriever: Shelf, model: Parrot) -> Runnable[Any, Any]:
    """From a dict to a dict that shows the documents, as LangChain's own retrieval chains do."""
    answer = ChatPromptTemplate.from_template("{context}: {question}") | model | StrOutputParser()
    context = RunnableLambda(lambda given: given["question"]) | retriever
    return RunnablePassthrough.assign(context=context) | RunnablePassthrough.assign(answer=answer)


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


# -------------------------------------------------------------------------------------------------- what is matched
def test_a_hit_in_other_words_asks_neither_retriever_nor_model(cache: SemanticCache) -> None:
    retriever, model = shelf(), Parrot()
    chain = cached_chain(rag(retriever, model), cache)
    assert [chain.invoke(question) for question in (SHOW, SHOW, DISPLAY)] == ["It is up."] * 3
    assert (len(retriever.asked), len(model.calls)) == (1, 1)
    chain.invoke(OTHER)
    assert (len(retriever.asked), len(model.calls)) == (2, 2)


def test_all_other_input_has_to_be_equal(cache: SemanticCache) -> None:
    retriever = shelf()
    chain = cached_chain(told(retriever, Parrot()), cache, question="question", ignore=["trace"])
    chain.invoke({"question": SHOW, "language": "en", "trace": "1"})
    chain.invoke({"language": "en", "question": DISPLAY, "trace": "2"})
    assert len(retriever.asked) == 1
    chain.invoke({"question": SHOW, "language": "de"})
    chain.invoke({"question": SHOW})
    assert len(retriever.asked) == 3


def test_fields_that_the_class_of_an_input_does_not_name_count_too(cache: SemanticCache) -> None:
    class Asked(BaseModel):
        model_config = ConfigDict(extra="allow")
        question: str

    def who(given: Any) -> str:
        return str(given["by"].user) if isinstance(given, dict) else str(given.user)

    chain = cached_chain(RunnableLambda(who), cache, question="question")
    asked = [Asked.model_validate({"question": SHOW, "user": user}) for user in "ab"]
    assert [chain.invoke(one) for one in asked] == ["a", "b"]
    assert [chain.invoke({"question": SHOW, "by": one}) for one in asked] == ["a", "b"]


def test_a_conversation_in_the_input_is_compared_without_what_differs_from_run_to_run(cache: SemanticCache) -> None:
    retriever = shelf()
    chain = cached_chain(told(retriever, Parrot()), cache, question="question")
    for id, answer in (("1", "yes"), ("2", "yes"), ("3", "no")):
        chain.invoke({"question": SHOW, "chat_history": [AIMessage(answer, id=id, response_metadata={"at": id})]})
    assert len(retriever.asked) == 2


def test_a_function_finds_the_question(cache: SemanticCache) -> None:
    seen: list[Any] = []
    body = RunnableLambda(lambda given: seen.append(given) or "an answer")
    by_pair = cached_chain(body, cache, name="pair", question=lambda given: (given["q"]["text"], given["user"]))
    for text, user, noise in ((SHOW, "ann", 1), (DISPLAY, "ann", 2), (SHOW, "bob", 3)):
        by_pair.invoke({"q": {"text": text}, "user": user, "noise": noise})
    assert len(seen) == 2

    in_messages = cached_chain(body, cache, name="messages", question=lambda given: given[-1].content)
    for first, last in (("hi", SHOW), ("hi", DISPLAY), ("hello", SHOW)):
        in_messages.invoke([AIMessage(first), AIMessage(last)])
    assert len(seen) == 4

    in_text = cached_chain(body, cache, name="text", question=lambda given: given.removeprefix("en: "))
    for text in (f"en: {SHOW}", f"en: {DISPLAY}", SHOW):
        in_text.invoke(text)
    assert len(seen) == 6


@pytest.mark.parametrize("partition", [lambda given: ("v1", given["k"]), lambda given: f"v1:{given['k']}"])
def test_a_partition_separates(cache: SemanticCache, partition: Any) -> None:
    retriever = shelf()
    chain = cached_chain(told(retriever, Parrot()), cache, question="question", partition=partition, ignore=["k"])
    for k in (4, 4, 8):
        chain.invoke({"question": SHOW, "k": k})
    assert len(retriever.asked) == 2


def test_generations_of_an_index_share_nothing(cache: SemanticCache) -> None:
    retriever, model = shelf(), Parrot()
    for generation in ("2024-01", "2024-01", "2024-02", ("2024-02", 4)):
        cached_chain(rag(retriever, model), cache, partition=generation).invoke(SHOW)
    assert len(model.calls) == 3


def test_a_chain_is_known_by_its_models_prompts_and_objects(cache: SemanticCache) -> None:
    retriever = shelf()
    chains = [
        rag(retriever, Parrot()),
        rag(retriever, Parrot()),  # the same once more
        rag(retriever, Parrot(says="It is down.")),
        rag(retriever, Parrot(), "{context}? {question}"),
        rag(shelf("b"), Parrot()),
    ]
    asked = []
    for chain in chains:
        asked.append(cached_chain(chain, cache).invoke(SHOW))
    assert asked == ["It is up.", "It is up.", "It is down.", "It is up.", "It is up."]
    assert len(cache.invalidate(tags="document:a", dry_run=True).sample) == 3
    assert len(cache.invalidate(tags="document:b", dry_run=True).sample) == 1


def test_what_the_caller_configures_counts(cache: SemanticCache) -> None:
    from langchain_core.runnables import ConfigurableField

    model = Parrot().configurable_fields(says=ConfigurableField(id="says"))
    chain = cached_chain(ChatPromptTemplate.from_template("{q}") | model | StrOutputParser(), cache, question="q")
    configured = {"configurable": {"says": "No."}}
    assert [chain.invoke({"q": SHOW}), chain.invoke({"q": SHOW}, configured)] == ["It is up.", "No."]
    assert chain.with_config(configured).invoke({"q": DISPLAY}) == "No."
    assert chain.invoke({"q": SHOW}, {"configurable": {"thread_id": "7"}}) == "It is up."


# -------------------------------------------------------------------------------------------------------- streams
def test_a_stream_is_recorded_and_replayed_in_pieces(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    cold, warm = list(chain.stream(SHOW)), list(chain.stream(DISPLAY))
    assert [piece for piece in cold if piece] == warm == ["It ", "is ", "up."]
    assert chain.invoke(SHOW) == "It is up."
    assert len(model.calls) == 1


def test_documents_come_before_the_answer_also_on_a_hit(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(told(shelf("a", "b"), model), cache, question="question")
    cold, warm = (list(chain.stream({"question": SHOW})) for _ in range(2))
    assert len(model.calls) == 1
    assert [list(piece) for piece in warm] == [["question"], ["context"], *[["answer"]] * 3]
    total = {key: sum_of([piece[key] for piece in warm if key in piece]) for key in ("question", "context", "answer")}
    assert total == {key: sum_of([piece[key] for piece in cold if key in piece]) for key in total}
    assert total == chain.invoke({"question": SHOW})


def sum_of(parts: list[Any]) -> Any:
    return "".join(parts) if isinstance(parts[0], str) else parts[0]


def test_p14_a_stream_that_was_closed_or_failed_stores_nothing(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    stream = chain.stream(SHOW)
    assert next(stream) == "It "
    stream.close()
    model.breaks_after = 1
    with pytest.raises(TimeoutError):
        list(chain.stream(SHOW))
    model.breaks_after = None
    assert chain.invoke(SHOW) == "It is up."
    assert len(model.calls) == 3


async def test_async_calls_and_streams(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    cold = [piece async for piece in chain.astream(SHOW) if piece]
    warm = [piece async for piece in chain.astream(DISPLAY)]
    assert cold == warm == ["It ", "is ", "up."]
    assert await chain.ainvoke(DISPLAY) == "It is up."
    assert len(model.calls) == 1

    stream = chain.astream(OTHER)
    assert isinstance(stream, AsyncIterator)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert await chain.ainvoke(OTHER) == "It is up."
    assert len(model.calls) == 3


async def test_batches(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    assert chain.batch([SHOW, OTHER, SHOW, DISPLAY]) == ["It is up."] * 4
    assert await chain.abatch([DISPLAY, OTHER]) == ["It is up."] * 2
    assert len(model.calls) == 2


def test_a_parsers_growing_dict_is_stored_as_it_was_in_the_end(cache: SemanticCache) -> None:
    model = Parrot(says='{"state": "up", "since": 3}')
    chain = cached_chain(ChatPromptTemplate.from_template("{q}") | model | JsonOutputParser(), cache, question="q")
    assert list(chain.stream({"q": SHOW}))[-1] == {"state": "up", "since": 3}
    assert list(chain.stream({"q": SHOW})) == [{"state": "up", "since": 3}]
    assert chain.invoke({"q": SHOW}) == {"state": "up", "since": 3}
    assert len(model.calls) == 1


# -------------------------------------------------------------------------------------------------------- outputs
def test_documents_come_back_as_they_were(cache: SemanticCache) -> None:
    chain = cached_chain(told(shelf("a", "b"), Parrot()), cache, question="question")
    cold = chain.invoke({"question": SHOW})
    expected = [Document(f"of {id}", id=id, metadata={"version": "1", "page": 3}) for id in "ab"]
    assert cold["context"] == expected
    cold["context"][0].metadata["page"] = "changed by the caller"
    warm = chain.invoke({"question": SHOW})
    assert warm["context"] == expected
    assert (warm["answer"], warm["question"]) == ("It is up.", SHOW)


def test_a_message_says_that_it_is_a_hit_and_counts_no_tokens(cache: SemanticCache) -> None:
    model = Parrot(tools=[{"name": "ping", "args": {"host": "a"}, "id": "call_abcdefghi", "type": "tool_call"}])
    chain = cached_chain(ChatPromptTemplate.from_template("{q}") | model, cache, question="q")
    cold, first, second = (chain.invoke({"q": SHOW}) for _ in range(3))
    assert len(model.calls) == 1
    assert (first.content, first.tool_calls[0]["args"]) == (cold.content, {"host": "a"})
    assert len({message.tool_calls[0]["id"] for message in (cold, first, second)}) == 3
    assert len({message.id for message in (cold, first, second)}) == 3
    assert first.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert first.response_metadata["stop_reason"] == "end_turn"
    mark = first.response_metadata["llmcache"]
    assert (mark["hit"], mark["kind"], mark["saved_usage"]["total_tokens"]) == (True, "exact", 15)
    total = None
    for piece in chain.stream({"q": SHOW}):
        total = piece if total is None else total + piece
    assert total is not None
    assert (total.content, total.tool_calls[0]["args"]) == ("It is up.", {"host": "a"})


class State(BaseModel):
    name: str
    ports: list[int] = []


def test_a_class_of_ones_own_comes_back_when_it_is_named(cache: SemanticCache) -> None:
    made: list[State] = []

    def state(question: str) -> Any:
        made.append(State(name=question, ports=[1, 2]))
        return {"state": made[-1], "number": len(made)}

    chain = cached_chain(state, cache, output=State)
    assert chain.invoke(SHOW) == chain.invoke(SHOW) == {"state": State(name=SHOW, ports=[1, 2]), "number": 1}


def test_what_is_no_json_is_for_its_caller_alone(cache: SemanticCache, errors: list[ErrorEvent]) -> None:
    made: list[Any] = []

    def state(question: str) -> Any:
        made.append(question)
        return State(name=question)

    chain = cached_chain(state, cache)
    assert [chain.invoke(SHOW) for _ in range(2)] == [State(name=SHOW)] * 2
    assert len(made) == 2
    assert [(event.component, event.error) for event in errors] == [("langchain.chain_output", "CodecError")] * 2


def test_an_entry_that_cannot_be_read_is_replaced(cache: SemanticCache) -> None:
    made: list[Any] = []

    def state(question: str) -> State:
        made.append(question)
        return State(name=question)

    class Narrow(BaseModel):
        other: int

    cached_chain(state, cache, output=State, name="x").invoke(SHOW)
    wrong = cached_chain(lambda question: made.append(question) or Narrow(other=1), cache, output=Narrow, name="x")
    assert wrong.invoke(SHOW) == wrong.invoke(SHOW) == Narrow(other=1)
    assert list(wrong.stream(SHOW)) == [Narrow(other=1)]
    assert len(made) == 2


@pytest.mark.parametrize("stop_reason", ["max_tokens", "refusal"])
def test_p17_an_answer_of_a_model_that_was_cut_or_refused_is_not_stored(cache: SemanticCache, stop_reason: str) -> None:
    model = Parrot(stop_reason=stop_reason)
    chain = cached_chain(rag(shelf(), model), cache)
    for _ in range(2):
        chain.invoke(SHOW)
        list(chain.stream(SHOW))
    assert len(model.calls) == 4


def test_an_empty_answer_is_not_stored(cache: SemanticCache) -> None:
    model = Parrot(says="")
    chain = cached_chain(told(shelf(), model), cache, question="question")
    for _ in range(2):
        chain.invoke({"question": SHOW})
    assert len(model.calls) == 2


# ------------------------------------------------------------------------------------------------------ documents
def test_an_answer_goes_with_the_documents_it_was_made_from(cache: SemanticCache) -> None:
    model = Parrot()
    for ids in ("a", "ab", "c"):
        cached_chain(rag(shelf(*ids), model), cache, partition=ids).invoke(SHOW)
    assert invalidate_documents(cache, [("a", "2")]).count == 0
    assert invalidate_documents(cache, [("b", "1"), "unknown"]).count == 1
    assert invalidate_documents(cache, ["a", "b"]).count == 1
    assert invalidate_documents(cache, "c").count == 1


def test_a_stream_is_tagged_too(cache: SemanticCache) -> None:
    list(cached_chain(rag(shelf("a"), Parrot()), cache).stream(SHOW))
    assert cache.invalidate(tags=["document:a", "document:a@1"]).count == 1


def test_documents_that_no_retriever_brought_are_seen(cache: SemanticCache) -> None:
    def search(question: str) -> list[Document]:
        return [Document("found", metadata={"source": "handbook.md", "hash": "ab"})]

    chain = {"context": RunnableLambda(search), "question": RunnablePassthrough()}
    cached_chain(chain | ChatPromptTemplate.from_template("{context}{question}") | Parrot(), cache).invoke(SHOW)
    assert invalidate_documents(cache, [("handbook.md", "ab")]).count == 1


def test_how_to_read_a_document_can_be_said(cache: SemanticCache) -> None:
    def pages(document: Document) -> list[Any]:
        return [(f"page {document.metadata['page']}", 9), "all"]

    cached_chain(rag(shelf("a"), Parrot()), cache, documents=pages).invoke(SHOW)
    assert invalidate_documents(cache, ["a", ("page 3", "8")]).count == 0
    assert cache.invalidate(tags=["document:all", "document:page 3@9"]).count == 1


def test_a_reader_that_fails_costs_the_storing_alone(cache: SemanticCache, errors: list[ErrorEvent]) -> None:
    chain = cached_chain(rag(shelf("a"), Parrot()), cache, documents=lambda document: document.metadata["none"])
    assert chain.invoke(SHOW) == "It is up."
    assert [(event.component, event.error) for event in errors] == [("langchain.chain_output", "KeyError")]


@pytest.mark.parametrize(("untagged", "calls"), [("store", 1), ("skip", 2)])
def test_answers_of_documents_without_a_name(cache: SemanticCache, untagged: Any, calls: int) -> None:
    model = Parrot()
    retriever = Shelf(documents=[Document("a", id="a"), Document("without a name")])
    chain = cached_chain(rag(retriever, model), cache, untagged=untagged)
    chain.invoke(SHOW)
    chain.invoke(SHOW)
    assert len(model.calls) == calls


def test_an_answer_under_way_while_its_document_changes_is_not_stored(cache: SemanticCache) -> None:
    class Late(Parrot):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            if not self.calls:
                invalidate_documents(cache, "a")
            return super()._generate(messages, *args, **kwargs)

    model = Late()
    chain = cached_chain(rag(shelf("a"), model), cache)
    for _ in range(3):
        chain.invoke(SHOW)
    assert len(model.calls) == 2


# ------------------------------------------------------------------------------------------------- as a Runnable
class Ear(BaseCallbackHandler):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.marks: list[Any] = []
        self.tags: list[str] = []

    def on_chain_start(self, serialized: Any, inputs: Any, *, tags: Any = None, **kwargs: Any) -> None:
        self.heard.append(f"start {kwargs.get('name')}")
        self.tags += tags or []

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.heard.append("end")

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.heard.append("retriever")

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.heard.append("model")

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        self.heard.append(name)
        self.marks.append(data)


def test_callbacks_hear_the_run_and_the_hit(cache: SemanticCache) -> None:
    chain = cached_chain(rag(shelf(), Parrot()), cache, name="support")
    cold, warm = Ear(), Ear()
    chain.invoke(SHOW, {"callbacks": [cold], "tags": ["blue"]})
    chain.invoke(DISPLAY, {"callbacks": [warm], "tags": ["blue"]})
    assert {"start support", "retriever", "model", "end"} <= set(cold.heard)
    assert "llmcache" not in cold.heard
    assert warm.heard == ["start support", "llmcache", "end"]
    assert warm.tags == ["blue"]
    assert (warm.marks[0]["kind"], warm.marks[0]["saved_usage"]["total_tokens"]) == ("semantic", 15)


async def test_events_of_a_hit(cache: SemanticCache) -> None:
    chain = cached_chain(rag(shelf(), Parrot()), cache)
    await chain.ainvoke(SHOW)
    events = [event async for event in chain.astream_events(SHOW, version="v2")]
    pieces = [event["data"]["chunk"] for event in events if event["event"] == "on_chain_stream"]
    assert "".join(pieces) == "It is up."
    assert not [event for event in events if event["event"].startswith(("on_retriever", "on_chat_model"))]


def test_it_composes_and_keeps_its_schemas(cache: SemanticCache) -> None:
    inner = told(shelf(), Parrot())
    chain = cached_chain(inner, cache, question="question")
    assert chain.get_input_schema().model_json_schema() == inner.get_input_schema().model_json_schema()
    assert chain.get_output_schema().model_json_schema() == inner.get_output_schema().model_json_schema()
    assert chain.config_specs == inner.config_specs
    whole = RunnableLambda(lambda text: {"question": text}) | chain | (lambda found: found["answer"].upper())
    assert [whole.invoke(SHOW), "".join(whole.stream(SHOW))] == ["IT IS UP."] * 2
    assert chain.with_retry().invoke({"question": SHOW})["answer"] == "It is up."
    assert chain.pick("answer").invoke({"question": SHOW}) == "It is up."


def test_a_model_inside_of_a_miss_has_its_own_cache(cache: SemanticCache) -> None:
    retriever, model = shelf(), Parrot()
    set_llm_cache(LLMCache(cache))
    try:
        for generation in ("one", "two"):
            cached_chain(rag(retriever, model), cache, partition=generation).invoke(SHOW)
    finally:
        set_llm_cache(None)
    assert (len(retriever.asked), len(model.calls)) == (2, 1)


def test_a_graph_is_cached_by_its_result(cache: SemanticCache) -> None:
    from langgraph.graph import END, START, StateGraph
    from typing_extensions import TypedDict

    class Asked(TypedDict):
        question: str
        answer: str

    runs: list[str] = []

    def node(state: Asked) -> dict[str, str]:
        runs.append(state["question"])
        return {"answer": "It is up."}

    builder = StateGraph(Asked)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    chain = cached_chain(builder.compile(), cache, question="question")
    results = [chain.invoke({"question": question}) for question in (SHOW, SHOW)]
    assert results == [{"question": SHOW, "answer": "It is up."}] * 2
    assert len(runs) == 1
    assert list(chain.stream({"question": SHOW}, stream_mode="updates")) == [{"node": {"answer": "It is up."}}]
    assert len(runs) == 2


# ------------------------------------------------------------------------------------------ surroundings and faults
def test_tenants_bypass_and_refresh(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    chain.invoke(SHOW)
    with cache.context(tenant="ann"):
        chain.invoke(SHOW)
        chain.invoke(DISPLAY)
    assert len(model.calls) == 2
    with cache.bypass():
        chain.invoke(SHOW)
        list(chain.stream(OTHER))
    assert len(model.calls) == 4
    model.says = "It is down."
    with cache.context(refresh=True, tags="ticket:1"):
        assert chain.invoke(SHOW) == "It is down."
    assert chain.invoke(SHOW) == "It is down."
    assert cache.invalidate(tags=["ticket:1", "document:a"]).count == 1


class Gate(Parrot):
    """Waits until all have asked."""

    gate: Any = None

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.gate.wait(10)
        return super()._generate(messages, *args, **kwargs)


def test_p26_concurrent_questions_make_one_call(cache: SemanticCache) -> None:
    gate = threading.Event()
    model = Gate(gate=gate)
    chain = cached_chain(rag(shelf(), model), cache)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(chain.invoke, SHOW) for _ in range(8)]
        gate.set()
        assert {one.result(20) for one in asked} == {"It is up."}
    assert len(model.calls) == 1


async def test_p26_concurrent_questions_on_a_loop_share_even_the_error(cache: SemanticCache) -> None:
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    assert set(await asyncio.gather(*(chain.ainvoke(SHOW) for _ in range(8)))) == {"It is up."}
    assert len(model.calls) == 1
    model.breaks_after = 0
    failed = await asyncio.gather(*(chain.ainvoke(OTHER) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in failed] == [TimeoutError] * 4


def test_a_renewal_in_the_background_is_not_heard_by_the_caller() -> None:
    clock, done = FakeClock(), threading.Event()

    class Renewed(Parrot):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            result = super()._generate(messages, *args, **kwargs)
            if len(self.calls) > 1:
                done.set()
            return result

    opened = open_cache("memory://", embedder=None, clock=clock, ttl=60.0, stale_while_revalidate=600.0, profiler=None)
    with closing(opened) as cache:
        model = Renewed()
        chain = cached_chain(rag(shelf(), model), cache)
        chain.invoke(SHOW)
        clock.advance(90.0)
        ear = Ear()
        assert chain.invoke(SHOW, {"callbacks": [ear]}) == "It is up."
        assert done.wait(10)
        assert ear.heard == ["start cached_chain", "llmcache", "end"]
        assert len(model.calls) == 2


def test_an_input_that_is_not_understood_is_answered_without_the_cache(
    cache: SemanticCache, errors: list[ErrorEvent]
) -> None:
    model = Parrot()
    chain = cached_chain(told(shelf(), model), cache, question="query")
    for _ in range(2):
        assert chain.invoke({"question": SHOW})["answer"] == "It is up."
        assert list(chain.stream({"question": SHOW}))
    odd = cached_chain(told(shelf(), model), cache, question="question")
    assert odd.invoke({"question": SHOW, "thing": object()})["answer"] == "It is up."
    assert len(model.calls) == 5
    assert {event.component for event in errors} == {"langchain.chain"}


@pytest.mark.parametrize("stream", [False, True])
async def test_p7_a_broken_store_costs_a_call_and_nothing_else(stream: bool) -> None:
    cache = open_cache("memory://", embedder=None)
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    cache.close()
    if stream:
        assert "".join(chain.stream(SHOW)) == "It is up."
        assert "".join([piece async for piece in chain.astream(SHOW)]) == "It is up."
    else:
        assert chain.invoke(SHOW) == await chain.ainvoke(SHOW) == "It is up."
    assert len(model.calls) == 2


@pytest.mark.parametrize("verbs", [{"get"}, {"put"}, {"census", "search"}, None])
async def test_p7_a_store_that_fails_costs_a_call_and_is_counted(verbs: set[str] | None) -> None:
    store = FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20))
    embedder, policy = FakeEmbedder(GROUPS), SimilarityPolicy(0.95)
    rules = Rules(("hot",), embedder.embedder_id, "test", lambda request: policy, judge, fail_open=True)
    parts: dict[str, Any] = {"embedder": embedder, "statistics": Statistics(), "clock": FakeClock()}
    tier = Tier("hot", store, AsyncStoreAdapter(store))
    cache = SemanticCache([tier], rules=rules, config=CacheConfig(), **parts)
    model = Parrot()
    chain = cached_chain(rag(shelf(), model), cache)
    store.fail(verbs) if verbs else store.fail()
    assert chain.invoke(SHOW) == await chain.ainvoke(DISPLAY) == "It is up."
    assert "".join(chain.stream(OTHER)) == "".join([piece async for piece in chain.astream("other")]) == "It is up."
    assert len(model.calls) >= 3
    assert cache.stats().errors["hot"] >= 1


def test_with_fail_open_off_a_mistake_is_told() -> None:
    with closing(open_cache("memory://", embedder=None, fail_open=False)) as cache:
        with pytest.raises(CodecError, match="'query'"):
            cached_chain(told(shelf(), Parrot()), cache, question="query").invoke({"question": SHOW})
        assert cached_chain(lambda question: State(name=question), cache).invoke(SHOW) == State(name=SHOW)


@pytest.mark.parametrize(
    "settings",
    [{"question": 7}, {"partition": object()}, {"documents": "id"}, {"name": ""}, {"untagged": "drop"}],
)
def test_a_setting_that_is_wrong_is_told_at_once(cache: SemanticCache, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        cached_chain(rag(shelf(), Parrot()), cache, **settings)


@pytest.mark.parametrize("streams", [False, True])
def test_a_cached_part_hands_its_documents_on(cache: SemanticCache, streams: bool) -> None:
    inner = cached_chain(rag(shelf("a"), Parrot()), cache)
    inner.invoke(SHOW)  # from now on nothing is retrieved
    outer = cached_chain(inner | (lambda text: text.upper()), cache, untagged="skip")
    assert ("".join(outer.stream(SHOW)) if streams else outer.invoke(SHOW)) == "IT IS UP."
    assert cache.stats().entries == 2
    assert invalidate_documents(cache, [("a", "1")]).count == 2
