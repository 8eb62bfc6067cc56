"""What a chain does while it runs, heard through LangChain's callbacks: which documents it was given, what its models
cost, and whether one of them was cut short."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from llmcache_plugins.canonical.documents import Gathered, gathering
from llmcache_plugins.errors import CodecError
from llmcache_plugins.langchain.answers import answer_of
from llmcache_plugins.policies import refusal_of
from llmcache_plugins.types import Answer, Usage

__all__ = ["Heard", "aeach_part", "documents_in", "each_part"]


class Heard(BaseCallbackHandler):
    """One run. Its handlers are called inline, so that all is heard when the run has ended.

    Attributes:
        gathered: what cached parts of the run were made from.
    """

    run_inline = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[int, Document] = {}
        self._usages: list[Usage] = []
        self._reasons: list[str] = []
        self._said: list[bool] = []
        self.gathered = Gathered()

    @property
    def documents(self) -> list[Document]:
        with self._lock:
            return list(self._documents.values())

    @property
    def usage(self) -> Usage:
        with self._lock:
            ones = list(self._usages)
        return Usage(
            sum(one.input_tokens for one in ones),
            sum(one.output_tokens for one in ones),
            sum(one.cache_creation_input_tokens for one in ones),
            sum(one.cache_read_input_tokens for one in ones),
        )

    @property
    def finish_reason(self) -> str | None:
        """The first that speaks against storing: an answer that rests on a cut or refused one is no better than it."""
        with self._lock:
            reasons = list(self._reasons)
        bad = (reason for reason in reasons if _is_bad(reason))
        return next(bad, reasons[-1] if reasons else None)

    @property
    def is_silent(self) -> bool:
        """Did the model that was asked last say nothing?"""
        with self._lock:
            return bool(self._said) and not self._said[-1]

    def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        self._hear(documents)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        """Documents that no retriever brought: from a function that asks a vector store itself, or a reranker."""
        self._hear(documents_in(outputs))

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to hear; without this LangChain asks again in another way."""

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        answers = [_answer(generations) for generations in response.generations]
        with self._lock:
            self._usages += [answer.usage for answer in answers]
            self._reasons += [answer.finish_reason for answer in answers if answer.finish_reason]
            self._said += [answer.content is not None for answer in answers]

    def _hear(self, documents: Any) -> None:
        with self._lock:
            self._documents |= {id(document): document for document in documents if isinstance(document, Document)}


def each_part(pieces: Iterator[Any], heard: Heard) -> Iterator[Any]:
    """The pieces of a stream, each made as a part of this run."""
    while True:
        with gathering(heard.gathered):
            try:
                piece = next(pieces)
            except StopIteration:
                return
        yield piece


async def aeach_part(pieces: AsyncIterator[Any], heard: Heard) -> AsyncIterator[Any]:
    """`each_part` for event loops."""
    while True:
        with gathering(heard.gathered):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


def documents_in(output: Any) -> Iterator[Document]:
    """The documents of an output: itself, in a list, or under a key."""
    if isinstance(output, Document):
        yield output
    elif isinstance(output, list | tuple):
        yield from (one for one in output if isinstance(one, Document))
    elif isinstance(output, dict):
        for value in output.values():
            if isinstance(value, Document | list | tuple):
                yield from documents_in(value)


def _is_bad(reason: str) -> bool:
    return refusal_of(Answer("-", finish_reason=reason), size=0, max_bytes=1, store_truncated=False) is not None


def _answer(generations: Sequence[Any]) -> Answer:
    try:
        return answer_of(generations)
    except CodecError:  # not to be stored by itself; why it ended can be told all the same
        return answer_of([_bare(generation) for generation in generations])


def _bare(generation: Generation) -> Generation:
    message = getattr(generation, "message", None)
    metadata = dict(getattr(message, "response_metadata", {}))
    told = {**(generation.generation_info or {}), **metadata}
    return ChatGeneration(message=AIMessage("-", response_metadata=told))
