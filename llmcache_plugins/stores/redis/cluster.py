"""A Redis Cluster: the client finds out which node has which keys, and this keeps it from waiting for all of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores.redis.commands import Command, OnAll
from llmcache_plugins.stores.redis.server import CLUSTERS, Server, hosts_of  # first: it says when redis is not there
from llmcache_plugins.stores.redis.troubles import SomebodyAsks

# isort: split
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

__all__ = ["ClusterServer", "server_of"]

T = TypeVar("T")
_TRIES = 3  # of a round trip: the node, the nodes' map, the node that has taken over
_TLS = inspect.signature(redis.connection.SSLConnection.__init__).parameters  # the client of a cluster checks no names
_YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ClusterServer(Server):
    """A Redis Cluster.

    Args:
        url: `redis+cluster://[user:password@]host:port[,host:port...]`, `rediss+cluster://` for TLS; any of its nodes,
            the others are found. Else as of `Server`.
    """

    is_cluster = True

    def _check(self) -> None:
        parts = urlsplit(self._url)
        self._nodes = hosts_of(parts.netloc.rpartition("@")[2])
        self._options["username"] = unquote(parts.username) if parts.username else None
        self._options["password"] = unquote(parts.password) if parts.password else None
        self._options["ssl"] = CLUSTERS[parts.scheme]
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if not name.startswith("ssl_") or name not in _TLS:
                raise ConfigError(f"the URL of a cluster takes no {name!r}; see docs/redis.md")
            self._options[name] = _YES_OR_NO.get(value.lower(), value) if name == "ssl_check_hostname" else value

    def client(self, **options: Any) -> Any:
        node: Any = redis.cluster.ClusterNode
        nodes = [node(host, port) for host, port in self._nodes]
        given = {name: value for name, value in self._options.items() if name != "ssl" or value}
        given["max_connections"] = self._most
        client: Any = redis.RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **{**given, **options})
        # It asks all nodes in turn while it holds a lock, and waits for each that is silent: who comes meanwhile would
        # wait for every one before him. There is no other way in.
        client.nodes_manager.initialize = one_at_a_time(client.nodes_manager.initialize)
        return client

    def async_client(self) -> Any:
        nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in self._nodes]
        return redis.asyncio.RedisCluster(
            startup_nodes=nodes,
            max_connections=self._most,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 1),
            **self._options,
        )

    async def prepare(self, client: Any) -> None:
        await self.in_time(client.initialize())

    async def in_time(self, work: Any) -> Any:
        """
        Raises:
            RedisClusterException: it took too long, as it does when several nodes are silent.
        """
        try:
            async with asyncio.timeout(_TRIES * self.timeout):
                return await work
        except TimeoutError:
            raise RedisClusterException("no node answers in time") from None

    @property
    def places(self) -> int:
        return self._most  # more at a node would be an error and not a wait

    def part_of(self, base: bytes) -> bytes:
        return base  # a bucket is on one node: that another one is down does not concern it

    def route(self, client: Any, command: Command) -> dict[str, Any]:
        name = command[0]
        if isinstance(command, OnAll):
            return {"target_nodes": client.ALL_NODES}
        if not isinstance(name, str):
            return {}
        if name == "INFO" or name == "FT._LIST":
            return {"target_nodes": client.get_default_node()}
        if name.startswith("FT."):  # the client does not know that an index has a name with a slot
            return {"target_nodes": client.get_node_from_key(command[1])}
        return {}


def one_at_a_time(ask: Callable[..., T]) -> Callable[..., T]:
    """
    Raises:
        SomebodyAsks: another thread is at it.
    """
    lock = Lock()

    def asked(*args: Any, **kwargs: Any) -> T:
        if not lock.acquire(blocking=False):
            raise SomebodyAsks("another thread asks the nodes")
        try:
            return ask(*args, **kwargs)
        except RuntimeError:  # before 6.0 a node that another thread has given up is taken off the list that this reads
            raise SomebodyAsks("the list of nodes has changed") from None
        finally:
            lock.release()

    return asked


def server_of(url: str, *, timeout: float, max_connections: int) -> Server:
    """What stands at this URL.

    Raises:
        ConfigError: it is no URL of a server, or a value is out of range.
    """
    kind = ClusterServer if isinstance(url, str) and urlsplit(url).scheme in CLUSTERS else Server
    return kind(url, timeout=timeout, max_connections=max_connections)
