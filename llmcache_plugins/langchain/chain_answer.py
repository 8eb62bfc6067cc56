"""What is stored of a run of a chain: its output, its cost, why its models stopped, and the documents it was made
from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document

from llmcache_plugins.canonical.documents import DocumentReader, DocumentVersion, read_by, read_document, tags_of
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.langchain.chain_heard import Heard, documents_in
from llmcache_plugins.langchain.chain_output import is_blank, stored_of, whole_of
from llmcache_plugins.types import Answer

__all__ = ["Answering"]

_COMPONENT = "langchain.chain_output"
_NOTHING = Answer(None)


class Answering:
    """
    Args:
        cache: hears of outputs that cannot be stored.
        reader: says id and version of a document; None for the default.
        output: the class of outputs that are neither JSON nor LangChain's.
        skips_untagged: answers that no invalidation of a document would surely find are not stored.

    Raises:
        ConfigError: `reader` is no function.
    """

    def __init__(
        self, cache: SemanticCache, reader: DocumentReader | None, output: Any, *, skips_untagged: bool
    ) -> None:
        if reader is not None and not callable(reader):
            raise ConfigError(f"documents must be a function of a document, not {type(reader).__name__}")
        self.output = output
        self._cache = cache
        self._reader = reader
        self._skips_untagged = skips_untagged

    def answer(self, given: Any, output: Any, heard: Heard) -> Answer:
        """Never raises, unless with `fail_open=False`: what cannot be stored is an answer without content."""
        try:
            found = {id(one): one for one in (*heard.documents, *documents_in(given), *documents_in(output))}
            versions = [self._versions(document) for document in found.values()]
            tags, is_tagged = tags_of(versions, heard.gathered.tags)
            heard.gathered.add(tags)
            content = stored_of(output, self.output)
            if is_blank(output) or heard.is_silent or (self._skips_untagged and not is_tagged):
                content = None
            return Answer(content, finish_reason=heard.finish_reason, usage=heard.usage, tags=tags)
        except CodecError as error:  # no failure: it is an output that is only for its caller
            self._cache.report_error(_COMPONENT, error)
            return _NOTHING
        except Exception as error:
            self._cache.report_error(_COMPONENT, error)
            if not self._cache.config.fail_open:
                raise
            return _NOTHING

    def answer_of_pieces(self, given: Any, pieces: Sequence[Any], heard: Heard) -> Answer:
        """`answer` of an output that came in pieces."""
        try:
            whole = whole_of(pieces)
        except CodecError as error:
            self._cache.report_error(_COMPONENT, error)
            return _NOTHING
        return self.answer(given, whole, heard)

    def _versions(self, document: Document) -> tuple[DocumentVersion, ...]:
        if self._reader is not None:
            return read_by(self._reader, document)
        return read_document(document.id, document.metadata)
