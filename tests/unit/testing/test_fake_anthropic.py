"""The fake API against the real clients."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

anthropic = pytest.importorskip("anthropic")

MODEL = "claude-haiku-4-5"
WEATHER = {
    "name": "get_weather",
    "description": "weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def client(server: FakeAnthropic) -> Iterator[Any]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as sdk:
        yield sdk


def ask(client: Any, content: Any = "hello", **params: Any) -> Any:
    return client.messages.create(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": content}], **params
    )


def test_it_listens_on_the_loopback_interface_only(server: FakeAnthropic) -> None:
    assert server.base_url.startswith("http://127.0.0.1:")


def test_a_message_echoes_the_question_and_is_counted(client: Any, server: FakeAnthropic) -> None:
    message = ask(client, "what is BGP?")
    assert message.content[0].text == "echo: what is BGP?"
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)
    assert message.usage.input_tokens > 0
    assert server.count() == 1
    assert server.requests[0]["body"]["messages"] == [{"role": "user", "content": "what is BGP?"}]
    assert {"anthropic-version", "content-type"} <= server.requests[0]["headers"].keys()


def test_every_answer_has_an_id_of_its_own(client: Any) -> None:
    assert ask(client).id != ask(client).id


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_a_stream_adds_up_to_the_message(client: Any, server: FakeAnthropic, chunk: int) -> None:
    server.chunk = chunk
    with client.messages.stream(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "some longer text"}]
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == "echo: some longer text"
    assert final.usage.output_tokens > 1


def test_a_tool_call_takes_its_arguments_from_the_question(client: Any) -> None:
    message = ask(client, "the next 3 days in 'Oslo' please", tools=[WEATHER])
    call = message.content[-1]
    assert message.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo", "days": 3})


def test_a_tool_result_is_answered_with_text(client: Any) -> None:
    call = ask(client, "weather", tools=[WEATHER]).content[-1]
    message = client.messages.create(
        model=MODEL,
        max_tokens=100,
        tools=[WEATHER],
        messages=[
            {"role": "user", "content": "weather"},
            {"role": "assistant", "content": [call.model_dump()]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]},
        ],
    )
    assert message.content[0].text == "tool said: rain"


@pytest.mark.parametrize(
    ("messages", "wording"),
    [
        ([{"role": "user", "content": ""}], "non-empty"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}], "without"),
        ([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]}], "unexpected"),
        (
            [
                {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]},
            ],
            "unique",
        ),
        ([{"role": "robot", "content": "hello"}], "role"),
    ],
)
def test_what_a_replaying_cache_can_get_wrong_is_refused(client: Any, messages: Any, wording: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=wording):
        client.messages.create(model=MODEL, max_tokens=100, messages=messages)


def test_scripts_are_used_once_and_in_order(client: Any, server: FakeAnthropic) -> None:
    server.enqueue(text="first", stop_reason="max_tokens")
    server.enqueue(status=529)
    assert (message := ask(client)).content[0].text == "first"
    assert message.stop_reason == "max_tokens"
    with pytest.raises(anthropic.APIStatusError) as failure:
        ask(client)
    assert failure.value.status_code == 529
    assert ask(client).content[0].text == "echo: hello"
    assert server.count() == 3


def test_a_script_with_an_unknown_name_fails(server: FakeAnthropic) -> None:
    with pytest.raises(TypeError, match="txt"):
        server.enqueue(txt="typo")


def test_a_rate_limit_is_retried_by_the_client(server: FakeAnthropic) -> None:
    server.enqueue(status=429, headers={"retry-after": "0"})
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=1) as client:
        assert ask(client).content[0].text == "echo: hello"
    assert server.count() == 2


def test_a_stream_can_break_and_can_report_an_error(client: Any, server: FakeAnthropic) -> None:
    def read() -> None:
        with client.messages.stream(
            model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "a long enough text"}]
        ) as stream:
            stream.until_done()

    server.enqueue(text="some longer text", cut_after=3)
    with pytest.raises(Exception, match=r"incomplete|closed"):
        read()
    server.enqueue(text="some longer text", error_after=3)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        read()


def test_a_handler_replaces_the_default_answer(client: Any, server: FakeAnthropic) -> None:
    server.handler = lambda body: {"content": [{"type": "text", "text": body["model"]}]}
    assert ask(client).content[0].text == MODEL
    server.handler = lambda body: None
    assert ask(client).content[0].text == "echo: hello"


def test_a_marked_prefix_is_created_once_and_read_later(client: Any) -> None:
    marked = [{"type": "text", "text": "a long system prompt " * 20, "cache_control": {"type": "ephemeral"}}]
    first, second = ask(client, system=marked).usage, ask(client, system=marked).usage
    assert (first.cache_creation_input_tokens > 0, first.cache_read_input_tokens) == (True, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens > 0) == (0, True)


def test_structured_output_fits_the_schema_and_thinking_comes_first(client: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "kind": {"enum": ["a", "b"]}}}
    message = ask(
        client,
        thinking={"type": "enabled", "budget_tokens": 1024},
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert message.content[0].type == "thinking"
    assert json.loads(message.content[1].text) == {"n": 1, "kind": "a"}


def test_the_stop_sequence_that_comes_first_ends_the_answer(client: Any) -> None:
    message = ask(client, "one two three", stop_sequences=["three", "two"])
    assert (message.content[0].text, message.stop_reason, message.stop_sequence) == (
        "echo: one ",
        "stop_sequence",
        "two",
    )


def test_tokens_and_models_can_be_asked_for(client: Any) -> None:
    tokens = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    assert tokens.input_tokens == ask(client).usage.input_tokens
    assert MODEL in [model.id for model in client.models.list()]
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("no-such-model")


def test_a_wrong_key_and_a_missing_version_are_refused(client: Any, server: FakeAnthropic) -> None:
    server.api_key = "secret"
    with pytest.raises(anthropic.AuthenticationError):
        ask(client)
    request = urllib.request.Request(f"{server.base_url}/v1/models", headers={"x-api-key": "secret"})
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(request)
    with failure.value as response:
        assert json.load(response)["error"]["message"].startswith("anthropic-version")


def test_requests_in_flight_are_counted(server: FakeAnthropic) -> None:
    together = threading.Barrier(3)

    def meet(body: Any) -> None:
        together.wait(timeout=10)

    server.handler = meet
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.max_inflight == 3
    server.reset()
    assert (server.count(), server.max_inflight) == (0, 0)


def test_stop_does_not_wait_for_a_slow_answer() -> None:
    server = FakeAnthropic(latency=3600.0).start()
    failures: list[BaseException] = []

    def wait_for_answer() -> None:
        with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as client:
            try:
                ask(client)
            except anthropic.APIConnectionError as error:
                failures.append(error)

    thread = threading.Thread(target=wait_for_answer)
    thread.start()
    while server.max_inflight == 0:
        thread.join(timeout=0.005)
    server.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(failures) == 1


async def test_langchain_invokes_streams_and_calls_tools(server: FakeAnthropic) -> None:
    langchain_anthropic = pytest.importorskip("langchain_anthropic")
    model = langchain_anthropic.ChatAnthropic(
        model=MODEL, api_key="test", base_url=server.base_url, max_retries=0, max_tokens=100
    )
    assert model.invoke("hello").content == "echo: hello"
    assert (await model.ainvoke("hello")).content == "echo: hello"
    assert "".join(chunk.text for chunk in model.stream("hello there")) == "echo: hello there"
    answer = model.bind_tools([WEATHER]).invoke("2 days in 'Rome'")
    assert answer.tool_calls[0]["args"] == {"city": "Rome", "days": 2}
    server.enqueue(status=500)
    with pytest.raises(anthropic.InternalServerError):
        model.invoke("hello")
    model._client.close()  # it is kept open for the next model with this address
    await model._async_client.close()
