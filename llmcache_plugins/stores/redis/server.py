"""Where a server is, how long it is waited for, and what its failures mean.

Whatever goes wrong becomes a `StoreError` that names the server and the kind of trouble, and neither commands nor
values: those hold questions and answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from llmcache_plugins.errors import ConfigError, MissingExtraError, StoreError, StoreUnavailable
from llmcache_plugins.stores.redis.breaker import Breaker
from llmcache_plugins.stores.redis.commands import Batch, Command, NotDone, works_of
from llmcache_plugins.stores.redis.outages import NO_WORK, Outages

try:
    import redis
    import redis.asyncio
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        ConnectionError,
        NoScriptError,
        RedisClusterException,
        RedisError,
        ResponseError,
        TimeoutError,
    )
    from redis.retry import Retry

    from llmcache_plugins.stores.redis.troubles import reason_of, trouble_of
except ImportError as error:
    raise MissingExtraError("a cache on a Redis server", "redis") from error

__all__ = ["CLUSTERS", "FAILURES", "NoScriptError", "ResponseError", "Server", "bare", "hosts_of"]

FAILURES = (RedisError, RedisClusterException, OSError, AttributeError)
"""What a client raises when a server is away or refuses; the last one when it is sent to a node of a cluster that it
does not know yet."""

_FIXED = {"decode_responses", "encoding", "encoding_errors", "protocol"}  # how replies are read
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "redis+unix": "unix"}
CLUSTERS = {"redis+cluster": False, "rediss+cluster": True}
"""Schemes of the URLs of clusters: with TLS?"""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.32  # seconds


class Server:
    """Where the server is, and how long it is waited for.

    Args:
        url: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `redis+unix:///path.sock`; `valkey://` and
            `valkeys://` mean the same as the first two. What follows a `?` goes to redis-py (`ssl_ca_certs=...`).
        timeout: seconds that one round trip may take.
        connect_timeout: seconds that a connection may take.
        max_connections: at most so many at the same time; who finds none free waits, `timeout` at most.
        retries: how often a round trip is tried again after a lost connection, after a pause that doubles.
        jitter: a number in [0, 1) each time; a pause is that part of its longest.

    Raises:
        ConfigError: a value is out of range, or the URL is none of these.
    """

    is_cluster = False

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 1.0,
        connect_timeout: float = 1.0,
        max_connections: int = 32,
        retries: int = 1,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        for name, value in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 60:
                raise ConfigError(f"{name} must be seconds above 0, 60 at most, not {value!r}")
        if not isinstance(max_connections, int) or not 1 <= max_connections <= 10_000:
            raise ConfigError(f"max_connections must be an integer from 1 to 10000, not {max_connections!r}")
        if not isinstance(retries, int) or not 0 <= retries <= 5:
            raise ConfigError(f"retries must be an integer from 0 to 5, not {retries!r}")
        self._url = _as_redis_url(url)
        self.where = _where(url)
        self.timeout = timeout
        self.retries = retries
        self._jitter = jitter
        self._breakers: dict[bytes, Breaker] = {}
        self._all = Breaker(failures=1)  # of a cluster: no node answered, each was waited for
        self._outages = Outages(self.where)
        self._options: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": connect_timeout,
            "health_check_interval": 30,
            "protocol": 2,
            "decode_responses": False,
        }
        if urlsplit(self._url).scheme in ("rediss", "rediss+cluster"):
            self._options["ssl_check_hostname"] = True  # before 6.0 the client does not, unless it is told to
        self._most = max_connections
        self._check()

    def __repr__(self) -> str:
        return f"Server({self.where})"

    def _check(self) -> None:
        try:
            client = self.client()
            client.connection_pool.make_connection()  # not connected, but an option it does not know is refused
            client.close()
        except (ValueError, TypeError) as error:
            given = ", ".join(name for name, _ in parse_qsl(urlsplit(self._url).query, keep_blank_values=True))
            which = f" (one of {given} is no setting, or has a wrong value)" if given else ""
            raise ConfigError(
                f"this Redis URL cannot be used: {type(error).__name__}{which}; see docs/redis.md"
            ) from None

    def client(self, **options: Any) -> Any:
        pool = redis.BlockingConnectionPool.from_url(
            self._url,
            **{**self._options, **options},
            max_connections=self._most,
            timeout=self.timeout,
            retry=Retry(NoBackoff(), 0),
        )
        return redis.Redis.from_pool(pool)

    def async_client(self) -> Any:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self._url,
            **self._options,
            max_connections=self._most,
            timeout=self.timeout,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
        )
        return redis.asyncio.Redis.from_pool(pool)

    async def prepare(self, client: Any) -> None:
        """Before an `async_client` is used for the first time."""

    async def in_time(self, work: Any) -> Any:
        """Waits for a round trip, whose length the client itself limits."""
        return await work

    @property
    def places(self) -> int | None:
        """How many round trips there may be at a time; None where the client itself waits for a free connection."""
        return None

    # ---------------------------------------------------------------- outcomes

    def allow(self, part: bytes) -> Breaker:
        """
        Args:
            part: of the server, one that can fail alone.

        Raises:
            StoreUnavailable: the server failed just now; it is asked again in a while.
        """
        breaker = self._breaker(part)
        if not (self._all if self._all.is_open else breaker).allows():
            raise self._left_alone()
        return breaker

    def check_nodes(self) -> None:
        """For who has waited while another one learnt the nodes of a cluster.

        Raises:
            StoreUnavailable: that was in vain.
        """
        if self._all.is_open:
            raise self._left_alone()

    def _left_alone(self) -> StoreUnavailable:
        error = _told(NotDone(f"the server at {self.where} does not answer; it is asked again in a while"))
        error.is_left_alone = True
        return error

    def _breaker(self, part: bytes) -> Breaker:
        return self._breakers.get(part) or self._breakers.setdefault(part, Breaker())

    def after_fork(self) -> None:
        """In a forked child locks may be held by threads that do not live there."""
        self._breakers = {}
        self._all = Breaker(failures=1)
        self._outages.after_fork()

    def part_of(self, base: bytes) -> bytes:
        """Which part of the server the keys under this base are on."""
        return b""

    def route(self, client: Any, command: Command) -> dict[str, Any]:
        """What the client has to be told besides, so that the command comes to the right node."""
        return {}

    def answered(self, breaker: Breaker, part: bytes, batch: Batch) -> None:
        breaker.succeeded()
        self._all.succeeded()
        if self._outages:
            self._outages.succeeded(part, works_of(batch))

    def failed(self, breaker: Breaker, error: Exception, part: bytes, batch: Batch) -> StoreError:
        """What the caller is told, and the log. Counts for the breaker when the server is away."""
        trouble = trouble_of(error, where=self.where, is_cluster=self.is_cluster)
        if trouble.is_away:
            breaker.failed()
            if isinstance(error, RedisClusterException):
                self._all.failed()
        else:
            breaker.succeeded()
            if self._outages:
                self._outages.succeeded(part, NO_WORK, but=trouble.kind)
        if not trouble.kind:
            return StoreError(f"the server at {self.where} {trouble.says}")
        works = NO_WORK if trouble.is_general else works_of(batch)
        self._outages.failed(trouble.kind, part, works, trouble.says, trouble.end)
        kind = StoreUnavailable if trouble.is_away else NotDone
        return _told(kind(f"the server at {self.where} {trouble.says}"))

    def pause_before_retry(self, breaker: Breaker, error: Exception, tried: int, elapsed: float) -> float | None:
        """Seconds until the round trip is tried again; None when it is not worth it.

        Args:
            tried: how often it was tried again so far.
            elapsed: seconds since it was tried first. No try begins after `timeout`.
        """
        if tried >= self.retries or breaker.is_open:
            return None
        # Who waited in vain for an answer would wait as long again.
        if not isinstance(error, ConnectionError) or isinstance(error, TimeoutError | AuthenticationError):
            return None
        # At random from nothing on: what a restart cut off at the same time does not come back at the same time.
        pause = self._jitter() * min(_FIRST_PAUSE * 2.0**tried, _LONGEST_PAUSE)
        return pause if elapsed + pause < self.timeout else None


def _told(error: StoreUnavailable) -> StoreUnavailable:
    error.is_told = True
    return error


def bare(error: Exception) -> Exception:
    """The error's kind without its text, which may quote what was sent."""
    try:
        return type(error)(reason_of(error))
    except Exception:  # noqa: BLE001  # one that takes more than a text
        return ConnectionError(type(error).__name__)


def _as_redis_url(url: str) -> str:
    if not isinstance(url, str):
        raise ConfigError(f"a Redis URL is a str such as redis://localhost:6379/0, not {type(url).__name__}")
    parts = urlsplit(url)
    if parts.scheme in CLUSTERS:
        return url
    if parts.scheme not in _SCHEMES:
        kind = f"{parts.scheme}://" if parts.scheme else "without a scheme"
        raise ConfigError(f"unknown kind of Redis URL, {kind}; use redis://host:6379/0 or rediss:// for TLS")
    if parts.scheme != "redis+unix" and parts.path not in ("", "/") and not parts.path[1:].isdigit():
        raise ConfigError(
            "what stands behind the host in a Redis URL is the number of a database, as in redis://host/0"
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if fixed := sorted(_FIXED & given.keys()):
        raise ConfigError(f"{', '.join(fixed)} in a Redis URL is not for the user to set: take it out")
    return urlunsplit(parts._replace(scheme=_SCHEMES[parts.scheme], query=urlencode(given)))


def _where(url: str) -> str:
    """Host and port, or path: no user, no password."""
    parts = urlsplit(url)
    if parts.scheme == "redis+unix":
        return parts.path
    if parts.scheme in CLUSTERS:
        return ",".join(f"{host}:{port}" for host, port in hosts_of(parts.netloc.rpartition("@")[2]))
    try:
        return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    except ValueError:
        raise ConfigError("the port in a Redis URL must be a number") from None


def hosts_of(text: str) -> list[tuple[str, int]]:
    """The nodes of a cluster as they stand in its URL.

    Raises:
        ConfigError: a host or port is missing.
    """
    found = []
    for one in text.split(","):
        host, _, port = one.rpartition(":") if ":" in one.rpartition("]")[2] else (one, "", "6379")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError("a cluster is given as redis+cluster://host:port,host:port")
        found.append((host.strip("[]"), int(port)))
    return found
