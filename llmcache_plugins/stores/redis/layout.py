"""The names of keys. Pure.

All keys of a bucket begin with its base, which stands in braces: in a cluster they share a slot. Under the base are

    state        hash    counters (order, sequence, edits, entries, aliases, bytes, ...), the name of the database, how
                         it keeps the numbers of vectors, and its `format`: without one it is 1, as laid out here; a
                         version that changes the layout sets another, and the scripts of earlier ones refuse it
    shares       hash    entries and bytes of each tier
    d:ADDRESS    hash    one entry without its vector, or one alias
    i:ADDRESS    hash    the vector of an entry, and within which scope and group it is found
    v:SCOPE:GROUP:FIELD  vector set of a scope's vectors, where the server has such sets
    all          zset    address -> order: every entry
    expires      zset    address -> instant
    q:TIER       zset    order and address -> priority: who leaves first
    c:SCOPE:GROUP  zset  address -> order: entries of a scope by the embedder of their vector
    g:SCOPE      set     the groups of a scope
    n:SCOPE:KEY  zset    address -> order: entries by normalised key
    keys, tags   zset    key and address; tags: found by their beginning
    t:TAG        set     addresses
    aliases      zset    address -> order
    to:ADDRESS   set     addresses of the aliases of an entry
    log, counts, open    invalidations: what was noted, how many entries each was about, which are not carried out yet
    leases, lease-order, notes
    tallies      hash    what processes have counted
    changes      stream  what others may have a copy of, and what is new
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores.codec import VectorType

__all__ = ["EXACT_ONLY", "NO_VECTOR", "Address", "Layout", "digest_of", "encoded", "vector_field"]

EXACT_ONLY = b"-"
"""Group of the entries that may only be matched exactly."""
NO_VECTOR = b"0"
"""Group of the candidates whose vector has not been computed yet."""

_KINDS: dict[VectorType, str] = {"float32": "v", "float16": "h"}  # join_set in writing.lua goes by it
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


class Address(NamedTuple):
    """Scope and key of an entry or alias."""

    scope: str
    key: str


class Layout:
    """The keys of one bucket.

    Args:
        prefix: of every key of the cache.

    Raises:
        ConfigError: the prefix has other signs than letters, digits and `_ . : / -`, or more than 128 of them.

    >>> Layout("llmcache").key("state")
    b'{llmcache}:state'
    """

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not _NAME.fullmatch(prefix):
            raise ConfigError(
                f"the prefix of a cache's keys is made of letters, digits and _ . : / - (at most 128), not {prefix!r}"
            )
        self.base = b"{" + prefix.encode("ascii") + b"}"

    def key(self, name: str) -> bytes:
        return self.base + b":" + name.encode("ascii")

    def doc(self, address: bytes) -> bytes:
        return self.base + b":d:" + address

    def vector(self, address: bytes) -> bytes:
        return self.base + b":i:" + address

    def tagged(self, tag: str) -> bytes:
        return self.base + b":t:" + encoded(tag)

    @staticmethod
    def address(scope: str, key: str) -> bytes:
        """One text for both, of which no other pair has the same.

        >>> Layout.address("scope", "key")
        b'5:scopekey'
        """
        first = encoded(scope)
        return b"%d:%b%b" % (len(first), first, encoded(key))

    @staticmethod
    def parsed(address: bytes) -> Address | None:
        """What `address` was made of; None when it was not."""
        length, colon, rest = address.partition(b":")
        if not colon or not length.isdigit() or len(length) > 9 or int(length) > len(rest):
            return None
        try:
            scope, key = rest[: int(length)], rest[int(length) :]
            return Address(scope.decode("utf-8", "surrogatepass"), key.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            return None


def encoded(text: str) -> bytes:
    """In UTF-8, with the lone surrogates of broken clients."""
    return text.encode("utf-8", "surrogatepass")


def digest_of(text: str) -> bytes:
    """32 hexadecimal digits for a scope or an embedder: no sign of a query's language can be in them."""
    return blake2b(encoded(text), digest_size=16).hexdigest().encode("ascii")


def vector_field(dimension: int, kind: VectorType) -> str:
    """Under which name a vector of so many numbers is stored: an index is about one of them."""
    return f"{_KINDS[kind]}{dimension}"
