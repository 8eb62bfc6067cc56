"""Encryption of what is stored, over any store: the extra `encryption`."""

from llmcache_plugins.stores.sealed.store import AsyncEncryptedStore, EncryptedStore

__all__ = ["AsyncEncryptedStore", "EncryptedStore"]
