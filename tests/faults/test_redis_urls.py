"""URLs that are not right, and what stands in them: refused when the cache is opened, and never shown."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import closing

import pytest

from llmcache_plugins import open_cache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores import AsyncRedisStore, RedisStore

SECRET = "geheim"

WRONG = {
    "port": f"redis://user:{SECRET}@localhost:port/0",
    "high port": f"redis://user:{SECRET}@localhost:99999/0",
    "database": f"redis://user:{SECRET}@localhost/zero",
    "prefix": f"redis://user:{SECRET}@localhost/0?prefix=%7Bx",
    "empty prefix": f"redis://user:{SECRET}@localhost/0?prefix=",
    "time-out": f"redis://user:{SECRET}@localhost/0?timeout=soon",
    "index": f"redis://user:{SECRET}@localhost/0?index=tree",
    "socket option": f"redis://user:{SECRET}@localhost/0?socket_timeout=soon",
    "unknown option": f"redis://user:{SECRET}@localhost/0?nonsense=1",
    "unknown option of a cluster": f"rediss+cluster://user:{SECRET}@localhost:6379?ssl_nonsense=1",
    "brackets": f"redis://user:{SECRET}@[localhost/0",
    "strange sign": f"redis://user:{SECRET}\N{ACCOUNT OF}@localhost/0",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_url_that_is_not_right_is_refused_when_the_cache_is_opened(name: str) -> None:
    with pytest.raises(ConfigError) as failure:
        open_cache(WRONG[name], embedder=None).close()
    shown = "".join(traceback.format_exception(failure.value))
    lines = [line for line in shown.splitlines() if SECRET in line]
    assert lines == []


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@127.0.0.1:1/0",
        f"redis://:{SECRET}@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?username=user&password={SECRET}",
        f"rediss://user:{SECRET}@127.0.0.1:1/0",
        f"valkey://user:{SECRET}@127.0.0.1:1/0",
        f"redis+unix://user:{SECRET}@/nowhere/redis.sock",
    ],
)
def test_what_stands_in_a_url_is_never_shown(url: str, nothing_told: Callable[..., None]) -> None:
    separator = "&" if "?" in url else "?"
    with open_cache(f"{url}{separator}timeout=0.2&prefix=x", embedder=None) as cache:
        assert cache.get_or_generate("question", lambda: "from the model") == "from the model"
        nothing_told([SECRET], cache, cache.stats())
    with closing(RedisStore(url, timeout=0.2)) as store:
        asynchronous = AsyncRedisStore(url, timeout=0.2)
        with pytest.raises(Exception, match="does not answer") as failure:
            store.stats()
        nothing_told([SECRET], store, asynchronous, store._shared.server, failure.value)
        shown = "".join(traceback.format_exception(failure.value))
        assert SECRET not in shown
