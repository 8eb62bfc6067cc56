"""What must not change a key does not, what must does, and nothing collides."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.keys.messages import ChatTurn, canonical_messages, request_from_messages
from llmcache_plugins.keys.params import canonical_params
from llmcache_plugins.keys.renew import renew_tool_ids

texts = st.text(max_size=30)
words = st.sampled_from(["a", "b", "ab", "Question: a", "Context:", "", " ", "\n", '"', "]", "{}", "call_0"])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
blocks = st.one_of(
    words.map(lambda text: {"type": "text", "text": text}),
    words.map(lambda text: {"type": "image", "url": text}),
    words,
)
contents = words | st.lists(blocks, max_size=3)
turns = st.builds(ChatTurn, st.sampled_from(["system", "user", "assistant"]), contents)
conversations = st.lists(turns, max_size=4)


def key(messages: list[ChatTurn], params: dict[str, Any] | None = None, **fields: Any) -> str:
    named = {"provider": "p", "model": "m"} | fields
    return identify(request_from_messages(messages, params=params or {}, **named)).key


def meaning_of(messages: list[ChatTurn]) -> str:
    """What the model reads: roles and texts, without the spelling of a lone text block."""
    plain = []
    for turn in messages:
        content = [turn.content] if isinstance(turn.content, str) else turn.content
        listed = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
        plain.append([turn.role, [] if turn.content == "" else listed])
    # The key ignores white space around the question, which stands last.
    if plain and plain[-1][1] and plain[-1][0] == "user":
        block = plain[-1][1][-1]
        if all(b["type"] == "text" for b in plain[-1][1]) and block["text"].strip():
            plain[-1][1][-1] = {**block, "text": block["text"].strip()}
    return json.dumps(plain)


@given(conversations, conversations)
def test_two_conversations_share_a_key_only_when_the_model_reads_the_same(
    one: list[ChatTurn], other: list[ChatTurn]
) -> None:
    assert (key(one) == key(other)) == (meaning_of(one) == meaning_of(other))


@given(conversations)
def test_volatile_fields_never_count(messages: list[ChatTurn]) -> None:
    volatile = {
        "id": "x",
        "usage_metadata": {"input_tokens": 3},
        "response_metadata": {"llmcache": {"hit": True}},
        "artifact": [1],
        "example": True,
        "type": "human",
        "tool_calls": [],
        "name": None,
    }
    assert key([ChatTurn(turn.role, turn.content, volatile) for turn in messages]) == key(messages)


@given(st.lists(st.tuples(texts, texts), max_size=4), st.lists(st.tuples(texts, texts), max_size=4))
def test_parts_never_run_into_each_other(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    def keyed(pairs: list[tuple[str, str]]) -> str:
        return key([ChatTurn("assistant", text, {"name": name}) for text, name in pairs])

    assert (keyed(one) == keyed(other)) == (one == other)


@given(texts, texts, texts, texts)
def test_provider_and_model_never_run_into_each_other(p: str, m: str, q: str, n: str) -> None:
    turn = [ChatTurn("user", "a")]
    assert (key(turn, provider=p, model=m) == key(turn, provider=q, model=n)) == ((p, m) == (q, n))


@given(st.dictionaries(texts, json_values, max_size=4), st.randoms())
def test_the_order_of_parameters_never_counts(params: dict[str, Any], random: Any) -> None:
    items = list(params.items())
    random.shuffle(items)
    assert key([ChatTurn("user", "a")], dict(items)) == key([ChatTurn("user", "a")], params)


@given(st.dictionaries(texts, json_values, max_size=4))
def test_canonical_params_are_a_fixed_point(params: dict[str, Any]) -> None:
    once = canonical_params(params)
    assert canonical_params(once) == once


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.permutations("abc"), st.permutations("xyz"))
def test_renamed_tool_ids_keep_the_key_and_swapped_ones_change_it(ids: list[str], order: Any, names: Any) -> None:
    def thread(rename: dict[str, str]) -> list[ChatTurn]:
        calls = [{"name": "f", "args": {}, "id": rename[i]} for i in order]
        results = [ChatTurn("tool", str(n), {"tool_call_id": rename[i]}) for n, i in enumerate(ids)]
        return [ChatTurn("assistant", "", {"tool_calls": calls}), *results]

    same = {i: i for i in "abc"}
    assert key(thread(dict(zip("abc", names, strict=True)))) == key(thread(same))
    # Swapping two ids in the results alone is another conversation, when one of them is used.
    calls, *results = thread(same)
    swap = {"a": "b", "b": "a", "c": "c"}
    swapped = [ChatTurn("tool", t.content, {"tool_call_id": swap[t.extra["tool_call_id"]]}) for t in results]
    assert (key([calls, *swapped]) == key([calls, *results])) == (set(ids) == {"c"})


@given(st.lists(st.sampled_from(["call_1", "toolu_2", "x"]), max_size=4))
def test_renewed_ids_leave_the_canonical_form_alone(ids: list[str]) -> None:
    message = {"tool_calls": [{"name": "f", "args": {"id": i}, "id": i} for i in ids]}
    renewed = renew_tool_ids(message)
    assert canonical_messages([ChatTurn("assistant", "", renewed)]) == canonical_messages(
        [ChatTurn("assistant", "", message)]
    )
