"""What cached query engines and cached chat engines have in common: from a question to a request, from an output to
what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from llama_index.core.schema import BaseNode, NodeWithScore

from llmcache_plugins.canonical.documents import (
    DocumentReader,
    DocumentVersion,
    gather,
    read_by,
    read_document,
    tags_of,
)
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.llama_index.engine_heard import EngineHeard
from llmcache_plugins.llama_index.engine_identity import EngineIdentity
from llmcache_plugins.llama_index.engine_output import Output, output_of, stored_of
from llmcache_plugins.llama_index.events import announce
from llmcache_plugins.llama_index.plain import as_json
from llmcache_plugins.types import Answer, Bypass, Hit, Identity, JsonValue, Miss, Request

__all__ = ["Asked", "EngineCalls", "Partition"]

Asked: TypeAlias = tuple[Request, Identity]
Partition: TypeAlias = str | tuple[Any, ...] | Callable[[str], Any] | None

_COMPONENT = "llama_index.engine"
_OUTPUT_COMPONENT = "llama_index.engine_output"


class EngineCalls:
    """
    Args:
        operation: what kind of answers these are.
        partition, documents, name, output: as in `cached_query_engine`.
        skips_untagged: answers that no invalidation of a document would surely find are not stored.

    Raises:
        ConfigError: one of them is not what it should be.
    """

    def __init__(
        self,
        engine: Any,
        cache: SemanticCache,
        *,
        operation: str,
        partition: Partition,
        documents: DocumentReader | None,
        name: str | None,
        output: Any,
        skips_untagged: bool,
    ) -> None:
        if name is not None and not (isinstance(name, str) and name):
            raise ConfigError(f"name must be a str that is not empty, not {name!r}")
        if documents is not None and not callable(documents):
            raise ConfigError(f"documents must be a function of a node, not {type(documents).__name__}")
        if partition is not None and not callable(partition):
            try:
                as_json(partition)
            except Exception as error:
                raise ConfigError("partition must be a str, a tuple of plain values or a function") from error
        self.cache = cache
        self._engine = engine
        self._identity = EngineIdentity(engine, name)
        self._operation = operation
        self._partition = partition
        self._documents = documents
        self._output_class = output
        self._skips_untagged = skips_untagged

    def asked(self, text: str, context: Callable[[], JsonValue]) -> Asked | None:
        """The request; None where the call cannot be told from others, so that nothing may be answered or stored.

        Args:
            context: gives what has to be equal besides.
        """
        try:
            return self.request(text, context())
        except Exception as error:
            self.spare(error)
            return None

    def request(self, text: str, context: JsonValue) -> Asked:
        partition = self._partition(text) if callable(self._partition) else self._partition
        request = Request(
            text,
            provider="llama_index",
            model=self._identity.model,
            context={
                "operation": self._operation,
                "engine": self._identity.digest,
                "partition": as_json(partition),
                **context,
            },
            exact_only=None if text.strip() else "empty",
        )
        return request, self.cache.identify(request)

    def spare(self, error: Exception) -> None:
        """Count an error of ours, or of a function of the user's; raise it where the user wants to hear it."""
        self.cache.report_error(_COMPONENT, error)
        if not self.cache.config.fail_open:
            raise error

    def answer(self, output: Output, heard: EngineHeard) -> Answer:
        """Never raises, unless with `fail_open=False`: what cannot be stored is an answer without content."""
        try:
            nodes = {id(found.node): found.node for found in (*output.nodes, *heard.nodes)}
            versions = [self._versions(node) for node in nodes.values()]
            tags, is_tagged = tags_of(versions, heard.gathered.tags)
            heard.gathered.add(tags)
            content = stored_of(output, self._class)
            if output.is_blank or (self._skips_untagged and not is_tagged):
                content = None
            return Answer(content, finish_reason=heard.finish_reason, usage=heard.usage, tags=tags)
        except CodecError as error:  # no failure: it is an answer that is only for its caller
            self.cache.report_error(_OUTPUT_COMPONENT, error)
        except Exception as error:
            self.cache.report_error(_OUTPUT_COMPONENT, error)
            if not self.cache.config.fail_open:
                raise
        return Answer(None)

    def read(self, hit: Hit) -> Output | None:
        """None when it cannot be read."""
        gather(hit.entry.profile.tags)
        try:
            return output_of(hit, self._class)
        except CodecError as error:
            self.cache.report_error(_COMPONENT, error)
            return None

    def tell(self, outcome: Hit | Miss | Bypass) -> None:
        """Those who watch LlamaIndex hear of it."""
        try:
            announce(cast("Any", self._engine), self._operation.rpartition(".")[2], outcome)
        except Exception as error:  # an engine without a callback manager, for example
            self.cache.report_error(_COMPONENT, error)

    @property
    def _class(self) -> Any:
        """Of responses that are objects; the engine's own synthesizer may know it."""
        synthesizer = getattr(self._engine, "_response_synthesizer", None)
        structured = getattr(getattr(synthesizer, "_llm", None), "output_cls", None)
        return self._output_class or getattr(synthesizer, "_output_cls", None) or structured

    def _versions(self, node: BaseNode) -> tuple[DocumentVersion, ...]:
        if self._documents is not None:
            return read_by(self._documents, node)
        return versions_of(node)


def versions_of(node: BaseNode | NodeWithScore) -> tuple[DocumentVersion, ...]:
    """The node itself, the document that it is a part of, and what its metadata calls it."""
    node = node.node if isinstance(node, NodeWithScore) else node
    metadata = {"hash": node.hash, **node.metadata}
    names = read_document(node.node_id, metadata)
    source = node.source_node
    if source is None:
        return names
    known = str(node.metadata.get("version") or source.hash or "")
    return (*names, DocumentVersion(source.node_id, known))
