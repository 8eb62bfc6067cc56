"""Agents: the second identical run makes no model call, and nothing replayed confuses a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION = {"messages": [HumanMessage("add 19 and 23")]}


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as cache:
        set_llm_cache(LLMCache(cache))
        yield cache
        set_llm_cache(None)


def agent_of(server: FakeAnthropic, **settings: Any) -> Any:
    model = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0)
    return create_agent(model, [add], **settings)


@pytest.mark.usefixtures("engine")
def test_p01_a_second_and_third_identical_run_make_no_model_call(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    cold = agent.invoke(QUESTION)
    calls = server.count()
    assert calls == 2
    for _ in range(2):
        again = agent.invoke(QUESTION)
        assert server.count() == calls
        assert again["messages"][-1].content == cold["messages"][-1].content


@pytest.mark.usefixtures("engine")
async def test_p01_async(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    for _ in range(3):
        await agent.ainvoke(QUESTION)
        assert server.count() == 2


@pytest.mark.usefixtures("engine")
def test_p01_stream_mode_messages(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    texts = []
    for _ in range(3):
        pieces = [piece for piece, _ in agent.stream(QUESTION, stream_mode="messages") if isinstance(piece, AIMessage)]
        texts.append("".join(piece.text for piece in pieces))
        assert server.count() == 2
    assert texts[0] == texts[1] == texts[2] != ""


@pytest.mark.usefixtures("engine")
async def test_p01_astream_events(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    for _ in range(3):
        events = [event async for event in agent.astream_events(QUESTION, version="v2")]
        assert any(event["event"] == "on_chat_model_end" for event in events)
        assert server.count() == 2


@pytest.mark.usefixtures("engine")
def test_p01_a_streamed_and_an_invoked_run_share_their_answers(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    list(agent.stream(QUESTION, stream_mode="messages"))
    agent.invoke(QUESTION)
    assert server.count() == 2


def test_p02_when_the_first_step_is_made_again_the_second_still_hits(server: FakeAnthropic) -> None:
    clock = FakeClock()
    pauses = iter([5])  # seconds between the two steps of the first run, so that the first step expires alone

    def add(a: int, b: int) -> int:
        """Add two integers."""
        clock.advance(next(pauses, 0))
        return a + b

    with closing(open_cache("memory://", embedder=FakeEmbedder(), ttl=8, clock=clock)) as cache:
        model = ChatAnthropic(
            model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0, cache=LLMCache(cache)
        )
        agent = create_agent(model, [add])
        agent.invoke(QUESTION)
        clock.advance(4)
        agent.invoke(QUESTION)
        stats = cache.stats()
    assert server.count() == 3  # new tool-call ids from the server, and yet one call
    assert (stats.misses["expired"], stats.hits["exact"]) == (1, 1)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("streams", [False, True])
def test_p03_the_same_question_thrice_in_one_thread_keeps_all_messages(server: FakeAnthropic, streams: bool) -> None:
    model = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0)
    agent = create_agent(model, [], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    # The history differs from turn to turn; a second thread replays all three from the cache.
    for thread in ("t", "u"):
        config = {"configurable": {"thread_id": thread}}
        for _ in range(3):
            if streams:
                list(agent.stream({"messages": [HumanMessage("hi")]}, config, stream_mode="messages"))
            else:
                agent.invoke({"messages": [HumanMessage("hi")]}, config)
        messages = agent.get_state(config).values["messages"]
        assert [message.type for message in messages] == ["human", "ai"] * 3
        assert len({message.id for message in messages}) == 6
        assert server.count() == 3


@pytest.mark.usefixtures("engine")
def test_p03_one_answer_replayed_into_one_thread_keeps_all_messages(server: FakeAnthropic) -> None:
    from langgraph.graph import START, MessagesState, StateGraph

    model = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0)

    def ask_without_history(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke([state["messages"][-1]])]}

    graph = StateGraph(MessagesState).add_node("ask", ask_without_history).add_edge(START, "ask")
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    for _ in range(3):
        app.invoke({"messages": [HumanMessage("hi")]}, config)
    assert [message.type for message in app.get_state(config).values["messages"]] == ["human", "ai"] * 3
    assert server.count() == 1


@pytest.mark.usefixtures("engine")
def test_p04_tool_call_ids_are_new_and_equal_everywhere(server: FakeAnthropic) -> None:
    agent = agent_of(server)
    runs = [agent.invoke(QUESTION)["messages"] for _ in range(3)]
    ids = []
    for messages in runs:
        answer, result = messages[1], messages[2]
        assert isinstance(answer, AIMessage)
        assert isinstance(result, ToolMessage)
        (call,) = answer.tool_calls
        blocks = [block for block in answer.content if isinstance(block, dict) and block["type"] == "tool_use"]
        assert [block["id"] for block in blocks] == [call["id"]] == [result.tool_call_id]
        ids.append(call["id"])
    assert len(set(ids)) == 3


@pytest.mark.usefixtures("engine")
def test_p04_replayed_tool_calls_in_one_thread_are_accepted_by_the_server(server: FakeAnthropic) -> None:
    """One conversation takes the same cached tool call three times; the provider refuses an id that is there twice."""
    model = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0)
    bound = model.bind_tools([add])
    history: list[Any] = []
    for _ in range(3):
        answer = bound.invoke([HumanMessage("add 1 and 2")])
        history += [HumanMessage("add 1 and 2"), answer, ToolMessage("3", tool_call_id=answer.tool_calls[0]["id"])]
    assert server.count() == 1
    model.invoke(history)  # a status of 400 would raise
    assert server.count() == 2
