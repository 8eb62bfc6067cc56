"""What LangChain leaves out of a call's description is filled in: schemas of classes, and the server's address."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from llmcache_plugins.keys.params import canonical_params
from llmcache_plugins.langchain.live import with_live_facts, with_schemas
from llmcache_plugins.langchain.parse import parse_llm_string

CHAT = '{"id": ["langchain", "chat_models", "openai", "ChatOpenAI"], "kwargs": {"model_name": "m"}, "lc": 1}---'


class Offer(BaseModel):
    price: int


def call(arguments: dict[str, Any]) -> str:
    return CHAT + str(sorted(arguments.items()))


def test_a_class_is_known_by_its_schema() -> None:
    params = parse_llm_string(with_live_facts(call({"response_format": Offer}))).params
    assert "price" in str(params["response_format"])


def test_a_model_that_knows_the_class_describes_it_in_the_same_way() -> None:
    arguments = {"response_format": Offer, "stop": None, "other": int}
    assert with_live_facts(call(with_schemas(arguments))) == with_live_facts(call(arguments))


def test_a_name_that_two_live_classes_have_is_hidden() -> None:
    kinds: list[Any] = [
        create_model("Twin", __module__="twins", a=(str, "")),
        create_model("Twin", __module__="twins", b=(str, "")),
    ]
    asked = call({"response_format": kinds[0]})
    assert parse_llm_string(with_live_facts(asked)).hidden == ("response_format",)
    assert parse_llm_string(with_live_facts(call(with_schemas({"response_format": kinds[0]})))).hidden == ()
    del kinds
    gc.collect()


def test_classes_that_look_alike_are_no_twins() -> None:
    kinds: list[Any] = [create_model("Same", __module__="twins", a=(str, "")) for _ in range(2)]
    assert parse_llm_string(with_live_facts(call({"response_format": kinds[0]}))).hidden == ()


def test_a_class_without_a_schema_is_hidden() -> None:
    class Odd:
        pass

    kind: Any = create_model("Odder", __config__={"arbitrary_types_allowed": True}, odd=(Odd, None))
    for described in (call({"response_format": kind}), call(with_schemas({"response_format": kind}))):
        assert parse_llm_string(with_live_facts(described)).hidden == ("response_format",)


def test_other_classes_and_text_that_looks_like_one_stay() -> None:
    name = f"<class '{Offer.__module__}.Offer'>"
    for described in (call({"kind": int}), call({"stop": [name]}), CHAT.replace('"m"', f'"{name}"') + "[]"):
        assert with_live_facts(described) == described


@pytest.mark.parametrize(
    ("described", "address"),
    [
        (CHAT + "[]", "http://env/v1"),
        (CHAT.replace('{"model_name": "m"}', "{}") + "[]", "http://env/v1"),
        (CHAT.replace('"model_name": "m"', '"openai_api_base": "http://own/v1"') + "[]", "http://own/v1"),
        ("[('_type', 'openai'), ('model_name', 'm'), ('stop', None)]", "http://env/v1"),
        ("[('_type', 'openai'), ('openai_api_base', 'http://own/v1'), ('stop', None)]", "http://own/v1"),
        (CHAT.replace('"openai"', '"acme"', 1) + "[]", None),
        ("[('_type', 'acme'), ('stop', None)]", None),
    ],
)
def test_the_address_of_the_environment_counts_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch, described: str, address: str | None
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env/v1")
    found = parse_llm_string(with_live_facts(described))
    assert found.is_readable
    assert found.params.get("openai_api_base") == address
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert with_live_facts(described) == described


CLAUDE = CHAT.replace('"openai", "ChatOpenAI"', '"anthropic", "ChatAnthropic"')


def test_headers_of_the_environment_count_but_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLAUDE != CHAT
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "anthropic-beta: one\nX-Route: a:b\nAuthorization: Bearer secret\n")
    params = canonical_params(parse_llm_string(with_live_facts(CLAUDE + "[]")).params)
    assert params["environment_headers"] == {"anthropic-beta": "one", "x-route": "a:b"}
    assert with_live_facts(CHAT + "[]") == CHAT + "[]"
    monkeypatch.delenv("ANTHROPIC_CUSTOM_HEADERS")
    assert with_live_facts(CLAUDE + "[]") == CLAUDE + "[]"
