"""What is looked for first in a turn leaves out nothing that the patterns find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.policies import payload
from llmcache_plugins.policies.payload import payload_of


@given(st.from_regex(payload._INSTRUCTION))
def test_every_instruction_is_looked_at(text: str) -> None:
    assert payload._may_instruct(text.strip().casefold())
    assert payload_of(text) is not None


@given(st.from_regex(payload._CODE))
def test_all_code_is_looked_at(text: str) -> None:
    assert payload._may_be_code(text.strip().casefold())
