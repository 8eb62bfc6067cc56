"""A server that answers, but not with what was asked for: full, read-only, loading, or sure that we may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import StoreError, StoreUnavailable
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector

OpenOn = Callable[..., Any]
Flavour = Callable[[str], str]
Until = Callable[..., None]
ClientOf = Callable[..., Any]
ServerThatSays = Callable[[Callable[[list[bytes]], bytes]], str]


@pytest.fixture(params=["search", "plain", "valkey"])
def flavour(request: pytest.FixtureRequest, redis_flavour: Flavour) -> str:
    return redis_flavour(request.param)


@pytest.fixture
def server(flavour: str) -> Iterator[RedisServer]:
    with RedisServer(flavour, "--repl-diskless-sync-delay", "0") as server:
        yield server


def url_of(server: RedisServer, **more: object) -> str:
    return f"{server.url}?prefix=x&timeout=1" + "".join(f"&{name}={value}" for name, value in more.items())


def fails(lines: list[str]) -> list[str]:
    return [line for line in lines if " fails to " in line]


# ---------------------------------------------------------------- a replica


@pytest.fixture
def replica(flavour: str, server: RedisServer, client_of: ClientOf, until: Until) -> Iterator[RedisServer]:
    """Of `server`, in step with it."""
    with RedisServer(flavour, "--replicaof", f"127.0.0.1 {server.port}") as replica:
        until(lambda: client_of(replica).info("replication")["master_link_status"] == "up")
        yield replica


def in_step(server: RedisServer, replica: RedisServer, client_of: ClientOf, until: Until) -> None:
    place = client_of(server).info("replication")["master_repl_offset"]
    until(lambda: client_of(replica).info("replication")["slave_repl_offset"] >= place)


def test_a_replica_answers_and_takes_nothing(
    server: RedisServer,
    replica: RedisServer,
    open_on: OpenOn,
    open_by_calls: OpenOn,
    client_of: ClientOf,
    until: Until,
    logged: Callable[[], list[str]],
) -> None:
    primary = open_by_calls(url_of(server))
    primary.update("hi", "there")
    assert primary.told("hello") == "there"
    in_step(server, replica, client_of, until)
    asked = open_on(url_of(replica))
    assert asked.told("hello") == "there"
    assert asked.told("hi") == "there"
    before = asked.errors
    for number in range(4):
        assert asked.ask(f"question {number}", "from the model") == "from the model"
        assert asked.update(f"question {number}", "answer").reason == "store_error"
        assert asked.told("hi") == "there"  # refusals do not open the breaker
    assert asked.errors > before
    assert "does not answer" not in "".join(logged())


def test_a_primary_that_becomes_a_replica_and_is_one_no_more(
    redis_flavour: Flavour, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    """As in a failover: connections stay open, writes are refused for a while."""
    with RedisServer(redis_flavour("plain")) as server:
        asked = open_on(url_of(server))
        asked.update("hi", "there")
        client_of(server).replicaof("127.0.0.1", 1)  # nobody is there: it keeps what it has
        assert asked.told("hi") == "there"
        assert not asked.update("another", "answer").stored
        client_of(server).replicaof("NO", "ONE")
        assert asked.update("another", "answer").stored
        assert asked.told("another") == "answer"


def test_a_replica_takes_over_behind_the_same_address(
    server: RedisServer,
    replica: RedisServer,
    cable_to: Callable[[RedisServer], Any],
    open_on: OpenOn,
    client_of: ClientOf,
    until: Until,
) -> None:
    """As a service in front of a pair does it: the primary is dead, its name leads to the other one. What was stored
    before is there, and it takes what is new."""
    cable = cable_to(server)
    asked = open_on(f"{cable.url}?prefix=x&timeout=1", single_flight_timeout=0.3)
    for number in range(5):
        assert asked.update(f"question {number}", f"answer {number}").stored
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    asked.cache.invalidate(tags="nobody has this")
    in_step(server, replica, client_of, until)
    server.kill()
    cable.cut()
    for number in range(3):
        assert asked.ask(f"new {number}", "from the model") == "from the model"
    client_of(replica).replicaof("NO", "ONE")
    cable.target = replica.port
    until(lambda: [asked.told(f"question {number}") for number in range(5)] == [f"answer {n}" for n in range(5)])
    until(lambda: asked.told("hello") == "there")
    until(lambda: asked.ask("another", "answer") == "answer" and asked.told("another") == "answer")
    assert not asked.cache.invalidate(everything=True).has_failed
    assert asked.told("hi") is None


# ---------------------------------------------------------------- a full server


def fill(client: Any) -> None:
    """So that not a byte more may be written."""
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", client.info("memory")["used_memory"] - 500_000)


def test_reads_of_a_full_server_hit(server: RedisServer, open_on: OpenOn, client_of: ClientOf) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    fill(client_of(server))
    for _ in range(3):
        assert (asked.told("hi"), asked.told("hello")) == ("there", "there")
        assert asked.ask("another", "from the model") == "from the model"


def test_a_new_process_finds_the_same_on_a_full_server(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    first = open_on(url_of(server))
    first.update("hi", "there")
    assert first.told("hello") == "there"
    fill(client_of(server))
    asked = open_on(url_of(server))
    assert (asked.told("hi"), asked.told("hello")) == ("there", "there")


def test_a_full_server_refuses_writes_and_stays_within_its_memory(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    asked.told("hello")
    asked.cache.stats()
    asked.update("hi", "there")  # no read waits to be counted, and an index is there: nothing but the answer is written
    client = client_of(server)
    fill(client)
    before, errors = client.info("memory")["used_memory"], asked.errors
    for number in range(50):
        asked.update(f"question {number}", "x" * 100_000)
    assert client.info("memory")["used_memory"] < before + 2_000_000
    assert asked.errors > errors
    assert not asked.update("one more", "answer").stored


def test_what_was_refused_left_nothing_behind(server: RedisServer, open_on: OpenOn, client_of: ClientOf) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    client = client_of(server)
    fill(client)
    stored = sum(asked.update(f"question {number}", "x" * 10_000).stored for number in range(5))
    client.config_set("maxmemory", 0)
    assert asked.cache.stats().entries == 1 + stored
    assert asked.update("hi", "again").stored
    assert asked.told("hi") == "again"


# ---------------------------------------------------------------- who we are


def test_without_the_password_nothing_works_and_nothing_breaks(
    redis_flavour: Flavour, open_on: OpenOn, nothing_told: Callable[..., None]
) -> None:
    with RedisServer(redis_flavour("plain"), "--requirepass", "right-secret") as server:
        asked = open_on(url_of(server))
        assert asked.ask("a private question", "from the model") == "from the model"
        assert asked.lookup("a private question").reason == "store_error"
        assert asked.errors > 0
        nothing_told(["right-secret", "private question", "from the model"], asked.cache)


def test_a_wrong_password_is_told_nowhere(
    redis_flavour: Flavour, open_on: OpenOn, nothing_told: Callable[..., None]
) -> None:
    with RedisServer(redis_flavour("plain"), "--requirepass", "right-secret") as server:
        url = f"redis://somebody:wrong-secret@127.0.0.1:{server.port}/0?prefix=x&timeout=1"
        asked = open_on(url)
        assert asked.ask("a private question", "from the model") == "from the model"
        assert asked.errors > 0
        with closing(RedisStore(url.partition("?")[0], timeout=1.0)) as store:
            with pytest.raises(StoreUnavailable, match="refuses") as failure:
                store.put(make_entry("a private question"))
            nothing_told(
                ["wrong-secret", "right-secret", "somebody", "private question"],
                *(asked.cache, store, store.asynchronous(), store._shared.server, failure.value),
            )


def test_the_right_password_is_told_nowhere_either(
    redis_flavour: Flavour, open_on: OpenOn, nothing_told: Callable[..., None]
) -> None:
    with RedisServer(redis_flavour("plain"), "--requirepass", "right-secret") as server:
        asked = open_on(f"redis://:right-secret@127.0.0.1:{server.port}/0?prefix=x&timeout=0.2")
        assert asked.update("hi", "there").stored
        assert asked.told("hello") == "there"
        server.kill()
        asked.ask("another", "from the model")
        nothing_told(["right-secret"], asked.cache)


def test_a_password_that_is_changed_while_connections_are_open(
    redis_flavour: Flavour, open_on: OpenOn, client_of: ClientOf
) -> None:
    with RedisServer(redis_flavour("plain")) as server:
        asked = open_on(url_of(server))
        asked.update("hi", "there")
        client = client_of(server)
        client.config_set("requirepass", "right-secret")
        client.execute_command("AUTH", "right-secret")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert asked.ask("hi", "from the model") == "from the model"
        client.config_set("requirepass", "")
        assert asked.told("hi") == "there"


@pytest.mark.parametrize(
    ("rules", "works"),
    [
        ("~{x}* +@all -ft._list -ft.create -ft.search -ft.info", True),
        ("~{x}* +@all -@dangerous -@admin", True),
        ("~{x}* +@read +@connection -eval -evalsha -script", False),
        ("~other:* +@all", False),
    ],
    ids=["without the index", "without administration", "without scripts", "without our keys"],
)
def test_a_user_with_fewer_rights(
    rules: str, works: bool, redis_flavour: Flavour, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    with RedisServer(redis_flavour("search")) as server:
        client_of(server).execute_command("ACL", "SETUSER", "app", "on", ">secret", *rules.split())
        asked = open_on(f"redis://app:secret@127.0.0.1:{server.port}/0?prefix=x&timeout=1")
        assert asked.ask("hi", "there") == "there"
        if works:
            assert asked.told("hi") == "there"
            until(lambda: asked.told("hello") == "there")
            assert asked.errors == 0
        else:
            assert asked.told("hi") is None
            assert asked.errors > 0


# ---------------------------------------------------------------- whatever a server may say


ERRORS = {
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "OOM": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "NOPERM": b"-NOPERM this user has no permissions to run the command\r\n",
    "MISCONF": b"-MISCONF Redis is configured to save RDB snapshots, but it is unable to\r\n",
    "BUSY": b"-BUSY Redis is busy running a script.\r\n",
    "NOREPLICAS": b"-NOREPLICAS Not enough good replicas to write.\r\n",
    "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down\r\n",
    "CLUSTERDOWN": b"-CLUSTERDOWN The cluster is down\r\n",
    "TRYAGAIN": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "MOVED": b"-MOVED 3999 127.0.0.1:6381\r\n",
    "ASK": b"-ASK 3999 127.0.0.1:6381\r\n",
    "EXECABORT": b"-EXECABORT Transaction discarded.\r\n",
    "clients": b"-ERR max number of clients reached\r\n",
    "unknown": b"-ERR unknown command 'EVALSHA', with args beginning with: 'a private question'\r\n",
    "strange": b"-a private question is what I do not like\r\n",
    "no protocol": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\na private question",
}
NONSENSE = {
    "NOSCRIPT": b"-NOSCRIPT No matching script.\r\n",
    "status": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "number": b":7\r\n",
    "empty list": b"*0\r\n",
    "list": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
}
ON_CONNECT = (b"CLIENT", b"HELLO", b"SELECT", b"AUTH")


def saying(reply: bytes) -> Callable[[list[bytes]], bytes]:
    return lambda words: b"+OK\r\n" if words[0].upper() in ON_CONNECT else reply


@pytest.mark.parametrize("reply", ERRORS)
def test_whatever_it_says_the_application_gets_its_answer(
    reply: str, open_on: OpenOn, server_that_says: ServerThatSays, nothing_told: Callable[..., None]
) -> None:
    asked = open_on(server_that_says(saying(ERRORS[reply])) + "?prefix=x&timeout=0.5")
    for number in range(3):
        assert asked.ask(f"a private question {number}", "from the model") == "from the model"
        asked.update("a private question", "from the model")
        asked.lookup("a private question")
    assert asked.errors > 0
    assert asked.cache.stats().misses.get("internal_error", 0) == 0
    nothing_told(["private question", "from the model"], asked.cache)


@pytest.mark.parametrize("reply", NONSENSE)
def test_a_server_that_talks_nonsense_is_a_miss(
    reply: str,
    open_on: OpenOn,
    server_that_says: ServerThatSays,
    nothing_told: Callable[..., None],
    logged: Callable[[], list[str]],
) -> None:
    asked = open_on(server_that_says(saying(NONSENSE[reply])) + "?prefix=x&timeout=0.5")
    for number in range(3):
        assert asked.ask(f"a private question {number}", "from the model") == "from the model"
        assert asked.told("a private question") is None
    assert len(set(fails(logged()))) == len(fails(logged())) > 0
    nothing_told(["private question", "from the model"], asked.cache)


def test_statistics_of_a_server_that_talks_nonsense(open_by_calls: OpenOn, server_that_says: ServerThatSays) -> None:
    asked = open_by_calls(server_that_says(saying(NONSENSE["list"])) + "?prefix=x&timeout=0.5")
    assert asked.cache.stats().entries == 0


@pytest.mark.parametrize("reply", ERRORS | NONSENSE)
def test_whatever_it_says_the_store_raises_a_store_error(
    reply: str,
    server_that_says: ServerThatSays,
    nothing_told: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:
    with closing(RedisStore(server_that_says(saying((ERRORS | NONSENSE)[reply])), prefix="x", timeout=0.5)) as store:
        with pytest.raises(StoreError) as failure:
            store.put(make_entry("a private question", vector=make_vector()))
        nothing_told(["private question"], failure.value)


def test_a_server_that_loads_is_left_alone_until_it_is_done(
    open_on: OpenOn, server_that_says: ServerThatSays, until: Until, redis_flavour: Flavour
) -> None:
    """What it holds back is not asked for again and again, and it is well again by itself."""
    asked_for = 0

    def says(words: list[bytes]) -> bytes:
        nonlocal asked_for
        if words[0].upper() in ON_CONNECT:
            return b"+OK\r\n"
        asked_for += 1
        return ERRORS["LOADING"]

    asked = open_on(server_that_says(says) + "?prefix=x&timeout=0.5")
    for number in range(30):
        assert asked.ask(f"question {number}", "from the model") == "from the model"
    assert asked_for < 40  # three until the breaker opens, each tried twice, and then the follower's
    assert asked.cache.stats().misses == {"store_error": 30}
