"""JSON that is nested deeper than Python calls has a digest, too, and the same in every process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins import Hit, Request, open_cache
from llmcache_plugins.keys.fingerprint import _nested, canonical_json

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5)
names = st.text(st.characters(codec=None), max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(values | st.dictionaries(st.integers(), values, max_size=3))
def test_both_ways_write_the_same(value: Any) -> None:
    assert "".join(_nested(value)).encode("ascii") == canonical_json(value)
    assert canonical_json(value) == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def nested(depth: int, core: Any) -> Any:
    for _ in range(depth):
        core = {"a": [core]}
    return core


def test_a_deep_value_is_told_from_another() -> None:
    assert canonical_json(nested(20_000, 1)) == b'{"a":[' * 20_000 + b"1" + b"]}" * 20_000
    assert canonical_json(nested(20_000, 1)) != canonical_json(nested(20_000, 2))


def test_what_holds_itself_is_an_error() -> None:
    value: list[Any] = []
    value.append(nested(20_000, value))
    with pytest.raises(ValueError, match="itself"):
        canonical_json(value)


def test_a_request_with_deep_parameters_is_answered_and_told_from_others() -> None:
    with open_cache("memory://", embedder=None, maintenance="manual") as cache:
        for core in (1, 2):
            request = Request("q", params={"deep": nested(20_000, core)}, context=[nested(20_000, core)])
            assert cache.get_or_generate(request, lambda _, core=core: core) == core
            found = cache.lookup(request)
            assert isinstance(found, Hit)
            assert found.answer == core
