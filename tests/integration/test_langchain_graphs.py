"""Agents and graphs of LangGraph on a hit: as on a call to the model, in each of the three ways to cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, LLMCacheMiddleware, cached
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

# With the global cache alone, LangChain itself makes no pieces of a hit, and no stream of the model asks it.
IN_PIECES = ["cached", "middleware"]


def experimental(test: Any) -> Any:
    """Of a protocol that only newer versions of LangGraph have, and call experimental."""
    is_there = pytest.mark.skipif(not hasattr(Pregel, "stream_events"), reason="this LangGraph has no events v3")
    return is_there(pytest.mark.filterwarnings("ignore:The v3 streaming protocol")(test))


def question(text: str = "add 19 and 23") -> Any:
    """A message of its own each time: a graph gives it an id, and would take the same object for the same turn."""
    return {"messages": [HumanMessage(text)]}


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


class Setting(NamedTuple):
    """One of the ways to put a cache under an agent."""

    way: str
    server: FakeAnthropic
    cache: SemanticCache
    clock: FakeClock

    @property
    def model(self) -> BaseChatModel:
        plain = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=self.server.base_url, max_retries=0)
        return cached(plain, self.cache) if self.way == "cached" else plain

    def agent(self, tools: Any = (), **settings: Any) -> Any:
        middleware = [LLMCacheMiddleware(self.cache)] if self.way == "middleware" else []
        return create_agent(self.model, tools, middleware=middleware, **settings)


@pytest.fixture(params=["set_llm_cache", *IN_PIECES])
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    clock = FakeClock()
    with (
        FakeAnthropic() as server,
        closing(open_cache("memory://", embedder=FakeEmbedder(), clock=clock, ttl=1000)) as cache,
    ):
        if request.param == "set_llm_cache":
            set_llm_cache(LLMCache(cache))
        yield Setting(request.param, server, cache, clock)
        set_llm_cache(None)


in_pieces = pytest.mark.parametrize("setting", IN_PIECES, indirect=True)


def plain(messages: list[BaseMessage]) -> list[tuple[Any, ...]]:
    """What a conversation says, without its ids."""
    return [
        (
            message.type.removesuffix("MessageChunk").lower(),
            message.text,
            [(call["name"], call["args"]) for call in getattr(message, "tool_calls", [])],
        )
        for message in messages
    ]


def sum_of(pieces: list[Any]) -> list[tuple[Any, ...]]:
    """What the pieces of `stream_mode="messages"` come to: per message its text and tool calls."""
    whole: dict[str, Any] = {}
    for piece, _ in pieces:
        whole[piece.id] = whole[piece.id] + piece if piece.id in whole else piece
    return plain(list(whole.values()))


# -------------------------------------------------------------------------------------------------- P1
def test_p01_runs_of_an_agent(setting: Setting) -> None:
    agent = setting.agent([add])
    cold = agent.invoke(question())["messages"]
    for _ in range(2):
        assert plain(agent.invoke(question())["messages"]) == plain(cold)
    assert setting.server.count() == 2


async def test_p01_async(setting: Setting) -> None:
    agent = setting.agent([add])
    cold = (await agent.ainvoke(question()))["messages"]
    for _ in range(2):
        assert plain((await agent.ainvoke(question()))["messages"]) == plain(cold)
    assert setting.server.count() == 2


def test_p01_stream_mode_messages(setting: Setting) -> None:
    agent = setting.agent([add])
    cold, *warm = [list(agent.stream(question(), stream_mode="messages")) for _ in range(3)]
    assert sum_of(warm[0]) == sum_of(warm[1]) == sum_of(cold)
    assert len(sum_of(cold)) == 3
    assert setting.server.count() == 2


async def test_p01_stream_mode_messages_async(setting: Setting) -> None:
    agent = setting.agent([add])
    runs = [[piece async for piece in agent.astream(question(), stream_mode="messages")] for _ in range(3)]
    assert sum_of(runs[1]) == sum_of(runs[2]) == sum_of(runs[0])
    assert setting.server.count() == 2


async def test_p01_astream_events_v2(setting: Setting) -> None:
    agent = setting.agent([add])
    runs = [[event async for event in agent.astream_events(question(), version="v2")] for _ in range(3)]
    ends = [[e["data"]["output"] for e in run if e["event"] == "on_chat_model_end"] for run in runs]
    assert plain(ends[1]) == plain(ends[2]) == plain(ends[0])
    assert len(ends[0]) == setting.server.count() == 2


@experimental
async def test_p01_astream_events_v3(setting: Setting) -> None:
    agent = setting.agent([add])
    texts = []
    for _ in range(3):
        run = await agent.astream_events(question(), version="v3")
        texts.append([[piece async for piece in message.text] async for message in run.messages])
    said = [["".join(pieces) for pieces in messages] for messages in texts]
    assert said[1] == said[2] == said[0]
    assert said[0][-1] == "tool said: 42"
    assert setting.server.count() == 2


@experimental
def test_p01_stream_events_v3(setting: Setting) -> None:
    agent = setting.agent([add])
    said = []
    for _ in range(3):
        run = agent.stream_events(question(), version="v3")
        said.append([str(message.text) for message in run.messages])
    assert said[1] == said[2] == said[0]
    assert said[0][-1] == "tool said: 42"
    assert setting.server.count() == 2


def test_p01_what_one_way_of_asking_stored_answers_the_others(setting: Setting) -> None:
    agent = setting.agent([add])
    list(agent.stream(question(), stream_mode="messages"))
    agent.invoke(question())
    list(agent.stream(question(), stream_mode=["updates", "messages"]))
    assert setting.server.count() == 2


def test_p01_the_three_ways_share_their_answers(setting: Setting) -> None:
    setting.agent([add]).invoke(question())
    for way in ("cached", "middleware"):
        setting._replace(way=way).agent([add]).invoke(question())
    assert setting.server.count() == 2


# -------------------------------------------------------------------------------------------------- P2 to P8
def test_p02_when_the_first_step_is_made_again_the_second_still_hits(setting: Setting) -> None:
    pauses = iter([600])  # between the two steps of the first run, so that the first step expires alone

    def add(a: int, b: int) -> int:
        """Add two integers."""
        setting.clock.advance(next(pauses, 0))
        return a + b

    agent = setting.agent([add])
    agent.invoke(question())
    setting.clock.advance(500)
    agent.invoke(question())
    assert setting.server.count() == 3  # new tool-call ids from the server, and yet one call
    stats = setting.cache.stats()
    assert (stats.misses["expired"], stats.hits["exact"]) == (1, 1)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_p03_the_same_question_thrice_in_one_thread_keeps_all_messages(setting: Setting, is_streamed: bool) -> None:
    agent = setting.agent(checkpointer=InMemorySaver())
    for thread in ("t", "u"):  # the second is answered from the cache
        config = {"configurable": {"thread_id": thread}}
        for _ in range(3):
            if is_streamed:
                list(agent.stream(question("hi"), config, stream_mode="messages"))
            else:
                agent.invoke(question("hi"), config)
        messages = agent.get_state(config).values["messages"]
        assert [message.type for message in messages] == ["human", "ai"] * 3
        assert len({message.id for message in messages}) == 6
    assert setting.server.count() == 3


def test_p04_tool_call_ids_are_new_in_each_run_and_the_same_everywhere_in_one(setting: Setting) -> None:
    agent = setting.agent([add])
    seen = set()
    for _ in range(3):
        _, answer, result, _ = agent.invoke(question())["messages"]
        (call,) = answer.tool_calls
        blocks = [block["id"] for block in answer.content if block["type"] == "tool_use"]
        assert blocks == [call["id"]] == [result.tool_call_id]
        seen.add(call["id"])
    assert len(seen) == 3


def test_p04_tool_calls_replayed_into_one_conversation_are_accepted_by_the_provider(setting: Setting) -> None:
    """The fake server answers 400 to an id that is there twice, and to a result without its call."""
    agent = setting.agent([add], checkpointer=InMemorySaver())
    for thread in ("t", "u"):
        config = {"configurable": {"thread_id": thread}}
        for _ in range(3):
            agent.invoke(question(), config)
        calls = [
            call["id"] for m in agent.get_state(config).values["messages"] for call in getattr(m, "tool_calls", [])
        ]
        assert len(set(calls)) == len(calls) == 3
    count = setting.server.count()
    agent.invoke(question("and add 1 and 2"), config)  # a miss, behind all that was replayed
    assert setting.server.count() > count == 6


def test_p08_one_run_and_two_hits_show_the_tokens_of_one_run(setting: Setting) -> None:
    agent = setting.agent([add])
    once, thrice = UsageMetadataCallbackHandler(), UsageMetadataCallbackHandler()
    agent.invoke(question(), {"callbacks": [once, thrice]})
    for _ in range(2):
        for message in agent.invoke(question(), {"callbacks": [thrice]})["messages"]:
            if isinstance(message, AIMessage):
                assert message.usage_metadata is not None
                assert [message.usage_metadata[name] for name in ("input_tokens", "output_tokens")] == [0, 0]
                assert message.usage_metadata["total_tokens"] == 0
                assert message.response_metadata["llmcache"]["saved_usage"]["output_tokens"] > 0
    totals = [
        {name: numbers["total_tokens"] for name, numbers in handler.usage_metadata.items()}
        for handler in (once, thrice)
    ]
    assert totals[0] == totals[1] != {}


# -------------------------------------------------------------------------------------------------- P13
@in_pieces
async def test_p13_a_hit_streams_in_pieces_with_the_events_of_a_call(setting: Setting) -> None:
    agent = setting.agent([add])
    cold, warm = [[e async for e in agent.astream_events(question(), version="v2")] for _ in range(2)]
    assert setting.server.count() == 2

    def order(events: list[Any]) -> list[str]:
        """The events, each name once in a row."""
        names = [f"{event['event']} {event['name']}" for event in events]
        return [name for before, name in zip(["", *names], names, strict=False) if name != before]

    assert order(warm) == order(cold)
    pieces = [e["data"]["chunk"] for e in warm if e["event"] == "on_chat_model_stream"]
    assert "".join(piece.text for piece in pieces if piece.text).endswith("tool said: 42")
    assert len([piece for piece in pieces if piece.text]) > 2
    for name in ("on_chat_model_start", "on_chat_model_end"):
        assert sum(event["event"] == name for event in warm) == 2


@in_pieces
def test_p13_stream_mode_messages_gives_a_hit_in_pieces(setting: Setting) -> None:
    agent = setting.agent([add])
    cold, warm = [list(agent.stream(question(), stream_mode="messages")) for _ in range(2)]
    assert setting.server.count() == 2
    nodes = [[metadata["langgraph_node"] for piece, metadata in run if piece.text] for run in (cold, warm)]
    assert nodes[1].count("model") > 2
    assert set(nodes[1]) == set(nodes[0])


# -------------------------------------------------------------------------------------------------- graphs
def graph_of(model: BaseChatModel, is_streamed: bool) -> Any:
    """A graph with one node, which asks the model without the history, so that each turn is the same question."""

    def ask(state: MessagesState) -> dict[str, Any]:
        asked = [state["messages"][-1]]
        if not is_streamed:
            return {"messages": [model.invoke(asked)]}
        first, *others = model.stream(asked)
        for piece in others:
            first += piece
        return {"messages": [first]}

    async def aask(state: MessagesState) -> dict[str, Any]:
        asked = [state["messages"][-1]]
        if not is_streamed:
            return {"messages": [await model.ainvoke(asked)]}
        first, *others = [piece async for piece in model.astream(asked)]
        for piece in others:
            first += piece
        return {"messages": [first]}

    builder = StateGraph(MessagesState).add_node("ask", RunnableLambda(ask, aask)).add_edge(START, "ask")
    return builder.compile(checkpointer=InMemorySaver())


@pytest.mark.parametrize("setting", ["cached"], indirect=True)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["invoke", "stream"])
def test_a_graphs_state_checkpoints_and_pieces_on_a_hit(setting: Setting, is_streamed: bool) -> None:
    graph, config = graph_of(setting.model, is_streamed), {"configurable": {"thread_id": "t"}}
    cold, *warm = [list(graph.stream(question("hi"), config, stream_mode="messages")) for _ in range(3)]
    assert setting.server.count() == 1
    assert sum_of(warm[0]) == sum_of(warm[1]) == sum_of(cold) == [("ai", "echo: hi", [])]
    assert all(len([piece for piece, _ in run if piece.text]) > 1 for run in warm)
    messages = graph.get_state(config).values["messages"]
    assert [message.text for message in messages] == ["hi", "echo: hi"] * 3
    assert len({message.id for message in messages}) == 6
    saved = [len(state.values["messages"]) for state in graph.get_state_history(config) if state.next == ()]
    assert saved == [6, 4, 2]  # each turn has its checkpoint


@pytest.mark.parametrize("setting", ["cached"], indirect=True)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["invoke", "stream"])
async def test_a_graph_on_an_event_loop(setting: Setting, is_streamed: bool) -> None:
    graph, config = graph_of(setting.model, is_streamed), {"configurable": {"thread_id": "t"}}
    runs = [[piece async for piece in graph.astream(question("hi"), config, stream_mode="messages")] for _ in range(3)]
    assert setting.server.count() == 1
    assert sum_of(runs[1]) == sum_of(runs[2]) == sum_of(runs[0])
    assert all(len([piece for piece, _ in run if piece.text]) > 1 for run in runs[1:])
    messages = (await graph.aget_state(config)).values["messages"]
    assert len({message.id for message in messages}) == len(messages) == 6


def test_a_thread_goes_on_from_a_checkpoint_that_a_hit_made(setting: Setting) -> None:
    agent = setting.agent([add], checkpointer=InMemorySaver())
    for thread in ("t", "u"):
        config = {"configurable": {"thread_id": thread}}
        agent.invoke(question(), config)
    state = agent.get_state(config)
    assert plain(state.values["messages"])[-1] == ("ai", "tool said: 42", [])
    before_steps = [saved for saved in agent.get_state_history(config) if saved.next == ("model",)]
    for before in before_steps:  # the model has answered nothing yet, or called the tool
        again = agent.invoke(None, before.config)
        assert plain(again["messages"]) == plain(state.values["messages"])
    assert len(before_steps) == 2
    assert setting.server.count() == 2


# -------------------------------------------------------------------------------------------------- shapes of agents
class Sum(BaseModel):
    """The result."""

    total: int


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter")  # langchain-anthropic 1.3 still sends it
@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_structured_answers(setting: Setting, strategy: Any) -> None:
    agent = setting.agent([add], response_format=strategy(Sum))
    setting.server.enqueue(content=[{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 19, "b": 23}}])
    if strategy is ToolStrategy:
        setting.server.enqueue(content=[{"type": "tool_use", "id": "toolu_2", "name": "Sum", "input": {"total": 42}}])
    else:
        setting.server.enqueue(text='{"total": 42}')
    for _ in range(3):
        run = agent.invoke(question())
        assert run["structured_response"] == Sum(total=42)
        assert setting.server.count() == 2


def test_parallel_tools(setting: Setting) -> None:
    calls = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": "add", "input": {"a": number, "b": 1}}
        for number in range(3)
    ]
    setting.server.enqueue(content=calls, stop_reason="tool_use")
    agent = setting.agent([add])
    runs = [agent.invoke(question())["messages"] for _ in range(3)]
    assert setting.server.count() == 2
    for messages in runs:
        results = {message.tool_call_id: message.content for message in messages if isinstance(message, ToolMessage)}
        asked = {call["id"]: str(call["args"]["a"] + 1) for call in messages[1].tool_calls}
        assert results == asked
        assert len(asked) == 3
    assert plain(runs[1]) == plain(runs[2]) == plain(runs[0])
