"""The documents that an answer was made from: their names and versions, as tags that an invalidation goes by.

An answer of a retrieval chain carries the tag `document:<id>` for each name of each document that was retrieved for it,
and `document:<id>@<version>` where the version is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = [
    "DocumentReader",
    "DocumentVersion",
    "Gathered",
    "InvalidatedDocuments",
    "Invalidates",
    "ainvalidate_documents",
    "document_tag",
    "gather",
    "gathering",
    "invalidate_documents",
    "read_by",
    "read_document",
    "tags_of",
]

_PREFIX = "document:"
_IDS = ("id", "doc_id", "source")
_VERSIONS = ("version", "hash")
_MODES = ("now", "lazy")


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One name of a document, and which version of it this is; an empty version is unknown."""

    id: str
    version: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of an answer that was made from it."""
        name = document_tag(self.id)
        return (name, document_tag(self.id, self.version)) if self.version else (name,)


DocumentReader: TypeAlias = Callable[[Any], Any]
"""From a document to its id, to (id, version), to a `DocumentVersion`, to several of these, or to None."""
AnyDocuments: TypeAlias = str | DocumentVersion | Iterable[str | tuple[str, str] | DocumentVersion]


def document_tag(id: str, version: str = "") -> str:
    """
    >>> document_tag("handbook.md"), document_tag("handbook.md", "7")
    ('document:handbook.md', 'document:handbook.md@7')
    """
    return f"{_PREFIX}{id}@{version}" if version else f"{_PREFIX}{id}"


def read_document(id: str | None, metadata: Mapping[str, Any], *more_ids: str | None) -> tuple[DocumentVersion, ...]:
    """All the names that a document goes by: its own id, and `id`, `doc_id`, `source` of its metadata; each with the
    `version`, or else the `hash`, of the metadata.

    >>> read_document("c-1", {"source": "handbook.md", "version": 7})
    (DocumentVersion(id='c-1', version='7'), DocumentVersion(id='handbook.md', version='7'))
    """
    version = next((found for found in map(_text, map(metadata.get, _VERSIONS)) if found), "")
    names = [_text(name) for name in (id, *more_ids, *map(metadata.get, _IDS))]
    return tuple(DocumentVersion(name, version) for name in dict.fromkeys(names) if name)


def read_by(reader: DocumentReader, document: Any) -> tuple[DocumentVersion, ...]:
    """What a reader of the user's says of a document.

    Raises:
        ConfigError: it is none of what a reader may give.
    """
    said = reader(document)
    if said is None:
        return ()
    if isinstance(said, str | DocumentVersion) or _is_pair(said):
        return (_version_of(said),)
    if not isinstance(said, Iterable):
        raise ConfigError(f"documents= gives an id, (id, version) or several of them, not {type(said).__name__}")
    return tuple(map(_version_of, said))


def tags_of(
    documents: Iterable[tuple[DocumentVersion, ...]], gathered: Iterable[str] = ()
) -> tuple[tuple[str, ...], bool]:
    """The tags of an answer that was made from these documents (each with all its names), and whether invalidating
    any of them would find it: there are some, and none is without a name.

    Args:
        gathered: tags that its parts had already.
    """
    named = list(documents)
    tags = dict.fromkeys([*(tag for names in named for name in names for tag in name.tags), *gathered])
    return tuple(tags), bool(tags) and all(named)


class Gathered:
    """The document tags of one answer in the making, as far as cached parts inside of it know them: a part that is
    answered from the cache retrieves nothing that could be heard. What is added is added to what surrounds it, too.

    Safe for threads; made inside of the one that surrounds it.
    """

    __slots__ = ("_outer", "_tags")

    def __init__(self) -> None:
        self._tags: dict[str, None] = {}
        self._outer = _gathered.get()

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._tags)

    def add(self, tags: Iterable[str]) -> None:
        """Tags that are no document's are left out: they are what a question is about, not what an answer is of."""
        found = [tag for tag in tags if tag.startswith(_PREFIX)]
        gathered: Gathered | None = self
        while gathered is not None:
            gathered._tags.update(dict.fromkeys(found))
            gathered = gathered._outer


_gathered: ContextVar[Gathered | None] = ContextVar("llmcache_gathered", default=None)


@contextmanager
def gathering(gathered: Gathered) -> Iterator[None]:
    """What is made in this block is a part of that answer. Not for generators that hand out values from within."""
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)


def gather(tags: Iterable[str]) -> None:
    """An answer with these tags becomes a part of what is being made here, if anything is."""
    gathered = _gathered.get()
    if gathered is not None:
        gathered.add(tags)


class Invalidates(Protocol):
    """The part of a cache that is needed here."""

    def invalidate(self, *, tags: str, mode: str, reason: str) -> Any: ...
    async def ainvalidate(self, *, tags: str, mode: str, reason: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class InvalidatedDocuments:
    """What came of it.

    Args:
        count: answers that were removed, or marked stale.
        has_failed: the store failed: answers that are meant may still be served. Try again.
    """

    count: int = 0
    has_failed: bool = False


def invalidate_documents(
    cache: Invalidates,
    ids: AnyDocuments,
    *,
    mode: str = "now",
    reason: str = "documents changed",
) -> InvalidatedDocuments:
    """Documents were changed or deleted: remove the answers that were made from any of them, and no others.
    The same as `cache.invalidate(tags="document:<id>")` for each.

    Args:
        ids: of one document or of several; among several `(id, version)` means the answers made from that version
            alone.
        mode: `"now"` removes, `"lazy"` marks stale (see `cache.invalidate`).
        reason: for the log.

    Raises:
        ConfigError: an id is not a string, or is empty; another mode.
        StoreError: the store is broken, unless `fail_open`.
    """
    reports = [cache.invalidate(tags=tag, mode=mode, reason=reason) for tag in _tags_named(ids, mode)]
    return _summed(reports)


async def ainvalidate_documents(
    cache: Invalidates,
    ids: AnyDocuments,
    *,
    mode: str = "now",
    reason: str = "documents changed",
) -> InvalidatedDocuments:
    """`invalidate_documents` for event loops."""
    reports = [await cache.ainvalidate(tags=tag, mode=mode, reason=reason) for tag in _tags_named(ids, mode)]
    return _summed(reports)


def _tags_named(ids: AnyDocuments, mode: str) -> list[str]:
    if mode not in _MODES:
        raise ConfigError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
    is_one = isinstance(ids, str | DocumentVersion) or not isinstance(ids, Iterable)
    versions = [_version_of(one) for one in ([ids] if is_one else ids)]  # type: ignore[union-attr]
    return list(dict.fromkeys(document_tag(one.id, one.version) for one in versions))


def _summed(reports: list[Any]) -> InvalidatedDocuments:
    return InvalidatedDocuments(sum(one.count for one in reports), any(one.has_failed for one in reports))


def _version_of(said: Any) -> DocumentVersion:
    if isinstance(said, DocumentVersion):
        return said
    id, version = said if _is_pair(said) else (said, "")
    if not isinstance(id, str) or not id:
        raise ConfigError(f"the id of a document is a str that is not empty, not {type(id).__name__}")
    return DocumentVersion(id, _text(version))


def _is_pair(said: Any) -> bool:
    """(id, version), and not two documents: those come in a list."""
    return isinstance(said, tuple) and len(said) == 2


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
