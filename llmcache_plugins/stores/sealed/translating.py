"""From what a cache stores to what an encrypted store hands on, and back. Pure.

Of an entry the store underneath sees: sealed names for scope, key, normalised key, namespace, tags, query type, model
and level, which it can only compare; the question and all the rest as two sealed texts; and in clear what it needs to
order and remove entries by itself: times, sizes, token counts, the embedder's id, and whether it is a candidate.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores.codec import decode_alias, decode_entry, encode_alias, encode_entry
from llmcache_plugins.stores.sealed.addresses import Addresses
from llmcache_plugins.stores.sealed.keys import GivenKey, GivenKeys, Keys
from llmcache_plugins.stores.sealed.masking import Mask
from llmcache_plugins.stores.sealed.sealing import Sealer
from llmcache_plugins.types import (
    Alias,
    Candidate,
    Census,
    Damaged,
    Entry,
    FloatArray,
    Namespace,
    Pending,
    Profile,
    Stored,
)

__all__ = ["VECTORS", "Translation", "VectorChoice"]

_log = logging.getLogger(__name__)
VectorChoice: TypeAlias = Literal["masked", "none"]
VECTORS: tuple[VectorChoice, ...] = ("masked", "none")

_SAID = {
    "unknown_key": "holds what was sealed with a key that is not among those given: that is not served",
    "unknown_version": "holds what a later version has sealed: that is not served",
    "bad_bytes": "holds what cannot be opened (changed, moved, or never sealed): that is not served",
}


class Translation:
    """Both directions, and a count of what could not be opened.

    Args:
        keys: as for `EncryptedStore`, and the next two.
        where: the store, as the log calls it.
        compress_above: bytes above which an entry is compressed before it is sealed; None for never.

    Raises:
        ConfigError: a key or `vectors` is not right.
        MissingExtraError: the package `cryptography` is absent.
    """

    def __init__(
        self,
        keys: GivenKeys,
        address_key: GivenKey | None,
        vectors: VectorChoice,
        where: str,
        compress_above: int | None,
    ) -> None:
        if vectors not in VECTORS:
            raise ConfigError(f"vectors of an encrypted store are {' or '.join(VECTORS)}, not {vectors!r}")
        read = Keys(keys, address_key)
        self.mark = read.mark
        self._compress_above = compress_above
        self.sealer = Sealer(read)
        self.has_vectors = vectors == "masked"
        self.damaged = 0
        self._addresses = Addresses(read)
        self._mask = Mask(read)
        self._where = where
        self._said: set[str] = set()

    # ---------------------------------------------------------------- names
    def scope(self, scope: str) -> str:
        return self._addresses.of("scope", scope)

    def key(self, key: str) -> str:
        return self._addresses.of("key", key)

    def normalised_key(self, scope: str, key: str) -> str:
        return self._addresses.of("normalised key", key, scope)

    def namespace(self, namespace: Namespace) -> Namespace:
        return tuple(self._addresses.of("namespace", part) for part in namespace)

    def named(self, kind: str, stored: str) -> str:
        """The name behind a stored one; of another key, as it is stored."""
        name = self._addresses.named(kind, stored)
        return stored if name is None else name

    def address(self, stored: tuple[str, str]) -> tuple[str, str]:
        scope, key = stored
        return self.named("scope", scope), self.named("key", key)

    def note(self, name: str) -> str:
        return self._addresses.of("note", name)

    def tally(self, name: str) -> str:
        return self._addresses.of("tally", name)

    def tally_text(self, name: str, text: str | None) -> str | None:
        """Sealed in the same way each time: a store compares it with what it has."""
        return None if text is None else self._addresses.of_text("tally text", text, name)

    def tallied(self, stored: str, sealed: str) -> tuple[str, str] | None:
        """Name and text; None when they are another key's."""
        name = self._addresses.named("tally", stored)
        text = None if name is None else self._addresses.text_of("tally text", sealed, name)
        return None if name is None or text is None else (name, text)

    def lease(self, lease: Lease | None) -> Lease | None:
        return None if lease is None else replace(lease, name=self.lease_name(lease.name))

    def lease_name(self, name: str) -> str:
        return self._addresses.of("lease", name)

    def _several(self, kind: str, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._addresses.of(kind, name) for name in names)

    def selector(self, selector: Selector) -> Selector:
        """What selects the same underneath, but for tag patterns: those have to be compared after opening."""
        return replace(
            selector,
            scope=None if selector.scope is None else self.scope(selector.scope),
            keys=self._several("key", selector.keys),
            tags=self._several("tag", selector.tags),
            tag_patterns=(),
            query_types=self._several("query type", selector.query_types),
            models=self._several("model", selector.models),
            namespace=self.namespace(selector.namespace),
            levels=self._several("level", selector.levels),
        )

    # ---------------------------------------------------------------- entries
    def entry(self, entry: Entry) -> Entry:
        """
        Raises:
            CodecError: it cannot be stored as JSON.
        """
        scope, key, profile = self.scope(entry.scope), self.key(entry.key), entry.profile
        has_vector = entry.vector is not None and self.has_vectors
        # Scope and key are known by where it is found. Compressed before it is sealed: afterwards nothing can be.
        rest = encode_entry(replace(entry, scope="", key="", text=""), compress_above=self._compress_above)
        sealed = self.sealer.seal(rest, "entry", scope, key)
        return replace(
            entry,
            scope=scope,
            key=key,
            normalised_key=self.normalised_key(entry.scope, entry.normalised_key),
            namespace=self.namespace(entry.namespace),
            text=self.sealer.seal(_encoded(entry.text), "question", scope, key),
            answer_json=json.dumps(sealed),
            embedder_id=entry.embedder_id if has_vector else None,
            vector=self.vector(entry.scope, entry.embedder_id, entry.vector) if has_vector else None,
            model=entry.model and self._addresses.of("model", entry.model),
            node_id="",
            profile=Profile(
                self._addresses.of("query type", profile.query_type), tags=self._several("tag", profile.tags)
            ),
            label=self._label(entry.label),
            tolerant={},
            finish_reason=None,
        )

    def _label(self, label: str) -> str:
        """One whose level is the sealed level, and nothing more."""
        parts = label.split(":", 2)
        return f"v1:{self._addresses.of('level', parts[1])}:" if len(parts) > 2 else ""

    def alias(self, alias: Alias) -> Alias:
        scope, key = self.scope(alias.scope), self.key(alias.key)
        text = self.sealer.seal(encode_alias(replace(alias, scope="", key="")), "alias", scope, key)
        return Alias(scope, key, self.key(alias.target_key), text, 0.0, 0.0, "", alias.created_at)

    def vector(self, scope: str, embedder_id: str | None, vector: FloatArray | None) -> FloatArray | None:
        return None if vector is None or embedder_id is None else self._mask(scope, embedder_id, vector)

    def unmasked(self, scope: str, embedder_id: str, vector: FloatArray) -> FloatArray:
        return self._mask.undone(scope, embedder_id, vector)

    # ---------------------------------------------------------------- back
    def opened(self, stored: Stored) -> Stored | Damaged:
        """The entry and its alias, both without a vector."""
        entry = self._open_entry(stored.entry)
        if isinstance(entry, Damaged):
            return entry
        if stored.alias is None:
            return replace(stored, entry=entry)
        alias = self._open_alias(stored.alias)
        if isinstance(alias, Damaged):
            return alias
        if alias.target_key != entry.key:  # somebody has made it point elsewhere
            return self.lost(Damaged("bad_bytes"))
        return replace(stored, entry=entry, alias=alias)

    def rows(self, stored: Sequence[Stored]) -> list[Stored]:
        """Those that can be opened."""
        return [row for row in map(self.opened, stored) if isinstance(row, Stored)]

    def candidates(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Those that can be opened."""
        opened = ((candidate, self._open_entry(candidate.entry)) for candidate in found)
        return [replace(candidate, entry=entry) for candidate, entry in opened if isinstance(entry, Entry)]

    def census(self, scope: str, census: Census) -> Census:
        if not self.has_vectors:
            return Census(0)
        sealed = self.scope(scope)
        pending = []
        for one in census.pending:
            text = self._read(one.text, "question", sealed, one.key)
            key = self._addresses.named("key", one.key)
            if isinstance(text, bytes) and key is not None:
                pending.append(Pending(key, _decoded(text), one.embedder_id))
        return Census(census.candidates, tuple(pending))

    def text(self, sealed: str, *place: str) -> str | None:
        """A text that was sealed for this place; None where it cannot be opened."""
        opened = self._read(sealed, *place)
        return None if isinstance(opened, Damaged) else _decoded(opened)

    def sealed_text(self, text: str, *place: str) -> str:
        return self.sealer.seal(_encoded(text), *place)

    def lost(self, damaged: Damaged) -> Damaged:
        """Count it, and say it once of each reason."""
        self.damaged += 1
        if damaged.reason not in self._said:
            self._said.add(damaged.reason)
            _log.warning("%s %s", self._where, _SAID.get(damaged.reason, "is damaged"))
        return damaged

    def warn_of_other_key(self) -> None:
        _log.warning(
            "%s was filled with another encryption key: nothing that it holds is found with this one", self._where
        )

    def _open_entry(self, stored: Entry) -> Entry | Damaged:
        place = stored.scope, stored.key
        text = self._read(stored.text, "question", *place)
        if isinstance(text, Damaged):
            return text
        content = self._read(_unquoted(stored.answer_json), "entry", *place)
        if isinstance(content, Damaged):
            return content
        entry = decode_entry(content, None, stored.embedder_id)
        if isinstance(entry, Damaged):
            return self.lost(entry)
        scope, key = self.address(place)
        return replace(entry, scope=scope, key=key, text=_decoded(text), stale_at=stored.stale_at)

    def _open_alias(self, stored: Alias) -> Alias | Damaged:
        content = self._read(stored.text, "alias", stored.scope, stored.key)
        if isinstance(content, Damaged):
            return content
        alias = decode_alias(content)
        if isinstance(alias, Damaged):
            return self.lost(alias)
        scope, key = self.address((stored.scope, stored.key))
        return replace(alias, scope=scope, key=key)

    def _read(self, sealed: str, *place: str) -> bytes | Damaged:
        opened = self.sealer.open(sealed, *place)
        return self.lost(opened) if isinstance(opened, Damaged) else opened


def _unquoted(answer_json: str) -> str:
    """The sealed text in an answer; empty when it is none."""
    return answer_json[1:-1] if answer_json[:1] == answer_json[-1:] == '"' else ""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")
