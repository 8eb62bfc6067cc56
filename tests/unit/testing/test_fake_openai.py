"""The fake OpenAI API over plain HTTP: what it answers, and what it tells a test."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from llmcache_plugins.testing import FakeOpenAI

Ask = Callable[..., Any]
Send = Callable[..., tuple[int, Any]]


def tool(name: str, **properties: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WEATHER = tool("get_weather", city="string", days="integer")
CLOCK = tool("get_time", city="string")


def chunks_of(stream: str) -> list[Any]:
    frames = stream.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


def calls_of(completion: Any) -> list[tuple[str, Any]]:
    calls = completion["choices"][0]["message"]["tool_calls"]
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_it_listens_on_the_loopback_interface_only(openai_server: FakeOpenAI) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", openai_server.base_url)


def test_a_completion_echoes_the_question_and_is_counted(ask: Ask, openai_server: FakeOpenAI) -> None:
    completion = ask("what is BGP?")
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "gpt-4.1-mini"
    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "echo: what is BGP?", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    usage = completion["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > usage["prompt_tokens"] > 0
    assert openai_server.count() == 1
    assert openai_server.requests[0]["body"]["messages"] == [{"role": "user", "content": "what is BGP?"}]


def test_every_answer_has_an_id_of_its_own(ask: Ask) -> None:
    first, second = ask(tools=[WEATHER]), ask(tools=[WEATHER])
    assert first["id"] != second["id"]
    assert first["id"].startswith("chatcmpl-")
    ids = {answer["choices"][0]["message"]["tool_calls"][0]["id"] for answer in (first, second)}
    assert len(ids) == 2
    assert all(call_id.startswith("call_") for call_id in ids)


def test_parts_of_text_are_one_question(ask: Ask) -> None:
    parts = [{"type": "text", "text": "what is "}, {"type": "text", "text": "BGP?"}]
    assert ask(parts)["choices"][0]["message"]["content"] == "echo: what is BGP?"


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_a_stream_adds_up_to_the_completion(ask: Ask, openai_server: FakeOpenAI, chunk: int) -> None:
    openai_server.chunk = chunk
    chunks = chunks_of(ask("some longer text", stream=True))
    deltas = [piece["choices"][0]["delta"] for piece in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(delta.get("content", "") for delta in deltas) == "echo: some longer text"
    assert [piece["choices"][0]["finish_reason"] for piece in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({piece["id"] for piece in chunks}) == 1
    assert not any("usage" in piece for piece in chunks)


def test_the_usage_of_a_stream_comes_last_when_it_is_asked_for(ask: Ask) -> None:
    chunks = chunks_of(ask("hello", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == ask("hello")["usage"]
    assert all(piece["usage"] is None for piece in chunks[:-1])


def test_a_tool_call_takes_its_arguments_from_the_question(ask: Ask) -> None:
    completion = ask("the next 3 days in 'Oslo' please", tools=[WEATHER, CLOCK])
    assert calls_of(completion) == [("get_weather", {"city": "Oslo", "days": 3})]
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert completion["choices"][0]["message"]["content"] is None


def test_tools_that_the_question_names_are_called_in_parallel(ask: Ask) -> None:
    question = "get_weather and get_time for 2 days in 'Rome' and 'Oslo'"
    both = [("get_weather", {"city": "Rome", "days": 2}), ("get_time", {"city": "Oslo"})]
    assert calls_of(ask(question, tools=[WEATHER, CLOCK])) == both
    assert calls_of(ask(question, tools=[WEATHER, CLOCK], parallel_tool_calls=False)) == both[:1]


def test_tool_calls_are_streamed_in_pieces(ask: Ask, openai_server: FakeOpenAI) -> None:
    openai_server.chunk = 4
    question = "get_weather and get_time for 2 days in 'Rome' and 'Oslo'"
    chunks = chunks_of(ask(question, tools=[WEATHER, CLOCK], stream=True))
    assert chunks[0]["choices"][0]["delta"]["content"] is None
    pieces = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    arguments = {0: "", 1: ""}
    for piece in pieces:
        arguments[piece["index"]] += piece["function"]["arguments"]
    assert [json.loads(text) for text in arguments.values()] == [{"city": "Rome", "days": 2}, {"city": "Oslo"}]
    assert [piece["function"]["name"] for piece in pieces if "id" in piece] == ["get_weather", "get_time"]
    assert len(pieces) > 6
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_tool_choice_is_obeyed(ask: Ask) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    completion = ask("'Oslo'", tools=[WEATHER, CLOCK], tool_choice=named)
    assert calls_of(completion) == [("get_time", {"city": "Oslo"})]
    assert completion["choices"][0]["finish_reason"] == "stop"  # as the API has it where the client chose the function
    assert ask(tools=[WEATHER], tool_choice="required")["choices"][0]["finish_reason"] == "tool_calls"
    assert ask(tools=[WEATHER], tool_choice="none")["choices"][0]["message"]["content"] == "echo: hello"


def test_tool_messages_are_answered_with_text(send: Send, ask: Ask) -> None:
    question = {"role": "user", "content": "get_weather and get_time"}
    message = ask(question["content"], tools=[WEATHER, CLOCK])["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": text}
        for call, text in zip(message["tool_calls"], ["rain", "noon"], strict=True)
    ]
    body = {"model": "gpt-4.1", "messages": [question, message, *results], "tools": [WEATHER, CLOCK]}
    status, completion = send("/chat/completions", body)
    assert (status, completion["choices"][0]["message"]["content"]) == (200, "tool said: rain; noon")


def test_structured_output_fits_the_schema(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {"home": {"$ref": "#/$defs/City"}, "kind": {"enum": ["a", "b"]}},
        "required": ["home", "kind"],
        "$defs": {"City": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    content = ask("800 years of 'Oslo'", response_format=wanted)["choices"][0]["message"]["content"]
    assert json.loads(content) == {"home": {"name": "Oslo", "age": 800}, "kind": "a"}
    content = ask("as JSON", response_format={"type": "json_object"})["choices"][0]["message"]["content"]
    assert json.loads(content) == {"echo": "as JSON"}


def test_a_schema_that_contains_itself_ends(ask: Ask) -> None:
    properties = {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Hop"}, {"type": "null"}]}}
    hop = {"type": "object", "properties": properties, "required": ["name", "next"]}
    schema = {"$ref": "#/$defs/Hop", "$defs": {"Hop": hop}}
    wanted = {"type": "json_schema", "json_schema": {"name": "path", "schema": schema}}
    content = ask("from 'Oslo'", response_format=wanted)["choices"][0]["message"]["content"]
    assert json.loads(content) == {"name": "Oslo", "next": None}


def test_several_choices_differ_and_are_paid_for_together(ask: Ask) -> None:
    one, three = ask("hello"), ask("hello", n=3)
    contents = [choice["message"]["content"] for choice in three["choices"]]
    assert contents == ["echo: hello", "echo: hello (2)", "echo: hello (3)"]
    assert three["usage"]["completion_tokens"] > 2 * one["usage"]["completion_tokens"]
    chunks = chunks_of(ask("hello", n=2, stream=True))
    texts = {0: "", 1: ""}
    for piece in (chunk["choices"][0] for chunk in chunks):
        texts[piece["index"]] += piece["delta"].get("content", "")
    assert list(texts.values()) == contents[:2]


@pytest.mark.parametrize("stop", ["two", ["three", "two"]])
def test_a_stop_sequence_ends_the_answer(ask: Ask, stop: Any) -> None:
    choice = ask("one two three", stop=stop)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("echo: one ", "stop")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_over_the_token_limit_is_cut(ask: Ask, name: str) -> None:
    completion = ask("a rather long question", **{name: 3})
    choice = completion["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("echo: a rath", "length")
    assert completion["usage"]["completion_tokens"] == 3
    assert ask("hi", **{name: 3})["choices"][0]["finish_reason"] == "stop"


def test_scripts_are_used_once_and_in_order(ask: Ask, send: Send, openai_server: FakeOpenAI) -> None:
    openai_server.enqueue(text="first", finish_reason="content_filter", usage={"total_tokens": 7})
    openai_server.enqueue(tool_calls=[{"name": "f", "arguments": {"a": 1}}])
    openai_server.enqueue(refusal="I cannot do that.")
    openai_server.enqueue(status=503)
    first = ask()
    assert first["choices"][0]["message"]["content"] == "first"
    assert (first["choices"][0]["finish_reason"], first["usage"]) == ("content_filter", {"total_tokens": 7})
    called = ask()
    assert (calls_of(called), called["choices"][0]["finish_reason"]) == ([("f", {"a": 1})], "tool_calls")
    deltas = [piece["choices"][0]["delta"] for piece in chunks_of(ask(stream=True))]
    assert "".join(delta.get("refusal") or "" for delta in deltas) == "I cannot do that."
    assert send("/chat/completions", {})[0] == 503
    assert ask()["choices"][0]["message"]["content"] == "echo: hello"
    assert openai_server.count() == 5


def test_a_script_with_an_unknown_name_fails(openai_server: FakeOpenAI) -> None:
    with pytest.raises(TypeError, match="txt"):
        openai_server.enqueue(txt="typo")


def test_a_handler_replaces_the_default_answer(ask: Ask, openai_server: FakeOpenAI) -> None:
    openai_server.handler = lambda body: {"content": body["model"]}
    assert ask()["choices"][0]["message"]["content"] == "gpt-4.1-mini"
    openai_server.handler = lambda body: None
    assert ask()["choices"][0]["message"]["content"] == "echo: hello"


def test_a_stream_can_break_and_can_report_an_error(ask: Ask, openai_server: FakeOpenAI) -> None:
    openai_server.enqueue(text="some longer text", error_after=2)
    *_, last, end = ask(stream=True).split("\n\n")
    assert end == ""
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"
    openai_server.enqueue(text="some longer text", cut_after=2)
    with pytest.raises((IncompleteRead, RemoteDisconnected)):
        ask(stream=True)


def test_the_same_text_has_the_same_embedding_and_a_similar_one_a_close_one(send: Send) -> None:
    texts = ["show the BGP status", "show the bgp state", "bake a pizza"]
    status, answer = send("/embeddings", {"model": "text-embedding-3-small", "input": texts})
    first, near, far = (item["embedding"] for item in answer["data"])
    assert (status, len(first)) == (200, 1536)
    assert math.hypot(*first) == pytest.approx(1.0)
    assert cosine(first, near) > 0.5 > cosine(first, far)
    again = send("/embeddings", {"model": "text-embedding-3-small", "input": texts[0]})[1]
    assert again["data"][0]["embedding"] == first
    assert answer["usage"]["total_tokens"] > again["usage"]["total_tokens"] > 0


def test_embeddings_come_in_the_wanted_size_and_form(send: Send) -> None:
    body = {"model": "text-embedding-3-large", "input": [[1, 2], [3]], "dimensions": 64}
    plain = send("/embeddings", body)[1]["data"]
    packed = send("/embeddings", {**body, "encoding_format": "base64"})[1]["data"]
    assert [len(item["embedding"]) for item in plain] == [64, 64]
    unpacked = struct.unpack("<64f", base64.b64decode(packed[1]["embedding"]))
    assert unpacked == pytest.approx(plain[1]["embedding"])


def test_models_can_be_listed(send: Send) -> None:
    assert "gpt-4.1-mini" in [model["id"] for model in send("/models")[1]["data"]]
    assert send("/models/gpt-4.1")[1]["object"] == "model"


def test_requests_in_flight_are_counted(ask: Ask, openai_server: FakeOpenAI) -> None:
    together = threading.Barrier(3)

    def meet(body: Any) -> None:
        together.wait(timeout=10)

    openai_server.handler = meet
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert openai_server.max_inflight == 3
    openai_server.reset()
    assert (openai_server.count(), openai_server.max_inflight) == (0, 0)


def test_stop_does_not_wait_for_a_slow_answer(ask: Ask, openai_server: FakeOpenAI) -> None:
    openai_server.latency = 3600.0
    failures: list[BaseException] = []

    def wait_for_answer() -> None:
        try:
            ask()
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=wait_for_answer)
    thread.start()
    while openai_server.max_inflight == 0:
        thread.join(timeout=0.005)
    openai_server.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(failures) == 1


def test_it_can_be_started_by_hand() -> None:
    command = [sys.executable, "-m", "llmcache_plugins.testing.fake_openai", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/v1", process.stdout.readline())
            assert found is not None
            request = urllib.request.Request(f"{found[0]}/models", headers={"authorization": "Bearer test"})
            with urllib.request.urlopen(request, timeout=30) as response:
                assert response.status == 200
        finally:
            process.terminate()
