"""A cache whose contents are sealed: it hits as any other, and who reads file or server learns no word of it."""

from __future__ import annotations

import base64
import itertools
import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, ConfigError, Hit, Miss, MissReason, SemanticCache, TierConfig, open_cache
from llmcache_plugins.stores import AsyncEncryptedStore, DiskStore, EncryptedStore, MemoryStore
from llmcache_plugins.stores.redis import connection
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Stored

pytest.importorskip("cryptography")

KEY, OTHER = bytes(range(100, 132)), bytes(range(32))
TEXT_KEY = base64.b64encode(KEY).decode()
ASKED, AGAIN, THIRD, OTHER_QUESTION = "Zanzibar salary?", "Zanzibar wages?", "Zanzibar pay?", "Completely different"
GROUPS = dict.fromkeys((ASKED, AGAIN, THIRD), "money")
ANSWER = "Quokka millions"
WORDS = ("anzibar", "salary", "wages", "uokka", "millions", "ifferent", "tenantname", "sometag", "modelname")
_PREFIXES = itertools.count()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLMCACHE_URL", "LLMCACHE_ENCRYPTION_KEY", "LLMCACHE_ENCRYPTION_ADDRESS_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(redis_server: Callable[[str], RedisServer]) -> str:
    return f"{redis_server('search').url}?prefix=sealed-{next(_PREFIXES)}"


@pytest.fixture(params=["memory", "disk", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("server"))
    return "memory://" if request.param == "memory" else f"disk://{tmp_path / 'cache.db'}"


def opened(url: str | None, **settings: Any) -> closing[SemanticCache]:
    given: dict[str, Any] = {
        "embedder": FakeEmbedder(GROUPS),
        "similarity_threshold": 0.9,
        "use_guards": False,
        "encryption_key": KEY,
        "maintenance": "manual",
        "namespace": "tenantname",
    }
    return closing(open_cache(url, **{**given, **settings}))


def kind_of(cache: SemanticCache, question: str) -> str:
    outcome = cache.lookup(question)
    return outcome.kind if isinstance(outcome, Hit) else outcome.reason.value  # type: ignore[union-attr]


def fill(cache: SemanticCache) -> None:
    """Entries with and without a vector, an alias, an invalidation, a report, an epoch."""
    with cache.context(tags=["sometag"]):
        cache.update(ASKED, ANSWER)
        cache.update(OTHER_QUESTION, ANSWER)
    assert kind_of(cache, AGAIN) == "semantic"
    assert kind_of(cache, ASKED.lower()) in ("normalised", "semantic", "exact")
    cache.invalidate(tags=["sometag unknown"], reason="the salary changed")
    cache.maintain()


# ---------------------------------------------------------------------------------------------------------- it works
def test_a_sealed_cache_hits_in_every_way(url: str) -> None:
    with opened(url) as cache:
        assert cache.get_or_generate(ASKED, lambda _: ANSWER) == ANSWER
        assert [kind_of(cache, text) for text in (ASKED, ASKED.lower(), AGAIN, AGAIN)] == [
            "exact",
            "normalised",
            "semantic",
            "alias",
        ]
        assert kind_of(cache, OTHER_QUESTION) == "below_threshold"
        hit = cache.lookup(AGAIN)
        assert isinstance(hit, Hit)
        assert (hit.answer, hit.matched_question, hit.entry.namespace) == (ANSWER, ASKED, ("tenantname",))
        assert cache.report_wrong(hit).removed == 1
        cache.update(ASKED, ANSWER)
        assert kind_of(cache, AGAIN) == "reported"
        assert cache.invalidate(everything=True).count >= 1
        assert kind_of(cache, ASKED) == "no_candidates"
        assert cache.stats().errors == {}


async def test_so_it_does_on_an_event_loop(url: str) -> None:
    cache = open_cache(
        url,
        embedder=FakeEmbedder(GROUPS),
        similarity_threshold=0.9,
        encryption_key=TEXT_KEY,
        maintenance="manual",
    )

    async def model(_: str) -> str:
        return ANSWER

    try:
        assert await cache.aget_or_generate(ASKED, model) == ANSWER
        kinds = []
        for text in (ASKED, AGAIN, AGAIN):
            outcome = await cache.alookup(text)
            assert isinstance(outcome, Hit)
            kinds.append(outcome.kind)
        assert kinds == ["exact", "semantic", "alias"]
        assert (await cache.ainvalidate(everything=True)).count == 1
        assert cache.stats().errors == {}
    finally:
        await cache.aclose()


def test_patterns_of_events_reach_sealed_tags(url: str) -> None:
    with opened(url, profiler=None) as cache:
        with cache.context(tags=["device:rtr-001", "topic:routing"]):
            cache.update(ASKED, ANSWER)
        with cache.context(tags=["device:rtr-001", "topic:weather"]):
            cache.update(OTHER_QUESTION, ANSWER)
        report = cache.invalidate(tags=["device:rtr-001"], tag_pattern="topic:rout*")
        assert report.count == 1
        assert (kind_of(cache, ASKED) != "exact", kind_of(cache, OTHER_QUESTION)) == (True, "exact")


# ------------------------------------------------------------------------------------------------- nothing is readable
def unreadable(raw: bytes) -> None:
    text = raw.decode("latin-1").lower()
    assert [word for word in WORDS if word in text] == []
    for key in (KEY, TEXT_KEY.encode(), KEY.hex().encode()):
        assert key not in raw


def test_the_file_holds_no_word_and_no_key(tmp_path: Path) -> None:
    with opened(f"disk://{tmp_path / 'cache.db'}") as cache:
        fill(cache)
        raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    raw += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    unreadable(raw)
    with opened(f"disk://{tmp_path / 'plain.db'}", encryption_key=None) as cache:
        fill(cache)
    with pytest.raises(AssertionError):  # the test can fail
        unreadable((tmp_path / "plain.db").read_bytes())


def dump(url: str, prefix: str) -> bytes:
    """Every key of the prefix and all that it holds."""
    import redis

    readers: dict[bytes, Callable[[Any, bytes], Any]] = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"stream": lambda client, key: client.xrange(key),
    }
    with closing(redis.Redis.from_url(url)) as client:
        keys = list(client.scan_iter(match=f"{{{prefix}*", count=1000))
        assert keys
        return b"\n".join(key + repr(readers[client.type(key)](client, key)).encode("latin-1") for key in keys)


def test_the_server_holds_no_word_and_no_key(redis_server: Callable[[str], RedisServer]) -> None:
    url = redis_server("search").url
    for key in (KEY, None):
        prefix = f"sealed-{next(_PREFIXES)}"
        with opened(f"{url}?prefix={prefix}", encryption_key=key) as cache:
            fill(cache)
            raw = dump(url, prefix)
        if key is not None:
            unreadable(raw)
        else:
            with pytest.raises(AssertionError):  # the test can fail
                unreadable(raw)


# -------------------------------------------------------------------------------------------------------- round trips
@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted = [0]
    ask = connection.Connection._round_trip

    def count(self: connection.Connection, commands: list[connection.Command]) -> list[object]:
        counted[0] += 1
        return ask(self, commands)

    monkeypatch.setattr(connection.Connection, "_round_trip", count)
    return counted


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_sealing_costs_no_round_trip(server: str, trips: list[int], key: bytes | None) -> None:
    settings: dict[str, Any] = {"tiers": [TierConfig("all")], "single_flight_across_processes": False}
    with opened(server, encryption_key=key, **settings) as cache:
        cache.update(ASKED, ANSWER)
        cache.update(OTHER_QUESTION, ANSWER)
        cache.lookup(AGAIN)
        store = cache._parts.tiers[0].store
        follower = getattr(store, "_store", store)._shared.follower
        until = time.monotonic() + 20.0
        while not follower.is_sure:  # until then each look-up asks for the version as well
            assert time.monotonic() < until
        cache.lookup(ASKED)

        def cost(work: Callable[[], object]) -> int:
            trips[0] = 0
            work()
            return trips[0]

        def kinds() -> list[str]:
            return [kind_of(cache, THIRD)]

        assert cost(lambda: cache.lookup(ASKED)) == 1
        assert cost(lambda: cache.lookup(ASKED.lower())) == 1
        assert cost(lambda: kinds() == ["semantic"] or pytest.fail("no match by meaning")) == 2
        assert cost(lambda: cache.lookup("nothing like it")) == 2
        assert cost(lambda: cache.update("nothing like it", ANSWER)) == 1
        assert cost(lambda: kinds() == ["alias"] or pytest.fail("no alias")) == 1


# ------------------------------------------------------------------------------------------------------------ settings
def test_a_wrong_key_is_a_miss_and_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"disk://{tmp_path / 'cache.db'}"
    with opened(url) as cache:
        cache.update(ASKED, ANSWER)
    with caplog.at_level(logging.WARNING), opened(url, encryption_key=OTHER) as cache:
        assert [kind_of(cache, text) for text in (ASKED, AGAIN)] == ["no_candidates"] * 2
    assert [line for line in caplog.messages if "encryption key" in line] == caplog.messages
    assert len(caplog.messages) == 1
    with opened(url, encryption_key=[OTHER, KEY]) as cache:
        assert kind_of(cache, ASKED) == "exact"


def test_a_key_that_has_gone_is_a_counted_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"disk://{tmp_path / 'cache.db'}"
    with opened(url, encryption_address_key=OTHER) as cache:
        cache.update(ASKED, ANSWER)
    with caplog.at_level(logging.WARNING), opened(url, encryption_key=OTHER, encryption_address_key=OTHER) as cache:
        outcome = cache.lookup(ASKED)
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.DAMAGED
        assert cache.get_or_generate(ASKED, lambda _: "fresh") == "fresh"
        assert kind_of(cache, ASKED) == "exact"
        stats = cache.stats()
        assert stats.misses[MissReason.DAMAGED] >= 1
    assert len(caplog.messages) == 1


def test_the_key_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"disk://{tmp_path / 'cache.db'}"
    with opened(url) as cache:
        cache.update(ASKED, ANSWER)
    new = base64.b64encode(OTHER).decode()
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", f"{new}, {TEXT_KEY}")
    with opened(url, encryption_key=None) as cache:
        assert kind_of(cache, ASKED) == "exact"
        assert TEXT_KEY not in repr(cache) + repr(cache.config)
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", new)
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_ADDRESS_KEY", TEXT_KEY)
    with opened(url, encryption_key=None) as cache:
        assert kind_of(cache, ASKED) == "damaged"
    with opened(url, encryption_key=KEY, encryption_address_key=KEY) as cache:  # what is given counts
        assert kind_of(cache, ASKED) == "exact"


@pytest.mark.parametrize(
    "settings",
    [
        {"encryption_key": "short"},
        {"encryption_key": b"short"},
        {"encryption_key": []},
        {"encryption_key": 3},
        {"encryption_key": KEY, "encryption_address_key": b"short"},
        {"encryption_key": KEY, "encryption_vectors": "clear"},
        {"encryption_key": None, "encryption_vectors": "none"},
        {"encryption_key": None, "encryption_address_key": KEY},
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        open_cache(f"disk://{tmp_path / 'cache.db'}", embedder=None, **settings)
    assert "short" not in str(refused.value)


def test_settings_show_no_key() -> None:
    config = CacheConfig(encryption_key=[KEY, TEXT_KEY], encryption_address_key=TEXT_KEY)
    assert TEXT_KEY not in repr(config)
    assert repr(KEY) not in repr(config)
    hash(config)


def test_without_vectors_only_the_same_text_hits(url: str) -> None:
    embedder = FakeEmbedder(GROUPS)
    with opened(url, embedder=embedder, encryption_vectors="none") as cache:
        cache.update(ASKED, ANSWER)
        cache.update(OTHER_QUESTION, ANSWER)
        assert [kind_of(cache, text) for text in (ASKED, ASKED.lower(), AGAIN)] == [
            "exact",
            "normalised",
            "no_candidates",
        ]
        assert embedder.embedded == []


def test_copies_are_sealed_where_they_leave_the_process(tmp_path: Path) -> None:
    near = tmp_path / "near.db"
    for store, is_sealed in ((f"disk://{near}", True), ("memory://", False), (MemoryStore(), False)):
        tiers = [TierConfig("hot", store=store, is_start=True), TierConfig("cold")]
        with opened("memory://", tiers=tiers) as cache:
            cache.update(ASKED, ANSWER)
            assert [kind_of(cache, ASKED) for _ in range(3)] == ["exact"] * 3
            bottom, copies = cache._parts.tiers
            assert isinstance(bottom.store, EncryptedStore)
            assert isinstance(copies.store, EncryptedStore) is is_sealed
    unreadable(near.read_bytes())


def test_on_a_server_the_twin_is_sealed_too(server: str) -> None:
    with opened(server) as cache:
        assert isinstance(cache._parts.tiers[0].async_store, AsyncEncryptedStore)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_what_is_kept_for_the_cache_itself_is_sealed(tmp_path: Path, key: bytes | None) -> None:
    """A warming that was interrupted leaves a note of how far it came, under the name that the user gave."""
    path = tmp_path / "cache.db"
    with opened(f"disk://{path}", encryption_key=key) as cache:
        cache.warm([ASKED, OTHER_QUESTION], _fail_at_other, resume="millions", most_failures=1, concurrency=1)
    if key is None:
        with pytest.raises(AssertionError):  # the test can fail
            unreadable(path.read_bytes())
    else:
        assert b"sealed note " in path.read_bytes()
        unreadable(path.read_bytes())


def _fail_at_other(question: str) -> str:
    if question == OTHER_QUESTION:
        raise RuntimeError("the model is down")
    return ANSWER


def test_a_long_answer_is_compressed_before_it_is_sealed(tmp_path: Path) -> None:
    sizes = []
    for name, above in (("plain", None), ("packed", 1024)):
        with closing(EncryptedStore(DiskStore(tmp_path / name), KEY, compress_above=above)) as store:
            entry = make_entry(answer_json='"' + "again and again " * 500 + '"')
            store.put(entry)
            found = store.get("scope", entry.key)
            assert isinstance(found, Stored)
            assert found.entry.answer_json == entry.answer_json
            sizes.append(store.stats().size_bytes)
    assert sizes[1] < sizes[0] / 3
