from __future__ import annotations

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, ChatMessage, FunctionMessage, HumanMessage, ToolMessage

from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.keys.question import QuestionExtractor
from llmcache_plugins.langchain.parse import parse_llm_string, parse_prompt, request_of

extract = QuestionExtractor()


def key(llm_string: str) -> str:
    return identify(request_of("p", parse_llm_string(llm_string), extract)).key


def serialised(fixed: str, call: str) -> str:
    return '{"id": ["langchain", "chat_models", "acme", "ChatAcme"], "kwargs": ' + fixed + ', "lc": 1}---' + call


def test_roles_contents_and_extras_are_read() -> None:
    prompt = dumps(
        [
            HumanMessage("a", name="bob"),
            AIMessage("b", tool_calls=[{"name": "f", "args": {"lc": 1}, "id": "t"}]),
            ToolMessage("c", tool_call_id="t", artifact=object()),
            ChatMessage("d", role="critic"),
            FunctionMessage("e", name="f"),
        ]
    )
    turns = parse_prompt(prompt)
    assert turns is not None
    assert [(turn.role, turn.content) for turn in turns] == [
        ("user", "a"),
        ("assistant", "b"),
        ("tool", "c"),
        ("critic", "d"),
        ("function", "e"),
    ]
    assert turns[0].extra["name"] == "bob"
    assert turns[1].extra["tool_calls"][0]["args"] == {"lc": 1}  # the serialiser's escape is undone


def test_an_empty_conversation_is_one() -> None:
    assert parse_prompt("[]") == []


@pytest.mark.parametrize(
    "prompt",
    [
        "What is BGP?",
        "",
        '[{"a": 1}]',
        '[{"lc": 1}]',
        '[{"lc": 1, "type": "constructor", "id": ["x", "ChatAnthropic"], "kwargs": {}}]',
        '[{"lc": 1, "type": "constructor", "id": [], "kwargs": {}}]',
        '[{"lc": 1, "type": "constructor", "id": ["HumanMessage"], "kwargs": []}]',
        '[{"lc": 1, "type": "constructor", "id": ["ChatMessage"], "kwargs": {"role": 7}}]',
        '[{"lc": 1, "type": "constructor", "id": ["HumanMessage"], "kwargs": {}}, 7]',
        '[{"lc": 1} trailing',
        '[{"lc": ' + "[" * 100_000,
    ],
)
def test_anything_else_is_no_conversation(prompt: str) -> None:
    assert parse_prompt(prompt) is None


def test_model_provider_and_parameters_are_read() -> None:
    call = parse_llm_string(
        serialised('{"model": "acme-1", "x": "---"}', "[('stop', ['a']), ('tools', [{'n': (1,)}])]")
    )
    assert (call.provider, call.model, call.is_readable) == ("acme", "acme-1", True)
    assert call.params["tools"] == [{"n": [1]}]
    assert call.params["x"] == "---"
    plain = parse_llm_string(str(sorted({"_type": "acme-llm", "model_name": "m", "stop": None}.items())))
    assert (plain.provider, plain.model) == ("acme-llm", "m")


def test_a_real_completion_model_is_readable() -> None:
    class Recording(InMemoryCache):
        llm_string = ""

        def lookup(self, prompt: str, llm_string: str) -> Any:
            self.llm_string = llm_string

    cache = Recording()
    FakeListLLM(responses=["a"], cache=cache).invoke("p")
    assert parse_llm_string(cache.llm_string).is_readable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (serialised('{"stop": ["x"]}', "[('stop', None)]"), serialised("{}", "[('stop', None)]")),
        (serialised('{"t": 1}', "[('t', None)]"), serialised('{"t": 1}', "[]")),
        (serialised('{"t": 1}', "[]"), serialised('{"t": 2}', "[]")),
        ("[('name', 'model-a')]", "[('name', 'model-b')]"),
        ("[('a', b'1')]", "[('a', '1')]"),
        ("[('a', {1: 2})]", "[('a', {'1': 2})]"),
        ("[('a', {1, 2})]", "[('a', [1, 2])]"),
        ("[('a', <Foo.X: 1>)]", "[('a', <Foo.Y: 2>)]"),
        ("[('a', <Foo.X: 1>), ('b', '<x>')]", "[('a', <Foo.X: 1>), ('b', '<y>')]"),
        ("not readable", "not  readable"),
    ],
)
def test_different_calls_have_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[('a', {'x': 1, 'y': 2})]", "[('a', {'y': 2, 'x': 1})]"),
        ("[('a', {1, 2, 3})]", "[('a', {3, 2, 1})]"),
        (serialised('{"t": 1}', "[('t', 2)]"), serialised('{"t": 2}', "[]")),
        (serialised('{"name": "mine"}', "[]"), serialised("{}", "[('stop', None)]")),
    ],
)
def test_equal_calls_have_equal_keys(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_objects_in_the_arguments_do_not_make_them_unreadable() -> None:
    call = parse_llm_string("""[('a', <class 'x.Y'>), ('b', "it's <not> one"), ('c', <function f at 0x7f>)]""")
    assert call.is_readable
    assert call.params["b"] == "it's <not> one"


@pytest.mark.parametrize(
    "llm_string", ["", "{", '{"id": 1}---[]', '{"id": []}', "[1]", "[('a', 1), ('a', 2)]", "(" * 9999]
)
def test_an_unreadable_string_is_one_opaque_parameter(llm_string: str) -> None:
    call: Any = parse_llm_string(llm_string)
    assert not call.is_readable
    assert call.params == {"opaque": llm_string}


HIDDEN = '{"lc": 1, "type": "secret", "id": ["X"]}'


@pytest.mark.parametrize(
    ("llm_string", "hidden"),
    [
        (serialised("{}", "[]"), ()),
        (serialised('{"acme_api_key": ' + HIDDEN + "}", "[]"), ()),
        (serialised('{"servers": ' + HIDDEN + "}", "[]"), ("servers",)),
        (serialised('{"servers": ' + HIDDEN + "}", "[('a', Decimal(1))]"), ("servers",)),  # unreadable as well
        (serialised('{"servers": ' + HIDDEN + "}", "[('servers', [1])]"), ()),  # the call says what it is
        ("[('a', <Foo at 0x1F>)]", ("a",)),  # where an object was, another one comes to be
        ("[('a', [{'b': <function f at 0x7f>}])]", ("a.b",)),
        ("[('a', Foo(<Bar at 0x1>))]", ("an object",)),
        ("[('a', Foo(' at 0x1'))]", ()),
        ("[('a', <Foo.X: 1>)]", ()),
    ],
)
def test_parameters_whose_value_is_hidden_are_named(llm_string: str, hidden: tuple[str, ...]) -> None:
    assert parse_llm_string(llm_string).hidden == hidden


@pytest.mark.parametrize(
    ("llm_string", "is_stateful"),
    [
        ("[('conversation', 'conv_1')]", True),
        (serialised('{"use_previous_response_id": true}', "[]"), True),
        (serialised('{"use_previous_response_id": false}', "[('previous_response_id', None)]"), False),
        (serialised("{}", "[('previous_response_id', 'resp_1')]"), True),
        (serialised('{"model_kwargs": {"web_search_options": {"country": "DE"}}}', "[]"), True),
        (serialised("{}", "[('extra_body', {'container': 'c'})]"), True),
        (serialised("{}", "[('metadata', {'conversation': 'c'})]"), False),
    ],
)
def test_a_call_on_a_state_at_the_providers_is_known(llm_string: str, is_stateful: bool) -> None:
    assert parse_llm_string(llm_string).is_stateful is is_stateful
