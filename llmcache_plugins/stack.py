"""From a URL and the settings of tiers to the stores behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.engine import Tier
from llmcache_plugins.engine.tiering import Tiering
from llmcache_plugins.errors import ConfigError, StoreError, StoreUnavailable
from llmcache_plugins.paths import as_path
from llmcache_plugins.policies.eviction import Lru
from llmcache_plugins.policies.placement import Placement, TierConfig, default_tiers
from llmcache_plugins.protocols import EvictionPolicy, HasAsyncTwin, Store, TracksChanges
from llmcache_plugins.stores import AsyncStoreAdapter, DiskStore, EncryptedStore, MemoryStore, NullStore
from llmcache_plugins.stores.setting_aside import identity_of, set_aside

__all__ = ["REDIS_SCHEMES", "Stack", "open_stack", "parse_url"]

REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "redis+unix", "redis+cluster", "rediss+cluster")

_log = logging.getLogger(__name__)
_ATTEMPTS = 3  # several processes may find the damage at the same time


@dataclass(frozen=True, slots=True)
class Stack:
    """What a cache is built on: the store of all entries, the stores of copies, and how the tiers use them."""

    bottom: Tier
    copies: tuple[Tier, ...] = ()
    tiering: Tiering | None = None

    def close(self) -> None:
        for tier in (*self.copies, self.bottom):
            tier.store.close()


def open_stack(
    url: str | None,
    default_url: str,
    tiers: Sequence[TierConfig] | None,
    config: CacheConfig,
    executor: Callable[[], Executor],
) -> Stack:
    """Open the stores of a cache.

    Args:
        url: as the user gave it; None for `default_url`, unless the last tier names its own store.
        tiers: hottest first; None for the default ones.
        executor: of the threads in which a blocking store is called from an event loop.

    Raises:
        ConfigError: a URL or a tier is not right; or both the URL and the last tier say where the entries are.
        StoreError: a store cannot be opened.
    """
    if tiers is None:
        kind, _ = parse_url(url or default_url)
        if kind == "null":
            return Stack(_named("null", NullStore(), executor))
        hot, *others = default_tiers(config.max_entries, config.max_bytes)
        # Over a file copies save reading and decoding a row, over a server a round trip; over memory they save nothing.
        tiers = (hot if kind == "memory" else replace(hot, store="memory://"), *others)
    placement = Placement(tiers)
    last = _as_bottom(placement.last, config)
    placement = Placement([*placement.tiers[:-1], last])
    if url is not None and last.store is not None:
        raise ConfigError(
            f"the cache's URL and the store of the last tier, {last.name!r}, both say where the entries are; leave one "
            f"of them out"
        )
    bottom = _bottom(last.store or url or default_url, placement, config, executor)
    copied = [tier for tier in placement.tiers[:-1] if tier.store is not None]
    opened: list[Tier] = []
    try:
        for tier in copied:
            opened.append(_copies(tier, config, executor))
        unchanged = bottom.store.unchanged if isinstance(bottom.store, TracksChanges) else None
        tiering = Tiering(placement, {tier.name: place for place, tier in enumerate(copied, start=1)}, unchanged)
    except BaseException:
        Stack(bottom, tuple(opened)).close()
        raise
    return Stack(bottom, tuple(opened), tiering)


def _as_bottom(tier: TierConfig, config: CacheConfig) -> TierConfig:
    """The last tier with the cache's limits where it has none of its own."""
    return replace(
        tier, max_entries=tier.max_entries or config.max_entries, max_bytes=tier.max_bytes or config.max_bytes
    )


def _bottom(store: Store | str, placement: Placement, config: CacheConfig, executor: Callable[[], Executor]) -> Tier:
    if not isinstance(store, str):
        return _named("store", _sealed(store, config), executor)
    last = placement.last
    assert last.max_entries is not None  # filled in by now
    assert last.max_bytes is not None
    opened = _open(store, last.max_entries, last.max_bytes, last.policy, placement.policies, last.name)
    return _named(parse_url(store)[0], _sealed(opened, config), executor)


def _copies(tier: TierConfig, config: CacheConfig, executor: Callable[[], Executor]) -> Tier:
    name = f"{tier.name} copies"
    if not isinstance(tier.store, str):
        assert tier.store is not None
        return _named(name, _sealed(tier.store, config, is_copy=True), executor)
    most = min(tier.max_entries or config.max_entries, config.max_entries)
    opened = _open(tier.store, most, min(tier.max_bytes or config.max_bytes, config.max_bytes))
    return _named(name, _sealed(opened, config, is_copy=True), executor)


def _sealed(store: Store, config: CacheConfig, *, is_copy: bool = False) -> Store:
    """The store, encrypted where there is a key; copies only where they outlive the process or leave it.

    Raises:
        ConfigError: a key is not one; the store is closed.
    """
    can = store.capabilities
    if config.encryption_key is None or (is_copy and not (can.is_persistent or can.is_shared)):
        return store
    try:
        return EncryptedStore(
            store,
            config.encryption_key,
            address_key=config.encryption_address_key,
            vectors=config.encryption_vectors,
        )
    except BaseException:
        store.close()
        raise


def _named(name: str, store: Store, executor: Callable[[], Executor]) -> Tier:
    twin = store.asynchronous() if isinstance(store, HasAsyncTwin) else AsyncStoreAdapter(store, executor)
    return Tier(name, store, twin)


def _open(
    url: str,
    max_entries: int,
    max_bytes: int,
    eviction: EvictionPolicy | None = None,
    by_tier: Mapping[str, EvictionPolicy] = MappingProxyType({}),
    last_tier: str = "",
) -> Store:
    kind, path = parse_url(url)
    eviction = Lru() if eviction is None else eviction
    if kind == "null":
        return NullStore()
    if kind == "redis":
        from llmcache_plugins.stores.redis import RedisStore, redis_settings

        server, settings = redis_settings(url)
        return RedisStore(
            server,
            max_entries=max_entries,
            max_bytes=max_bytes,
            eviction=eviction,
            eviction_by_tier=by_tier,
            last_tier=last_tier,
            **settings,
        )
    if kind == "disk":
        opened = partial(
            DiskStore,
            path,
            max_entries=max_entries,
            max_bytes=max_bytes,
            eviction=eviction,
            eviction_by_tier=by_tier,
            last_tier=last_tier,
        )
        return _sound(opened, path)
    return MemoryStore(
        max_entries=max_entries,
        max_bytes=max_bytes,
        eviction=eviction,
        eviction_by_tier=by_tier,
        last_tier=last_tier,
    )


def _sound(opened: Callable[[], Store], path: Path) -> Store:
    """The store of a file, or of an empty one in place of a damaged one: an application must start."""
    for _ in range(_ATTEMPTS):
        found = identity_of(path)
        try:
            return opened()
        except StoreUnavailable:
            raise
        except StoreError as error:
            aside = set_aside(path, found)
            if aside is None:
                raise
            if aside != path:
                kind = type(error).__name__
                _log.warning("%s is damaged (%s): it is now %s, and the cache begins empty", path, kind, aside)
    return opened()


def parse_url(url: str) -> tuple[str, Path]:
    """Kind (`"memory"`, `"disk"`, `"redis"`, `"null"`) and path of a cache URL; the path is that of a file.

    Raises:
        ConfigError: no such kind, or something is missing or too much. Shows the scheme alone: the rest of a URL may
            hold a password.
    """
    if not isinstance(url, str):
        raise ConfigError(f"a cache URL is a str such as disk:///path/of/file.db, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
    except ValueError:  # its text quotes the URL
        raise ConfigError("this cache URL cannot be read: brackets belong to an IPv6 address only") from None
    if parts.scheme in REDIS_SCHEMES:
        return "redis", Path()
    if parts.scheme not in ("memory", "disk", "null"):
        kind = f"{parts.scheme}://" if parts.scheme else "without a scheme"
        raise ConfigError(
            f"unknown kind of cache URL, {kind}; use memory://, disk:///path/of/file.db, redis://host:6379/0 or null://"
        )
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ConfigError("a cache URL has no ? and no # part; in a path write them as %3F and %23")
    if "@" in parts.netloc:  # a server's URL with the wrong scheme: as a file its password would stand in listings
        raise ConfigError(
            f"{parts.scheme}:// has no user and no host; a server is redis://host:6379/0. In a path write @ as %40"
        )
    path = unquote(parts.netloc + parts.path)
    if parts.scheme == "disk" and (not path or path.endswith("/")):
        raise ConfigError("a disk cache needs the path of a file: disk:///var/cache/answers.db")
    if parts.scheme != "disk" and path:
        raise ConfigError(f"{parts.scheme}:// takes nothing behind it; a file is disk:///path/of/file.db")
    return parts.scheme, as_path(path)
