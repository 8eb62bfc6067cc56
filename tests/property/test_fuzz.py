"""Whatever bytes come from outside, a reader raises nothing but what it documents. `make fuzz` goes on for longer."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import SEEDS, TARGETS

_PIECE = re.compile(rb'"[^"]*"|-?\d+(?:\.\d+)?|null|true|\[[^\[\]]*\]|\{[^{}]*\}')
_ODD = (
    *(b"null", b"true", b"-1", b"1e999", b"NaN", b'"\\ud800"', b"[]", b"{}", b"0", b'"x"', b"[1]", b'{"a": 1}'),
    *(b"9" * 400, b"9" * 5000, b'["a", 1]', b"-Infinity", b'"\\u0000"', b"9" * 20, b'"2026-99-99"', b"\xff\xfe", b""),
    *(b"[" * 3000, b'{"a":' * 3000, b'{"a":' * 300, b"\n", b"\r", b",", b'"'),
)


@st.composite
def altered(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A valid text in which some values are others, and some bytes too."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        odd = draw(st.sampled_from(_ODD) | st.binary(max_size=4))
        places = [match.span() for match in _PIECE.finditer(content)]
        if places and draw(st.booleans()):
            start, end = draw(st.sampled_from(places))
        else:
            start = draw(st.integers(0, len(content)))
            end = draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + odd + content[end:]
    return content


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_reader_raises_only_what_it_documents(name: str, data: st.DataObject) -> None:
    seeds = SEEDS.get(name, [b"0:"])
    TARGETS[name](data.draw(altered(seeds) | st.binary(max_size=60)))


@pytest.mark.parametrize("name", TARGETS)
def test_what_once_broke_a_reader(name: str) -> None:
    """Deep nesting, endless numbers, lone surrogates and values of other types, in each place of a valid text."""
    for seed in [*SEEDS.get(name, []), b""]:
        for odd in _ODD:
            TARGETS[name](odd)
            TARGETS[name](seed + odd)
            for match in _PIECE.finditer(seed):
                TARGETS[name](seed[: match.start()] + odd + seed[match.end() :])
