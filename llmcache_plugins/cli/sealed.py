"""Caches whose entries are sealed, looked at without the key that opens them: nothing in them would be found, and
nothing else would say why."""

from __future__ import annotations

from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import SEALED_BY, Store
from llmcache_plugins.stores import EncryptedStore

__all__ = ["check_key", "sealed_without_key"]


def sealed_without_key(opened: SemanticCache | Store) -> str | None:
    """What to say of an open cache, or of the store of its entries, that is sealed with a key that is not given here;
    None where nothing is sealed, or the key is the right one.

    Raises:
        StoreError: the store cannot be read.
    """
    store = opened._parts.tiers[0].store if isinstance(opened, SemanticCache) else opened
    if isinstance(store, EncryptedStore):
        if store.is_sealed_by_others():
            return (
                "what is stored is sealed with another key than the one that is given here: set "
                "LLMCACHE_ENCRYPTION_KEY to the key that the application uses"
            )
        return None
    if store.notes(SEALED_BY):
        return "what is stored is sealed, and there is no key here: set LLMCACHE_ENCRYPTION_KEY"
    return None


def check_key(opened: SemanticCache | Store) -> None:
    """
    Raises:
        ConfigError: it is sealed with a key that is not given here.
        StoreError: the store cannot be read.
    """
    said = sealed_without_key(opened)
    if said is not None:
        raise ConfigError(said)
