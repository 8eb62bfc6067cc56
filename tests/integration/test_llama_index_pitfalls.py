"""The pitfalls P30 to P40 of LlamaIndex, and P15 and P26 for it, with LLMs that reach no network."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base.event import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import BaseModel, Field, PrivateAttr

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.llama_index import LLMCacheEvent, cached_llm, install, uninstall

# LlamaIndex warns of its own: agents read pydantic's old names, and an index imports what it finds of LangChain.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CALLS: list[str] = []  # what reached a model
QUESTION = [ChatMessage(role="user", content="What is a loopback interface?")]


class CitedResponse(ChatResponse):
    """A provider's own class of responses."""

    citations: list[dict[str, Any]] = Field(default_factory=list)


class Parrot(FunctionCallingLLM):
    """Repeats what it was asked last, and calls the first tool it is given, with a random id as providers do."""

    model: str = "parrot-1"
    temperature: float = 0.0
    fails: bool = False

    @classmethod
    def class_name(cls) -> str:
        return "parrot"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name=self.model)

    def _blocks(self, messages: Sequence[ChatMessage], tools: Any) -> list[Any]:
        CALLS.append(str(messages[-1].content))
        if self.fails:
            raise TimeoutError("no answer")
        if tools and messages[-1].role == MessageRole.USER:
            schema = tools[0]["function"]["parameters"]["properties"]
            arguments = {name: 2 if part.get("type") == "integer" else "text" for name, part in schema.items()}
            name = tools[0]["function"]["name"]
            return [ToolCallBlock(tool_call_id=f"call_{uuid4().hex}", tool_name=name, tool_kwargs=arguments)]
        return [TextBlock(text=f"you said {messages[-1].content}")]

    def _response(self, blocks: list[Any], delta: str | None = None) -> CitedResponse:
        raw = {"usage": {"input_tokens": 7, "output_tokens": 8}, "stop_reason": "end_turn", "model": "parrot-1-0"}
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)
        return CitedResponse(message=message, raw=raw, delta=delta, citations=[{"source": "a book"}])

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> CitedResponse:
        return self._response(self._blocks(messages, kwargs.get("tools")))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> CitedResponse:
        await asyncio.sleep(0)
        return self._response(self._blocks(messages, kwargs.get("tools")))

    def _pieces(self, blocks: list[Any]) -> Iterator[CitedResponse]:
        text = blocks[0].text if isinstance(blocks[0], TextBlock) else ""
        for start in range(0, len(text), 5):
            yield self._response([TextBlock(text=text[: start + 5])], text[start : start + 5])
        if not text:
            yield self._response(blocks, "")

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        blocks = self._blocks(messages, kwargs.get("tools"))

        def pieces() -> Any:
            yield from self._pieces(blocks)

        return pieces()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        blocks = self._blocks(messages, kwargs.get("tools"))

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            for piece in self._pieces(blocks):
                yield piece

        return pieces()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response = self.chat([ChatMessage(role="user", content=prompt)], **kwargs)
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response = await self.achat([ChatMessage(role="user", content=prompt)], **kwargs)
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        inner = self.stream_chat([ChatMessage(role="user", content=prompt)], **kwargs)

        def pieces() -> Any:
            for piece in inner:
                yield CompletionResponse(text=piece.message.content or "", delta=piece.delta)

        return pieces()

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        inner = await self.astream_chat([ChatMessage(role="user", content=prompt)], **kwargs)

        async def pieces() -> AsyncGenerator[CompletionResponse, None]:
            async for piece in inner:
                yield CompletionResponse(text=piece.message.content or "", delta=piece.delta)

        return pieces()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        user = [ChatMessage(role="user", content=user_msg)] if isinstance(user_msg, str) else [user_msg]
        described = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
        return {"messages": [*(chat_history or []), *(user if user_msg else [])], "tools": described or None}

    def get_tool_calls_from_response(self, response: Any, error_on_no_tool_call: bool = True, **kwargs: Any) -> Any:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(tool_id=call.tool_call_id, tool_name=call.tool_name, tool_kwargs=call.tool_kwargs)
            for call in calls
        ]


class Told(CustomLLM):
    """A text LLM that plays back what it is told to say, round and round."""

    says: list[str] = Field(default_factory=lambda: ["It is a virtual interface."])
    _turn: int = PrivateAttr(default=0)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="told-1")

    def _next(self, prompt: str) -> str:
        CALLS.append(prompt)
        self._turn += 1
        return self.says[(self._turn - 1) % len(self.says)]

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next(prompt))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        said = ""
        for word in self._next(prompt).split(" "):
            delta = f" {word}" if said else word
            said += delta
            yield CompletionResponse(text=said, delta=delta)


class Sum(BaseModel):
    """A structured answer."""

    name: str
    count: int


class Events(BaseEventHandler):
    """Every event that reaches the root dispatcher."""

    seen: list[Any] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.seen.append(event)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.seen]


class Spans(BaseSpanHandler[BaseSpan]):
    """The names of every span that was entered."""

    names: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, *args: Any, **kwargs: Any) -> None:
        self.names.append(id_[: -len(str(uuid4())) - 1])

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to keep."""

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to keep."""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    CALLS.clear()
    before = Settings._llm, Settings._embed_model, Settings._callback_manager
    yield
    uninstall()
    Settings._llm, Settings._embed_model, Settings._callback_manager = before


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with open_cache(embedder=None) as cache:
        yield cache


@pytest.fixture
def events() -> Iterator[Events]:
    root, handler = get_dispatcher(), Events()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)
PROMPT = PromptTemplate("Tell me of {thing}")


async def _all(pieces: Any) -> list[Any]:
    return [piece async for piece in pieces]


async def _astream(llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    return await _all(await getattr(llm, name)(*args, **kwargs))


SHAPES: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat(QUESTION).message.content,
    "complete": lambda llm: llm.complete("hello there").text,
    "stream_chat": lambda llm: "".join(piece.delta for piece in llm.stream_chat(QUESTION)),
    "stream_complete": lambda llm: "".join(piece.delta for piece in llm.stream_complete("hello there")),
    "achat": lambda llm: asyncio.run(llm.achat(QUESTION)).message.content,
    "acomplete": lambda llm: asyncio.run(llm.acomplete("hello there")).text,
    "astream_chat": lambda llm: "".join(p.delta for p in asyncio.run(_astream(llm, "astream_chat", QUESTION))),
    "astream_complete": lambda llm: "".join(p.delta for p in asyncio.run(_astream(llm, "astream_complete", "hello"))),
    "predict": lambda llm: llm.predict(PROMPT, thing="routers"),
    "apredict": lambda llm: asyncio.run(llm.apredict(PROMPT, thing="routers")),
    "stream": lambda llm: "".join(llm.stream(PROMPT, thing="routers")),
    "astream": lambda llm: "".join(asyncio.run(_astream(llm, "astream", PROMPT, thing="routers"))),
}
WITH_TOOLS: dict[str, Callable[[Any], Any]] = {
    "structured_predict": lambda llm: llm.structured_predict(Sum, PROMPT, thing="sums"),
    "astructured_predict": lambda llm: asyncio.run(llm.astructured_predict(Sum, PROMPT, thing="sums")),
    "stream_structured_predict": lambda llm: [
        piece.model_dump() for piece in llm.stream_structured_predict(Sum, PROMPT, thing="sums")
    ][-1],
    "as_structured_llm": lambda llm: llm.as_structured_llm(Sum).chat(QUESTION).raw,
    "chat_with_tools": lambda llm: llm.chat_with_tools([TOOL], user_msg="add").message.blocks[0].tool_kwargs,
    "predict_and_call": lambda llm: str(llm.predict_and_call([TOOL], user_msg="add")),
    "apredict_and_call": lambda llm: str(asyncio.run(llm.apredict_and_call([TOOL], user_msg="add"))),
}


# ---------------------------------------------------------------- P30
@pytest.mark.parametrize("shape", [*SHAPES, *WITH_TOOLS])
def test_p30_every_method_reaches_the_model_once(cache: SemanticCache, shape: str) -> None:
    call = {**SHAPES, **WITH_TOOLS}[shape]
    plain = call(Parrot())
    llm, counts, said = cached_llm(Parrot(), cache), [], []
    for _ in range(3):
        CALLS.clear()
        said.append(call(llm))
        counts.append(len(CALLS))
    assert counts == [1, 0, 0]
    assert said == [plain] * 3


@pytest.mark.parametrize("shape", SHAPES)
def test_p30_a_text_llm_reaches_the_model_once(cache: SemanticCache, shape: str) -> None:
    plain = SHAPES[shape](Told())
    llm, counts, said = cached_llm(Told(), cache), [], []
    for _ in range(3):
        CALLS.clear()
        said.append(SHAPES[shape](llm))
        counts.append(len(CALLS))
    assert counts == [1, 0, 0]
    assert said == [plain] * 3


# ---------------------------------------------------------------- P31
@pytest.mark.parametrize("streaming", [True, False])
def test_p31_a_function_agent_runs_again_without_a_call(cache: SemanticCache, streaming: bool) -> None:
    llm = cached_llm(Parrot(), cache)

    async def run() -> str:
        return str(await FunctionAgent(tools=[TOOL], llm=llm, streaming=streaming).run("What is 2 and 2?"))

    first, calls = asyncio.run(run()), len(CALLS)
    assert (asyncio.run(run()), asyncio.run(run())) == (first, first)
    assert (calls, len(CALLS)) == (2, 2)


def test_p31_an_agent_workflow_runs_again_without_a_call(cache: SemanticCache) -> None:
    llm = cached_llm(Parrot(), cache)

    async def run() -> str:
        agent = FunctionAgent(name="adder", description="adds", tools=[TOOL], llm=llm)
        return str(await AgentWorkflow(agents=[agent], root_agent="adder").run("What is 2 and 2?"))

    first, calls = asyncio.run(run()), len(CALLS)
    assert asyncio.run(run()) == first
    assert (calls, len(CALLS)) == (2, 2)


def test_p31_a_react_agent_runs_again_without_a_call(cache: SemanticCache) -> None:
    says = [
        'Thought: I need a tool.\nAction: add\nAction Input: {"a": 2, "b": 2}',
        "Thought: I can answer without using any more tools.\nAnswer: It is 4.",
    ]
    llm = cached_llm(Told(says=says), cache)

    async def run() -> str:
        return str(await ReActAgent(tools=[TOOL], llm=llm).run("What is 2 and 2?"))

    assert asyncio.run(run()) == "It is 4."
    calls = len(CALLS)
    assert asyncio.run(run()) == "It is 4."
    assert (calls, len(CALLS)) == (2, 2)


# ---------------------------------------------------------------- P32
def test_p32_an_engine_built_before_install_hits_after_it(cache: SemanticCache) -> None:
    Settings.llm, Settings.embed_model = Parrot(), MockEmbedding(embed_dim=8)
    engine = VectorStoreIndex.from_documents([Document(text="A loopback is virtual.")]).as_query_engine()
    streaming = VectorStoreIndex.from_documents([Document(text="It is up.")]).as_query_engine(streaming=True)
    install(cache)
    first = str(engine.query("What is it?"))
    assert str(engine.query("What is it?")) == first
    assert str(asyncio.run(engine.aquery("What is it?"))) == first
    assert len(CALLS) == 1
    assert str(streaming.query("Is it up?")) == str(streaming.query("Is it up?"))
    assert len(CALLS) == 2
    uninstall()
    engine.query("What is it?")
    assert len(CALLS) == 3
    assert type(Settings.llm) is Parrot


# ---------------------------------------------------------------- P33
def test_p33_the_llm_is_what_it_was(cache: SemanticCache) -> None:
    plain = Parrot(temperature=0.5)
    llm = cached_llm(plain, cache)
    assert isinstance(llm, Parrot)
    assert (llm.metadata, llm.to_dict(), llm.class_name()) == (plain.metadata, plain.to_dict(), plain.class_name())
    assert (type(llm).__name__, type(llm).__module__, repr(llm)) == ("Parrot", Parrot.__module__, repr(plain))
    assert type(plain) is Parrot


def test_p33_a_changed_field_misses(cache: SemanticCache) -> None:
    llm = cached_llm(Parrot(), cache)
    llm.chat(QUESTION)
    llm.temperature = 0.7
    llm.chat(QUESTION)
    llm.temperature = 0.0
    llm.chat(QUESTION)
    assert len(CALLS) == 2


# ---------------------------------------------------------------- P34
@pytest.mark.parametrize("shape", SHAPES)
def test_p34_tokens_are_not_counted_again(cache: SemanticCache, shape: str) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = cached_llm(Parrot(callback_manager=CallbackManager([counter])), cache)
    SHAPES[shape](llm)
    after_miss = counter.total_llm_token_count
    SHAPES[shape](llm)
    assert after_miss > 0
    assert counter.total_llm_token_count == after_miss


@pytest.mark.parametrize("name", ["Chat", "Completion"])
def test_p34_a_hit_is_told_in_the_order_of_a_call(cache: SemanticCache, events: Events, name: str) -> None:
    llm = cached_llm(Parrot(), cache)
    ask: Callable[[], Any] = {"Chat": lambda: llm.chat(QUESTION), "Completion": lambda: llm.complete("hello")}[name]
    ask()
    assert [one for one in events.names if one.startswith(f"LLM{name}")] == [
        f"LLM{name}StartEvent",
        f"LLM{name}EndEvent",
    ]
    events.seen.clear()
    answered = ask()
    assert events.names == ["LLMCacheEvent", f"LLM{name}StartEvent", f"LLM{name}EndEvent"]
    event, _, end = events.seen
    assert isinstance(event, LLMCacheEvent)
    assert (event.hit, event.kind, event.op) == (True, "exact", name[:4].lower() if name == "Chat" else "complete")
    assert event.saved_usage["output_tokens"] == 8
    assert end.response == answered
    assert answered.additional_kwargs["llmcache"]["hit"] is True
    assert answered.additional_kwargs["llmcache"]["saved_usage"]["input_tokens"] == 7
    assert answered.raw["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_p34_a_streamed_hit_is_told_piece_by_piece(cache: SemanticCache, events: Events) -> None:
    llm = cached_llm(Parrot(), cache)
    list(llm.stream_chat(QUESTION))
    events.seen.clear()
    pieces = list(llm.stream_chat(QUESTION))
    progress = ["LLMChatInProgressEvent"] * len(pieces)
    assert events.names == ["LLMCacheEvent", "LLMChatStartEvent", *progress, "LLMChatEndEvent"]


def test_p34_a_call_stands_in_one_span_hit_or_miss(cache: SemanticCache) -> None:
    root, spans = get_dispatcher(), Spans()
    root.add_span_handler(spans)
    try:
        Parrot().complete("hello")
        plain, spans.names = spans.names, []
        llm = cached_llm(Parrot(), cache)
        llm.complete("hello")
        missed, spans.names = spans.names, []
        llm.complete("hello")
    finally:
        root.span_handlers.remove(spans)
    assert plain == missed == ["Parrot.complete", "Parrot.chat"]
    assert spans.names == ["Parrot.complete"]


# ---------------------------------------------------------------- P35
def test_p35_names_of_the_users_own_are_not_shadowed(cache: SemanticCache) -> None:
    class Named(Told):
        """Uses names that a cache might want for itself."""

        cache: str = "mine"
        binding: str = "leather"

        def _parts(self) -> str:
            return self.cache

        def _replay(self) -> str:
            return self.binding

        def request_of(self) -> str:
            return self._parts() + self._replay()

    llm = cached_llm(Named(), cache)
    llm.complete("hello")
    llm.complete("hello")
    assert llm.request_of() == "mineleather"
    own = {name for name in vars(type(llm)) if not name.startswith("__") and name != "_abc_impl"}
    leaves = {f"{a}{s}{n}" for a in ("", "a") for s in ("", "stream_") for n in ("chat", "complete")}
    assert {name for name in own - leaves if not name.startswith(("_llmcache_", "model_"))} == set()
    assert len(CALLS) == 1


# ---------------------------------------------------------------- P37
@pytest.mark.parametrize("is_cold", [False, True])
def test_p37_a_hit_has_the_class_of_the_cold_response(is_cold: bool, cache: SemanticCache) -> None:
    cold = cached_llm(Parrot(), cache).chat(QUESTION)
    llm = cached_llm(Parrot(), cache)
    if is_cold:  # a class of which no response was seen: by its annotations
        import llmcache_plugins.llama_index.binding as binding

        found = binding.binding_of(type(llm))
        assert found is not None
        found.seen.clear()
    warm = llm.chat(QUESTION)
    assert type(cold) is type(warm) is CitedResponse
    assert warm.message == cold.message
    assert warm.citations == [{"source": "a book"}]
    assert all(type(piece) is CitedResponse for piece in llm.stream_chat(QUESTION))


# ---------------------------------------------------------------- P38
def test_p38_copies_share_the_cache(cache: SemanticCache) -> None:
    llm = cached_llm(Parrot(), cache)
    llm.chat(QUESTION)
    for other in (copy.deepcopy(llm), llm.model_copy(), copy.copy(llm), llm.model_copy(deep=True)):
        assert other.chat(QUESTION).additional_kwargs["llmcache"]["hit"]
    assert len(CALLS) == 1


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_p38_an_unpickled_llm_works_and_is_not_cached(cache: SemanticCache, protocol: int) -> None:
    llm = pickle.loads(pickle.dumps(cached_llm(MockLLM(max_tokens=3), cache), protocol))  # noqa: S301
    assert type(llm) is MockLLM
    assert llm.complete("hello").text == MockLLM(max_tokens=3).complete("hello").text
    assert llm.max_tokens == 3


# ---------------------------------------------------------------- P39
@pytest.mark.parametrize("order", [("chat", "stream_chat", "achat", "astream_chat"), ("astream_chat", "chat")])
def test_p39_chat_and_its_streams_share_an_answer(cache: SemanticCache, order: Sequence[str]) -> None:
    llm = cached_llm(Parrot(), cache)
    assert len({SHAPES[name](llm) for name in order}) == 1
    assert len(CALLS) == 1


# ---------------------------------------------------------------- P40
def test_p40_a_failing_handler_changes_nothing(cache: SemanticCache) -> None:
    class Broken(BaseEventHandler):
        def handle(self, event: BaseEvent, **kwargs: Any) -> None:
            raise RuntimeError("a bug of somebody else's")

    root, broken = get_dispatcher(), Broken()
    root.add_event_handler(broken)
    try:
        llm = cached_llm(Parrot(), cache)
        assert llm.chat(QUESTION).message == llm.chat(QUESTION).message
        assert [piece.delta for piece in llm.stream_chat(QUESTION)][-1] == ""
    finally:
        root.event_handlers.remove(broken)
    assert len(CALLS) == 1


def test_p40_an_llm_that_cannot_describe_itself_hits(cache: SemanticCache) -> None:
    class Silent(Parrot):
        said: bool = False

        def to_payload(self) -> dict[str, Any]:
            if CALLS:
                raise ValueError("unknown model")
            return {}

    llm = cached_llm(Silent(), cache)
    llm.chat(QUESTION)
    assert llm.chat(QUESTION).additional_kwargs["llmcache"]["hit"]


# ---------------------------------------------------------------- P15, P26
@pytest.mark.parametrize("llm", [Parrot(), Told()], ids=["function calling", "text"])
@pytest.mark.parametrize("shape", SHAPES)
def test_p15_one_call_is_one_lookup_and_one_write(cache: SemanticCache, shape: str, llm: Any) -> None:
    cached = cached_llm(llm, cache)
    SHAPES[shape](cached)
    stats = cache.stats()
    assert (sum(stats.misses.values()), sum(stats.hits.values()), stats.updates) == (1, 0, 1)
    SHAPES[shape](cached)
    stats = cache.stats()
    assert (sum(stats.misses.values()), sum(stats.hits.values()), stats.updates) == (1, 1, 1)


def test_p26_concurrent_misses_make_one_call_in_threads(cache: SemanticCache) -> None:
    class Slow(Parrot):
        def _blocks(self, messages: Sequence[ChatMessage], tools: Any) -> list[Any]:
            assert LET_GO.wait(30)
            return super()._blocks(messages, tools)

    LET_GO.clear()
    llm = cached_llm(Slow(), cache)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(SHAPES[name], llm) for name in ["chat", "stream_chat"] * 4]
        LET_GO.set()
        assert len({future.result(30) for future in asked}) == 1
    assert len(CALLS) == 1


LET_GO = threading.Event()


def test_p26_concurrent_misses_make_one_call_on_a_loop(cache: SemanticCache) -> None:
    llm = cached_llm(Parrot(), cache)

    async def main() -> list[Any]:
        return await asyncio.gather(*(llm.achat(QUESTION) for _ in range(8)))

    assert len({answer.message.content for answer in asyncio.run(main())}) == 1
    assert len(CALLS) == 1


def test_p26_a_failure_reaches_all_and_nobody_hangs(cache: SemanticCache) -> None:
    llm = cached_llm(Parrot(fails=True), cache)

    async def main() -> list[Any]:
        return await asyncio.gather(*(llm.achat(QUESTION) for _ in range(8)), return_exceptions=True)

    assert {type(answer) for answer in asyncio.run(main())} == {TimeoutError}
    llm.fails = False
    assert llm.chat(QUESTION).message.content


def test_neither_class_nor_credential_is_stored(tmp_path: Path) -> None:
    class Keyed(Parrot):
        api_key: str = "sk-secret-1"
        additional_kwargs: dict[str, Any] = Field(default_factory=lambda: {"api_key": "sk-secret-2"})

    with open_cache(f"disk://{tmp_path}/answers.db", embedder=None) as cache:
        llm = cached_llm(Keyed(), cache)
        llm.chat(QUESTION)
        other = cached_llm(Keyed(api_key="another", additional_kwargs={"api_key": "yet another"}), cache)
        assert other.chat(QUESTION).additional_kwargs["llmcache"]["hit"]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"you said" in stored
    for secret in (b"sk-secret", b"CitedResponse", b"Parrot", b"llama_index.core"):
        assert secret not in stored
