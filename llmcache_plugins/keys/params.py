"""Which parameters of a model call are in its key: all that may shape the answer, and never a credential."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from llmcache_plugins.types import JsonValue

__all__ = ["canonical_params", "hidden_params", "is_credential_name", "is_irrelevant"]

_IRRELEVANT = {"max_retries", "streaming", "stream", "stream_usage", "disable_streaming", "name", "verbose"}
# Whole names, as the providers' SDKs and LangChain's integrations spell them. A name that only ends like one
# (`pad_token`, `tool_secret`) is an ordinary parameter: dropping it would make two different calls one.
_CREDENTIAL = re.compile(
    r"""(?:\w+_)? api_? (?:key|secret|token)
    | \w+ apikey
    | (?:\w+_)? (?:access|auth|authorization|bearer|refresh|session|security|oauth|ad|personal_access)_token
    | (?:(?:x|id|hf|huggingface|huggingfacehub|github|gitlab|friendli|watsonx)_)? token
    | (?:\w+_)? token_provider
    | (?:\w+_)? client_secret | (?:app|consumer)_secret | secret
    | (?:\w+_)? secret_(?:access_)?key | (?:hunyuan_)? secret_id
    | (?:\w+_)? (?:subscription_key|access_key_id) | (?:aws_)? access_key
    | (?:(?:key_file|proxy|basic_auth|http|database|db|redis|watsonx)_)? (?:password|passwd)
    | (?:(?:api|aws|azure|gcp|google|service_account|vertex|vertexai|application|default)_)? credentials?
    | (?:proxy_)? authorization | (?:set_)? cookie""",
    re.VERBOSE,
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BEARS_A_CREDENTIAL = re.compile(r"\s*(?:bearer|basic|token|apikey)\s+\S", re.IGNORECASE)
# What is handed on to the provider, in which credentials travel too. Elsewhere a nested `password` is a word of the
# user's own: an argument of a tool, a field of an answer.
_HANDED_ON = {
    "mcp_servers",
    "model_kwargs",
    "client_kwargs",
    "client_args",
    "client_options",
    "extra_body",
    "extra_query",
    "default_query",
    "http_options",
}
_SCHEMAS = {"tools", "functions", "tool_choice", "response_format", "output_config", "output_format"}


def is_credential_name(name: str) -> bool:
    """Does a parameter, a header or an environment variable of this name hold a credential?

    >>> is_credential_name("X-Api-Key"), is_credential_name("pad_token")
    (True, False)
    """
    return _CREDENTIAL.fullmatch(_HUMP.sub("_", name).replace("-", "_").lower()) is not None


def is_irrelevant(name: str) -> bool:
    """Is a framework's parameter of this name for itself alone: retries, time-outs, streaming, the run's name?"""
    return name in _IRRELEVANT or "timeout" in name.lower()


def canonical_params(params: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The parameters that shape an answer; what is not known to be irrelevant stays.

    Dropped: None, retries, time-outs, streaming flags, the run's name, verbosity, credentials, `cache_control` marks.
    """
    kept: dict[str, JsonValue] = {}
    for name, value in params.items():
        if value is None or is_irrelevant(name) or name == "cache_control" or _is_credential(name, value):
            continue
        if name.lower().endswith("headers"):
            value = _without_credentials(value, is_header=True)
        elif name in _HANDED_ON:
            value = _without_credentials(value)
        kept[name] = _without_cache_marks(value)
    return kept


def hidden_params(params: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Paths of the values that a framework took out of its description of the call: two calls that differ there look
    alike, so that nothing may be answered or stored for them. Credentials and what is irrelevant do not count."""
    return tuple(
        sorted({path for name, value in params.items() if not is_irrelevant(name) for path in _hidden(name, value)})
    )


def _is_credential(name: str, value: JsonValue) -> bool:
    return not isinstance(value, int | float) and is_credential_name(name)


def _hidden(path: str, value: JsonValue) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _hidden(path, item)
    elif isinstance(value, Mapping) and not is_credential_name(path.rpartition(".")[2]):
        # LangChain's marks: a declared secret, and an object of which it deleted the description.
        if value.get("lc") == 1 and (
            value.get("type") == "secret" or (value.get("type") == "not_implemented" and "repr" not in value)
        ):
            yield path
            return
        for name, item in value.items():
            yield from _hidden(f"{path}.{name}", item)


def _without_credentials(value: JsonValue, *, is_header: bool = False) -> JsonValue:
    if isinstance(value, list | tuple):
        return [_without_credentials(item, is_header=is_header) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: item if name in _SCHEMAS else _without_credentials(item, is_header=is_header or name.endswith("headers"))
        for name, item in value.items()
        if not (_is_credential(name, item) or (is_header and _bears_a_credential(item)))
    }


def _bears_a_credential(value: JsonValue) -> bool:
    return isinstance(value, str) and _BEARS_A_CREDENTIAL.match(value) is not None


def _without_cache_marks(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {
            key: _without_cache_marks(item)
            for key, item in value.items()
            # Only what is a mark: a tool may have an argument of that name, described by a schema.
            if not (key == "cache_control" and isinstance(item, Mapping) and item.get("type") == "ephemeral")
        }
    if isinstance(value, list | tuple):
        return [_without_cache_marks(item) for item in value]
    return value
