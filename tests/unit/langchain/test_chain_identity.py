"""What makes two chains the same, and what does not."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel, PrivateAttr, SecretStr

from llmcache_plugins import ConfigError
from llmcache_plugins.canonical.made_of import MadeOf
from llmcache_plugins.langchain.chain_identity import identity_of


class Opaque:
    """Says nothing of itself."""


class Settings(BaseModel):
    k: int = 4
    api_key: str = "a"
    password: SecretStr = SecretStr("b")


def said(text: str) -> FakeListChatModel:
    return FakeListChatModel(responses=[text])


def chain(text: str = "{q}", says: str = "a", then: Callable[[str], Any] = str.upper) -> Any:
    return ChatPromptTemplate.from_template(text) | said(says) | StrOutputParser() | RunnableLambda(then)


def digest(thing: Any, name: str | None = None) -> str:
    return identity_of(thing, name).digest


def adding(suffix: Any) -> Callable[[str], str]:
    return lambda text: text + str(suffix)


def other(text: str) -> str:
    return text + "!"


def test_equal_chains_are_one() -> None:
    assert digest(chain()) == digest(chain())
    assert digest(chain(then=adding("x"))) == digest(chain(then=adding("x")))
    assert digest({"a": RunnablePassthrough()} | chain()) == digest({"a": RunnablePassthrough()} | chain())


@pytest.mark.parametrize(
    "changed",
    [
        chain("{q}?"),
        chain(says="b"),
        chain(then=other),
        chain(then=adding("x")),
        chain().bind(stop=["x"]),
        chain().with_config(configurable={"k": 1}),
        {"q": RunnablePassthrough()} | chain(),
        chain().with_fallbacks([chain(says="b")]),
    ],
)
def test_a_change_makes_another_chain(changed: Any) -> None:
    assert digest(changed) != digest(chain())


def test_what_a_function_refers_to_counts() -> None:
    assert digest(chain(then=adding("x"))) != digest(chain(then=adding("y")))
    assert digest(chain(then=adding({"a": 1}))) != digest(chain(then=adding({"a": 2})))


def test_settings_count_and_credentials_do_not() -> None:
    def with_settings(**settings: Any) -> str:
        return digest(chain(then=adding(Settings(**settings))))

    assert with_settings(api_key="x", password="y") == with_settings()
    assert with_settings(k=5) != with_settings()


def test_an_object_that_says_nothing_is_itself_and_no_other() -> None:
    one, two = Opaque(), Opaque()
    assert digest(chain(then=adding(one))) == digest(chain(then=adding(one)))
    assert digest(chain(then=adding(one))) != digest(chain(then=adding(two)))
    assert identity_of(chain(then=adding(one)), None).unnamed == ("Opaque",)


def test_an_address_that_is_used_again_is_no_old_object() -> None:
    seen = set()
    for _ in range(50):
        seen.add(digest(chain(then=adding(Opaque()))))
    assert len(seen) == 50


def test_a_model_that_says_nothing_is_itself_and_no_other() -> None:
    one, two = (GenericFakeChatModel(messages=iter(["a"])) for _ in range(2))
    assert digest(one) == digest(one)
    assert digest(one) != digest(two)


def test_a_name_stands_for_everything_but_models_and_prompts() -> None:
    one = digest(chain(then=adding(Opaque())), "support")
    assert one == digest(chain(then=adding(Opaque())), "support")
    assert one != digest(chain(then=adding(Opaque())), "sales")
    assert one != digest(chain("{q}?"), "support")
    assert one != digest(chain(says="b"), "support")
    assert identity_of(chain(then=adding(Opaque())), "support").unnamed == ()


def test_the_one_model_of_a_chain_is_named() -> None:
    from langchain_anthropic import ChatAnthropic

    def claude(model: str) -> Any:
        return ChatPromptTemplate.from_template("{q}") | ChatAnthropic(model=model, api_key="k") | StrOutputParser()

    assert identity_of(claude("claude-haiku-4-5"), None).model == "claude-haiku-4-5"
    assert identity_of(claude("claude-haiku-4-5").with_fallbacks([claude("claude-opus-4-1")]), None).model == ""
    assert identity_of(claude("claude-haiku-4-5"), None).unnamed == ()


def test_a_completion_model_is_known_by_its_parameters() -> None:
    def completion(text: str) -> Any:
        return PromptTemplate.from_template("{q}") | FakeListLLM(responses=[text])

    assert digest(completion("a")) == digest(completion("a")) != digest(completion("b"))


@pytest.mark.parametrize("name", [None, "support"])
def test_a_chain_that_keeps_a_conversation_is_refused(name: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # LangChain's own, of late
        keeps = RunnableWithMessageHistory(chain(), lambda session_id: InMemoryChatMessageHistory())
    with pytest.raises(ConfigError, match="inside"):
        identity_of(RunnableLambda(str) | keeps, name)


def test_a_graph_with_a_checkpointer_is_refused() -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph
    from typing_extensions import TypedDict

    class State(TypedDict):
        q: str

    builder = StateGraph(State)
    builder.add_node("a", lambda state: state)
    builder.add_edge(START, "a")
    with pytest.raises(ConfigError, match="checkpointer"):
        identity_of(builder.compile(checkpointer=InMemorySaver()), None)
    assert digest(builder.compile())


def test_every_process_finds_the_same() -> None:
    code = (
        "from langchain_core.prompts import ChatPromptTemplate as P\n"
        "from langchain_core.runnables import RunnablePassthrough as Q\n"
        "from langchain_core.language_models import FakeListChatModel as M\n"
        "from llmcache_plugins.langchain.chain_identity import identity_of\n"
        "def shout(message): return {'a', 'b', 'c', str(message)}\n"
        "found = identity_of({'q': Q()} | P.from_template('{q}') | M(responses=['a']) | shout, None)\n"
        "print(found.digest, found.unnamed)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "()" in said.pop()


def test_types_and_dataclasses_say_what_they_are() -> None:
    from dataclasses import dataclass

    @dataclass
    class Limits:
        k: int = 4

    assert digest(chain(then=adding(Limits()))) == digest(chain(then=adding(Limits())))
    assert digest(chain(then=adding(Limits()))) != digest(chain(then=adding(Limits(k=5))))
    for one, two in ((list[str], list[int]), (int | None, str | None), (Any, Callable[[str], Any])):
        assert identity_of(chain(then=adding(one)), None).unnamed == ()
        assert digest(chain(then=adding(one))) == digest(chain(then=adding(one))) != digest(chain(then=adding(two)))


def test_a_retrieval_chain_of_langchains_own_is_the_same_each_time_it_is_built() -> None:
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.prompts import MessagesPlaceholder
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))

    def built(k: int) -> Any:
        prompt = ChatPromptTemplate.from_messages([("system", "{context}"), MessagesPlaceholder("h"), ("human", "{q}")])
        retrieve = RunnableLambda(lambda given: given["q"]) | store.as_retriever(search_kwargs={"k": k})
        return RunnablePassthrough.assign(context=retrieve) | prompt | said("a") | StrOutputParser()

    assert digest(built(4)) == digest(built(4)) != digest(built(5))
    assert identity_of(built(4), None).unnamed == ("InMemoryVectorStore",)


def reading(code: str, **found: Any) -> Callable[[str], str]:
    """The function `f` of a module that holds `found`."""
    module = {"__name__": "application", **found}
    exec(code, module)
    made: Callable[[str], str] = module["f"]
    return made


def module_of(name: str, **found: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(found)
    return module


@pytest.mark.parametrize(
    "code",
    [
        "def f(text): return [FOUND + text for _ in text]",
        "def f(text):\n  inner = lambda: FOUND + text\n  return inner()",
        "def f(text): return sorted(text, key=lambda one: (lambda: FOUND)())",
    ],
)
def test_what_the_functions_in_a_function_refer_to_counts(code: str) -> None:
    one, other = (digest(chain(then=reading(code, FOUND=found))) for found in "ab")
    assert one == digest(chain(then=reading(code, FOUND="a"))) != other


def test_what_a_function_takes_from_a_module_counts() -> None:
    code = "def f(text): return texts.inner.SYSTEM + texts.add(text)"

    def with_texts(system: str, add: Callable[[str], str] = str.upper, **further: Any) -> str:
        inner = module_of("texts.inner", SYSTEM=system)
        texts = module_of("texts", inner=inner, add=add, **further)
        vars(inner)["texts"] = texts  # modules know each other
        return digest(chain(then=reading(code, texts=texts)))

    assert with_texts("a") == with_texts("a", unused="x")
    assert len({with_texts("a"), with_texts("b"), with_texts("a", other), with_texts("a", adding("!"))}) == 4


def test_of_a_library_constants_count_alone() -> None:
    code = "def f(text): return library.LEVEL + library.client(text)"

    def with_library(level: str, client: Any) -> MadeOf:
        library = module_of("json.library", LEVEL=level, client=client)
        return identity_of(chain(then=reading(code, library=library)), None)

    assert with_library("a", Opaque()) == with_library("a", Opaque()) != with_library("b", Opaque())
    assert with_library("a", Opaque()).unnamed == ()


def test_a_class_that_a_function_makes_is_itself_and_no_other() -> None:
    def helper(found: str) -> type:
        class Helper:
            def __str__(self) -> str:
                return found

        return Helper

    one, two = helper("a"), helper("b")
    assert digest(chain(then=adding(one))) == digest(chain(then=adding(one))) != digest(chain(then=adding(two)))


def test_a_part_that_keeps_something_in_private_is_itself_and_no_other() -> None:
    class Shelf(BaseRetriever):
        _kept: Any = PrivateAttr()

        def __init__(self, kept: Any) -> None:
            super().__init__()
            self._kept = kept

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return []

    one, two = Shelf(["a"]), Shelf(["b"])
    assert digest(one) == digest(one) != digest(two)
    assert digest(Shelf(1)) == digest(Shelf(2))
