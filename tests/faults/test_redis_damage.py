"""What stands under the keys of a cache was damaged by another hand: a miss that is counted, never a wrong answer, and
never in the way of what is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.errors import StoreError
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Damaged, Profile, Stored

OpenOn = Callable[..., Any]
Until = Callable[..., None]
ClientOf = Callable[..., Any]

EMBEDDER = "fake/8/unit"
DOC = b"{x}:d:5:scopekey of 0"
VECTOR = b"{x}:i:5:scopekey of 0"


@pytest.fixture(params=["search", "plain"])
def server(request: pytest.FixtureRequest, redis_flavour: Callable[[str], str]) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour(request.param)) as server:
        yield server


@pytest.fixture
def plain(redis_flavour: Callable[[str], str]) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour("plain")) as server:
        yield server


def url_of(server: RedisServer) -> str:
    return f"{server.url}?prefix=x&timeout=1"


def filled(server: RedisServer, **settings: Any) -> RedisStore:
    store = RedisStore(server.url, prefix="x", **settings)
    for number in range(3):
        tags = Profile("general", "", (f"tag {number}",))
        store.put(make_entry(f"{number}", vector=make_vector(0.1 * number), expires_at=100.0, profile=tags))
    return store


def searched(store: RedisStore) -> list[str]:
    return [one.entry.text for one in store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)]


def kept(store: RedisStore) -> list[int]:
    """Which of the first nine are there; what cannot be read is not."""
    found = []
    for number in range(9):
        with suppress(StoreError):
            if isinstance(store.get("scope", f"key of {number}"), Stored):
                found.append(number)
    return found


# ---------------------------------------------------------------- one document, every field of it

GARBAGE = [b"", b"\xff\xfe\x00", b"abc", b"-1", b"1e999", b"9" * 40, b"nan", b"x" * 5000]
FIELDS = [
    "body",
    "embedder",
    "vfield",
    "v8",
    "within",
    "order",
    "expires",
    "reads",
    "last",
    "tier",
    "stale",
    "priority",
]
HARMLESS = {"vfield", "within", "order", "priority", "expires", "tier", "v8"}  # an exact hit has no use for them


def ruined(field: str, number: int, client: Any) -> str:
    value = GARBAGE[number]
    for key in [key for key in (DOC, VECTOR) if client.hexists(key, field)] or [DOC]:
        client.hset(key, field, value)
    return f"{field}={value[:8]!r}"


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_with_garbage_is_a_miss_that_is_counted_or_does_no_harm(
    field: str, server: RedisServer, client_of: ClientOf, nothing_told: Callable[..., None]
) -> None:
    client = client_of(server)
    for number in range(len(GARBAGE)):
        with closing(filled(server)) as store:
            assert searched(store) == ["0", "1", "2"]
            what = ruined(field, number, client)
            before = store.stats().damaged
            found = store.get("scope", "key of 0")
            assert found is not None, what
            if isinstance(found, Stored):
                assert (found.entry.text, found.entry.answer_json) == ("0", '{"text": "answer"}'), what
                assert field in HARMLESS | {"reads", "last", "stale", "embedder"}, what
            else:
                assert isinstance(found, Damaged), what
                assert store.stats().damaged > before, what
            assert kept(store)[-2:] == [1, 2], what
            store.put(make_entry("0", vector=make_vector(), expires_at=100.0))
            assert kept(store) == [0, 1, 2], what
            store.clear()
    nothing_told(["key of 0"])


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_with_garbage_does_not_hide_its_neighbours(
    field: str, server: RedisServer, client_of: ClientOf, until: Until
) -> None:
    client = client_of(server)
    for number in range(len(GARBAGE)):
        with closing(filled(server)) as store:
            until(lambda store=store: searched(store) == ["0", "1", "2"])
            what = ruined(field, number, client)
        with closing(RedisStore(server.url, prefix="x")) as store:
            assert searched(store) in (["0", "1", "2"], ["1", "2"], ["1", "2", "0"]), what
            for one in store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0):
                assert one.similarity <= 1.0, what
                assert one.entry.key == f"key of {one.entry.text}", what
            store.clear()


@pytest.mark.parametrize("field", [*FIELDS, "scope", "group", "normal", "key", "tags", "size", "weight"])
def test_a_field_that_is_gone_is_a_miss_or_does_no_harm(field: str, server: RedisServer, client_of: ClientOf) -> None:
    with closing(filled(server)) as store:
        searched(store)
        client_of(server).hdel(DOC, field)
        client_of(server).hdel(VECTOR, field)
        found = store.get("scope", "key of 0")
        assert not isinstance(found, Stored) or found.entry.text == "0"
        assert isinstance(found, Stored) or field == "body"
        assert [text for text in searched(store) if text != "0"] == ["1", "2"]
        assert store.put(make_entry("0", answer_json='"new"', vector=make_vector(), expires_at=100.0))
        found = store.get("scope", "key of 0")
        assert isinstance(found, Stored)
        assert found.entry.answer_json == '"new"'
        assert store.delete("scope", ["key of 0"]) == 1
        assert kept(store) == [1, 2]


def test_the_body_of_another_entry_is_not_served(server: RedisServer, client_of: ClientOf) -> None:
    with closing(filled(server)) as store:
        client = client_of(server)
        client.hset(DOC, "body", client.hget(b"{x}:d:5:scopekey of 1", "body"))
        assert isinstance(store.get("scope", "key of 0"), Damaged)
        assert store.stats().damaged == 1
        assert searched(store) == ["1", "2"]


def test_a_vector_that_is_no_direction_is_no_candidate(server: RedisServer, client_of: ClientOf) -> None:
    for value in (np.nan, np.inf, 1e38, 0.0):
        with closing(filled(server)) as store:
            searched(store)
            client_of(server).hset(VECTOR, "v8", np.full(8, value, np.float32).tobytes())
            store.put(make_entry("3", vector=make_vector(0.05)))
            found = store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)
            assert [one.entry.text for one in found if one.entry.text != "0"] == ["3", "1", "2"], value
            assert all(one.similarity <= 1.0 for one in found), value
            store.clear()


def test_through_a_cache_a_damaged_entry_costs_a_model_call(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    client = client_of(server)
    for key in client.keys("{x}:d:*"):
        if client.hexists(key, "body"):
            client.hset(key, "body", b"\x00garbage")
    assert (asked.told("hi"), asked.told("hello")) == (None, None)
    assert asked.cache.stats().stores["redis"].damaged > 0
    assert asked.ask("hi", "again") == "again"
    assert (asked.told("hi"), asked.told("hello")) == ("again", "again")


def test_a_damaged_alias_is_a_miss_that_is_counted(plain: RedisServer, client_of: ClientOf) -> None:
    client = client_of(plain)
    doc = b"{x}:d:5:scopekey of alias"
    for field, value in [
        *(("alias", garbage) for garbage in GARBAGE),
        *(("target", garbage) for garbage in GARBAGE),
        ("target", b"5:scopekey of 1"),
    ]:
        with closing(filled(plain)) as store:
            store.put_alias(make_alias("alias", make_entry("0")))
            assert isinstance(store.get("scope", "key of alias"), Stored)
            client.hset(doc, field, value)
            before = store.stats().damaged
            assert isinstance(store.get("scope", "key of alias"), Damaged), (field, value)
            assert store.stats().damaged > before
            assert kept(store) == [0, 1, 2]
            store.clear()
            client.delete(doc, "{x}:aliases")


# ---------------------------------------------------------------- a key of another kind

FOREIGN = {
    "string": lambda client: (client.delete(DOC), client.set(DOC, "foreign")),
    "list": lambda client: (client.delete(DOC), client.rpush(DOC, "foreign")),
    "tags": lambda client: client.hset(DOC, "tags", b"\xc1 no message pack"),
    "vector": lambda client: (client.delete(VECTOR), client.set(VECTOR, "foreign")),
}


def foreign(kind: str, client: Any) -> None:
    FOREIGN[kind](client)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", ["string", "list"])
def test_a_key_of_another_kind_is_a_miss(kind: str, server: RedisServer, open_on: OpenOn, client_of: ClientOf) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    asked.update("another", "other")
    client = client_of(server)
    for key in client.keys("{x}:d:*"):
        if b'"hi"' in (client.hget(key, "body") or b"") or b"there" in (client.hget(key, "body") or b""):
            client.delete(key)
            (client.set if kind == "string" else client.rpush)(key, "foreign")
    assert asked.ask("hi", "from the model") == "from the model"
    assert asked.told("another") == "other"
    assert asked.cache.stats().stores["redis"].damaged + asked.errors > 0


WRITES = ["clear", "delete", "evict", "invalidate", "put", "sweep"]
READS = ["lowest", "normalised", "search", "select", "a read that waits", "an alias that waits"]  # none asks for tags


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("verb", WRITES + READS)
def test_one_key_that_cannot_be_read_stops_nothing_else(
    verb: str, kind: str, plain: RedisServer, client_of: ClientOf
) -> None:
    client = client_of(plain)
    with closing(filled(plain, max_entries=3 if verb == "evict" else 99)) as store:
        if verb == "a read that waits":
            store.touch("scope", "key of 0", 5.0)
        if verb == "an alias that waits":
            store.put_alias(make_alias("alias", make_entry("0")))
        foreign(kind, client)
        if verb == "put":
            assert store.put(make_entry("0"))
            assert kept(store) == [0, 1, 2]
        elif verb == "evict":
            assert store.put(make_entry("3"))
            assert store.put(make_entry("4"))
            assert kept(store) == [2, 3, 4]
        elif verb in ("a read that waits", "an alias that waits"):
            store.delete("scope", ["key of 1"])
            assert store.put(make_entry("1"))
            assert [number for number in kept(store) if number] == [1, 2]
        elif verb == "sweep":
            store.sweep(1000.0, limit=99)
            assert [number for number in kept(store) if number] == []
        elif verb == "clear":
            store.clear()
            assert [number for number in kept(store) if number] == []
        elif verb == "delete":
            store.delete("scope", ["key of 0", "key of 1"])
            assert kept(store) == [2]
        elif verb == "invalidate":
            done = store.invalidate(Selector(), 1.0, is_lazy=False, limit=99)
            assert {key for _, key in done.addresses} >= {"key of 1", "key of 2"}
        elif verb == "select":
            rows = store.select(Selector(), limit=99).rows
            assert [row.entry.text for row in rows if row.entry.text != "0"] == ["1", "2"]
        elif verb == "lowest":
            assert [row.entry.text for row in store.lowest("", limit=99) if row.entry.text != "0"] == ["1", "2"]
        elif verb == "normalised":
            store.put(make_entry("0 ", normalised_key="normalised 0"))
            assert "0 " in [row.entry.text for row in store.get_normalised("scope", "normalised 0", limit=9)]
        else:
            assert [text for text in searched(store) if text != "0"] == ["1", "2"]


# ---------------------------------------------------------------- documents and what leads to them


def test_a_document_that_nothing_leads_to_is_no_wrong_answer(server: RedisServer, client_of: ClientOf) -> None:
    with closing(filled(server)) as store:
        searched(store)
        client = client_of(server)
        for key in client.keys("{x}:*"):
            if b":d:" not in key and not key.endswith((b"state", b"changes")):
                client.delete(key)
        assert kept(store) == [0, 1, 2]
        assert set(searched(store)) <= {"0", "1", "2"}
        assert store.select(Selector(), limit=9).rows == ()
        assert store.put(make_entry("0"))
        assert store.delete("scope", ["key of 0", "key of 1"]) == 2
        assert kept(store) == [2]


def test_what_leads_to_no_document_is_passed_over(server: RedisServer, client_of: ClientOf) -> None:
    with closing(filled(server, max_entries=3)) as store:
        searched(store)
        client_of(server).delete(DOC)
        assert store.get("scope", "key of 0") is None
        assert searched(store) == ["1", "2"]
        assert store.get_normalised("scope", "normalised 0", limit=9) == []
        assert [row.entry.text for row in store.select(Selector(), limit=9).rows] == ["1", "2"]
        assert [row.entry.text for row in store.lowest("", limit=9)] == ["1", "2"]
        assert store.put(make_entry("3"))
        assert store.put(make_entry("4"))
        assert 4 in kept(store)
        assert store.invalidate(Selector(), 1.0, is_lazy=False, limit=9).number == 1
        assert kept(store) == []


def test_totals_are_right_again_after_documents_were_removed_by_another_hand(
    plain: RedisServer, client_of: ClientOf
) -> None:
    with closing(filled(plain, max_entries=3)) as store:
        right = store.stats()
        client = client_of(plain)
        for _ in range(5):
            client.delete(DOC)
            store.put(
                make_entry("0", vector=make_vector(), expires_at=100.0, profile=Profile("general", "", ("tag 0",)))
            )
        assert kept(store) == [0, 1, 2]
        assert store.stats().entries == right.entries
        assert store.stats().size_bytes == right.size_bytes


@pytest.mark.parametrize("field", ["entries", "bytes"])
def test_wrong_totals_are_counted_anew(field: str, plain: RedisServer, client_of: ClientOf) -> None:
    """As those of a file are: the cache is not empty for ever."""
    with closing(filled(plain, max_entries=6, max_bytes=1_000_000)) as store:
        client_of(plain).hset("{x}:state", field, 2_000_000)
        for number in range(3, 6):
            store.put(make_entry(f"{number}"))
        assert kept(store)[-3:] == [3, 4, 5]


@pytest.mark.parametrize("name", ["state", "all", "changes", "q:", "keys", "log", "shares", "notes", "leases"])
def test_a_cache_whose_own_keys_are_of_another_kind_is_a_cache_that_is_down(
    name: str, plain: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    asked = open_on(url_of(plain))
    asked.update("hi", "there")
    client = client_of(plain)
    client.delete("{x}:" + name)
    client.set("{x}:" + name, "foreign")
    for number in range(3):
        assert asked.ask(f"question {number}", "from the model") == "from the model"
        asked.update("hi", "there")
        assert asked.told("hi") in ("there", None)
    client.flushdb()
    assert asked.told("hi") is None
    assert asked.ask("hi", "again") == "again"
    assert asked.told("hi") == "again"


def test_foreign_keys_under_the_same_prefix_are_left_alone(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    client = client_of(server)
    client.hset("{x}:d:somebody", mapping={"body": "foreign", "scope": "a", "group": "b"})
    client.hset("{x}:d:99:somebody", mapping={"body": "foreign", "alias": "foreign", "target": "nowhere"})
    client.set("{x}:d:5:other", "foreign")
    client.set("{x}:mine", "foreign")
    client.set("x:mine", "foreign")
    theirs = {key: client.dump(key) for key in client.keys("*")}
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert (asked.told("hi"), asked.told("hello")) == ("there", "there")
    assert asked.cache.clear() == 1
    assert asked.told("hi") is None
    assert asked.errors == 0
    assert {key: client.dump(key) for key in theirs} == theirs


# ---------------------------------------------------------------- vectors that are copied


@pytest.mark.parametrize("damaged", [*GARBAGE, bytes(7), np.full(8, np.nan, np.float32).tobytes()])
def test_a_vector_that_cannot_be_read_is_not_copied(plain: RedisServer, client_of: ClientOf, damaged: bytes) -> None:
    addresses = [("scope", f"key of {number}") for number in range(3)]
    with closing(filled(plain)) as store:
        assert set(store.vectors(EMBEDDER, addresses)) == set(addresses)
        client_of(plain).hset(VECTOR, "v8", damaged)
        found = store.vectors(EMBEDDER, addresses)
        assert set(addresses[1:]) <= set(found)
        assert all(np.isfinite(vector).all() for vector in found.values())
        client_of(plain).delete(VECTOR)
        client_of(plain).set(VECTOR, "of another kind")
        assert set(store.vectors(EMBEDDER, addresses)) == set(addresses[1:])
