"""Writes what this version leaves behind into a folder that is named after it, once for each release:

    python tests/upgrade/make_release.py tests/upgrade/0.1.0

Needs the servers that the tests need. What is on a server is kept as the commands that make it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import redis
from release import KEY, START, files_of, fill, opened, packed

from llmcache_plugins.telemetry import EventLog
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.testing.redis_server import RedisServer

PREFIX = "upgrade"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    clock = FakeClock(START)
    events = EventLog(folder / "events.jsonl", now=clock.now)
    with (
        closing(events),
        closing(opened(f"disk://{folder}/cache.sqlite", clock, recorders=[events], **files_of(folder))) as cache,
    ):
        fill(cache, clock)
        cache.export_to(folder / "export.jsonl")
    clock = FakeClock(START)
    with closing(opened(f"disk://{folder}/sealed.sqlite", clock, encryption_key=KEY)) as cache:
        fill(cache, clock)
    for flavour in ("search", "vectorset", "plain"):
        with RedisServer(flavour) as server:
            lines = [json.dumps([packed(word) for word in command]) for command in commands_of(server)]
        (folder / f"redis_{flavour}.jsonl").write_text("\n".join(lines) + "\n")


def commands_of(server: RedisServer) -> Iterator[list[Any]]:
    """What makes anew what a cache leaves on a server."""
    made: list[list[Any]] = []
    execute = redis.Redis.execute_command

    def noting(self: Any, *args: Any, **options: Any) -> Any:
        if args[0] == "FT.CREATE":
            made.append(list(args))
        return execute(self, *args, **options)

    redis.Redis.execute_command = noting  # type: ignore[method-assign]
    try:
        clock = FakeClock(START)
        with closing(opened(f"{server.url}?prefix={PREFIX}", clock)) as cache:
            fill(cache, clock)
    finally:
        redis.Redis.execute_command = execute  # type: ignore[method-assign]
    yield from made
    with redis.Redis.from_url(server.url) as client:
        for key in sorted(client.scan_iter(match=f"*{PREFIX}*", count=1000)):
            yield from _made_anew(client, key)


def _made_anew(client: Any, key: bytes) -> Iterator[list[Any]]:
    kind = client.type(key)
    if kind == b"hash":
        yield ["HSET", key, *(part for pair in sorted(client.hgetall(key).items()) for part in pair)]
    elif kind == b"zset":
        pairs = client.zrange(key, 0, -1, withscores=True)
        yield ["ZADD", key, *(part for member, score in pairs for part in (repr(score), member))]
    elif kind == b"set":
        yield ["SADD", key, *sorted(client.smembers(key))]
    elif kind == b"stream":
        for name, fields in client.xrange(key):
            yield ["XADD", key, name, *(part for pair in fields.items() for part in pair)]
    elif kind == b"vectorset":
        for member in sorted(client.execute_command("VRANDMEMBER", key, 1000)):
            numbers = client.execute_command("VEMB", key, member)
            values = [str(float(number)) for number in numbers]
            attributes = client.execute_command("VGETATTR", key, member)
            yield ["VADD", key, "VALUES", len(values), *values, member, "SETATTR", attributes]
    else:
        raise SystemExit(f"a key of an unknown kind: {kind!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
