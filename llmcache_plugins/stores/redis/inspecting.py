"""What a server is and can do, and what should be changed there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llmcache_plugins.counters import ServerLoad
from llmcache_plugins.stores.redis.commands import Flow, OnAll, Reply
from llmcache_plugins.stores.redis.core import Core
from llmcache_plugins.stores.redis.finding import is_understood
from llmcache_plugins.stores.redis.memory_limit import MemoryLimit

__all__ = ["Inspection", "ServerFacts"]

_FULL = (0.90, 0.85)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found on a server.

    Args:
        where: host and port, or path.
        software: name and version, `Redis 8.2.3`.
        has_search: the search module is there and may be used.
        has_sets: vector sets are there and may be used.
        used_bytes: memory in use.
        max_bytes: the server's own limit; 0 for none.
        policy: what it does when that is reached (`maxmemory-policy`); empty when it does not say.
        is_replica: it takes no writes.
        is_durable: entries survive a restart (append-only file or snapshots); None when it does not say.
        evicted: keys that it has taken away by itself since it was started.
        clock: its wall clock, seconds since the epoch; None when it does not say.
    """

    where: str
    software: str
    has_search: bool
    has_sets: bool
    used_bytes: int
    max_bytes: int
    policy: str
    is_replica: bool
    is_durable: bool | None
    evicted: int = 0
    clock: float | None = None

    def __str__(self) -> str:
        found = "candidates found in each process"
        if self.has_search or self.has_sets:
            found = f"candidates found by the server ({'search module' if self.has_search else 'vector sets'})"
        limit = f" of {self.max_bytes / 2**20:.0f}" if self.max_bytes else ""
        full = "writes are refused" if self.policy in ("noeviction", "") else "it takes keys by itself"
        return (
            f"{self.software} at {self.where}: {found}, {self.used_bytes / 2**20:.0f}{limit} MiB in use; "
            f"when it is full, {full} (maxmemory-policy {self.policy or 'unknown'}); {self.evicted} keys taken so far"
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """What should be changed, a sentence each; empty when all is well."""
        said = []
        if self.is_replica:
            said.append("this is a replica, which takes no writes: give the address of the primary")
        if self.max_bytes and self.policy not in ("noeviction", ""):
            said.append(
                f"maxmemory-policy {self.policy} may take keys that lead to entries: set noeviction, and keep the "
                f"cache's own limits (max_entries, max_bytes) below maxmemory"
            )
        if self.evicted:
            said.append(
                f"the server took {self.evicted} keys by itself since it was started: maxmemory is too small for what "
                f"is on it, or the cache's max_bytes is too large"
            )
        if self.max_bytes:
            full = self.used_bytes / self.max_bytes
            level = next((level for level in _FULL if full >= level), None)
            if level is not None:
                said.append(f"{full:.0%} of maxmemory is in use: raise maxmemory or lower the cache's max_bytes")
        return tuple(said)


class Inspection(Core):
    """The verb that asks the server about itself."""

    def inspect(self, where: str) -> Flow[ServerFacts]:
        """Raises `StoreError` when the server does not answer or refuses."""
        facts: dict[str, Reply] = {}
        for section in ("server", "memory", "replication", "persistence", "stats"):
            (reply,) = yield [("INFO", section)]
            facts.update(_facts(reply))
        has_search = yield from is_understood(("FT._LIST",))
        has_sets = yield from is_understood(("VCARD", self.layout.key("none")))
        name = "Valkey" if "valkey_version" in facts else "Redis"
        version = facts.get("valkey_version") or facts.get("redis_version") or "?"
        return ServerFacts(
            where=where,
            software=f"{name} {version}",
            has_search=has_search,
            has_sets=has_sets,
            used_bytes=int(facts.get("used_memory", 0)),
            max_bytes=int(facts.get("maxmemory", 0)),
            policy=str(facts.get("maxmemory_policy", "")),
            is_replica=facts.get("role") == "slave",
            is_durable=bool(int(facts["aof_enabled"])) if "aof_enabled" in facts else None,
            evicted=int(facts.get("evicted_keys", 0)),
            clock=int(facts["server_time_usec"]) / 1e6 if "server_time_usec" in facts else None,
        )

    def load(self) -> Flow[ServerLoad]:
        """How full it is; of a cluster, the primary that is fullest, and the evictions of all."""
        loads: list[ServerLoad] = []
        primaries = {node for node, facts in (yield from self._of_each("replication")).items() if _is_primary(facts)}
        memory, stats = (yield from self._of_each("memory")), (yield from self._of_each("stats"))
        for node in primaries & memory.keys() & stats.keys():
            used, limit = memory[node].get("used_memory", 0), memory[node].get("maxmemory", 0)
            loads.append(ServerLoad(int(used), int(limit), int(stats[node].get("evicted_keys", 0))))
        fullest = max(loads, key=lambda load: (load.utilisation, load.used_bytes), default=ServerLoad(0, 0, 0))
        return replace(fullest, evicted=sum(load.evicted for load in loads))

    def limit_memory(self, limit: MemoryLimit) -> Flow[None]:
        """Set the server's own limit; of a cluster, on each node its share. Raises `StoreError` when it refuses."""
        if limit.policy is not None:
            yield [OnAll(("CONFIG", "SET", "maxmemory-policy", limit.policy))]
        if limit.max_bytes is not None:
            nodes = yield from self._of_each("replication")
            primaries = sum(map(_is_primary, nodes.values()))
            # A replica takes a primary's place one day, and then needs the limit, too.
            yield [OnAll(("CONFIG", "SET", "maxmemory", -(-limit.max_bytes // max(1, primaries))))]

    @staticmethod
    def _of_each(section: str) -> Flow[dict[str, dict[str, Reply]]]:
        """What each node says; of one server, its own words under no name."""
        (reply,) = yield [OnAll(("INFO", section))]
        if isinstance(reply, dict) and reply and all(isinstance(one, dict | bytes) for one in reply.values()):
            return {str(node): _facts(one) for node, one in reply.items()}
        return {"": _facts(reply)}


def _is_primary(facts: dict[str, Reply]) -> bool:
    return facts.get("role") != "slave"


def _facts(reply: Reply) -> dict[str, Reply]:
    return reply if isinstance(reply, dict) else _parsed(reply)


def _parsed(reply: Reply) -> dict[str, Reply]:
    lines = (reply.decode() if isinstance(reply, bytes) else str(reply)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
