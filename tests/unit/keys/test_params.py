"""Which parameters are in a key: credentials never, what only looks like one always."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.keys.params import canonical_params, hidden_params, is_credential_name

BASE = {"tools": [{"name": "t"}], "default_headers": {"a": "1"}, "max_tokens": 5}

CREDENTIALS = [
    "api_key",
    "apikey",
    "apiKey",
    "API_KEY",
    "x-api-key",
    "anthropic_api_key",
    "openai_api_key",
    "anthropicApiKey",
    "google_api_key",
    "api_secret",
    "replicate_api_token",
    "huggingfacehub_api_token",
    "token",
    "auth_token",
    "access_token",
    "gcp_access_token",
    "accessToken",
    "bearer_token",
    "refresh_token",
    "session_token",
    "aws_session_token",
    "azure_ad_token",
    "azure_ad_token_provider",
    "authorization_token",
    "hf_token",
    "friendli_token",
    "secret",
    "client_secret",
    "secret_key",
    "hunyuan_secret_key",
    "secret_access_key",
    "aws_secret_access_key",
    "aws_access_key_id",
    "subscription_key",
    "password",
    "passwd",
    "key_file_password",
    "credential",
    "credentials",
    "aws_credentials",
    "authorization",
    "Proxy-Authorization",
    "cookie",
]
NO_CREDENTIALS = [
    "pad_token",
    "eos_token",
    "bos_token",
    "stop_token",
    "mask_token",
    "special_token",
    "pad_token_id",
    "eos_token_id",
    "max_tokens",
    "max_completion_tokens",
    "token_limit",
    "tokens",
    "logprobs_token",
    "tool_secret",
    "secret_santa",
    "secrets",
    "user_credentials",
    "credentials_profile_name",
    "password_policy",
    "my_password_hint",
    "key",
    "prompt_cache_key",
    "access",
    "api_version",
    "keyboard",
    "monkey",
    "authorization_mode",
    "cookie_policy",
]


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_credential_never_enters_a_key(name: str) -> None:
    assert is_credential_name(name)
    assert canonical_params({**BASE, name: "s3cr3t"}) == BASE
    assert canonical_params({**BASE, name: {"lc": 1, "type": "secret", "id": ["X"]}}) == BASE
    assert "s3cr3t" not in str(canonical_params({"model_kwargs": {name: "s3cr3t", "x": 1}}))
    assert canonical_params({"default_headers": {name: "s3cr3t"}}) == canonical_params({"default_headers": {}})
    assert hidden_params({name: {"lc": 1, "type": "secret", "id": ["X"]}}) == ()


@pytest.mark.parametrize("name", NO_CREDENTIALS)
def test_what_only_looks_like_a_credential_stays(name: str) -> None:
    assert not is_credential_name(name)
    for value in ("<pad>", 7, ["a"], {"b": "c"}):
        assert canonical_params({**BASE, name: value}) == {**BASE, name: value}
        assert canonical_params({"model_kwargs": {name: value}}) == {"model_kwargs": {name: value}}


@pytest.mark.parametrize("value", [7, 0.5, True])
def test_a_number_is_no_credential(value: object) -> None:
    assert canonical_params({"token": value}) == {"token": value}


@pytest.mark.parametrize(
    "irrelevant",
    [
        {"max_retries": 3},
        {"timeout": 1.0},
        {"default_request_timeout": 1.0},
        {"streaming": True},
        {"stream": True},
        {"stream_usage": True},
        {"disable_streaming": True},
        {"name": "mine"},
        {"verbose": True},
        {"stop": None},
        {"cache_control": {"type": "ephemeral"}},
        {"default_headers": {"a": "1", "Authorization": "Bearer x"}},
        {"default_headers": {"a": "1", "X-Goog-Api-Key": "x"}},
        {"default_headers": {"a": "1", "X-Upstream": "Bearer x.y"}},
        {"tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}]},
    ],
)
def test_irrelevant_parameters_are_dropped(irrelevant: dict[str, Any]) -> None:
    assert canonical_params({**BASE, **irrelevant}) == BASE


def test_the_token_of_a_tool_server_is_dropped_and_its_address_is_not() -> None:
    def server(url: str, token: str) -> dict[str, Any]:
        return canonical_params({"mcp_servers": [{"url": url, "authorization_token": token}]})

    assert server("http://a", "1") == server("http://a", "2") != server("http://b", "1")


@pytest.mark.parametrize("name", ["tools", "response_format", "functions"])
def test_what_a_schema_calls_password_or_cache_control_is_neither(name: str) -> None:
    def schema(**properties: Any) -> dict[str, Any]:
        return canonical_params({name: [{"input_schema": {"properties": properties}}]})

    assert schema(cache_control={"type": "string"}) != schema()
    assert schema(password={"type": "string"}) != schema()
    assert schema(token="x") != schema(token="y")


SECRET = {"lc": 1, "type": "secret", "id": ["ANTHROPIC_MCP_SERVERS"]}
ABSENT = {"lc": 1, "type": "not_implemented", "id": ["acme", "Inner"]}


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"a": 1, "tools": [{"type": "secret"}]}, ()),
        ({"anthropic_api_key": SECRET}, ()),
        ({"mcp_servers": SECRET}, ("mcp_servers",)),
        ({"tool_secret": SECRET, "pad_token": SECRET}, ("pad_token", "tool_secret")),
        ({"bound": {"lc": 1, "kwargs": {"mcp_servers": SECRET, "api_key": SECRET}}}, ("bound.kwargs.mcp_servers",)),
        ({"models": [{"kwargs": {"url": SECRET}}]}, ("models.kwargs.url",)),
        ({"inner": ABSENT}, ("inner",)),
        ({"inner": {**ABSENT, "repr": "<Inner at 0x1>"}}, ()),
        ({"azure_ad_token_provider": ABSENT, "request_timeout": ABSENT, "verbose": SECRET}, ()),
    ],
)
def test_values_that_the_framework_hides_are_named(params: dict[str, Any], names: tuple[str, ...]) -> None:
    assert hidden_params(params) == names


def test_a_hidden_value_is_not_the_same_as_none() -> None:
    assert canonical_params({"mcp_servers": SECRET}) != canonical_params({})
