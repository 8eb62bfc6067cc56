"""What an encrypted store does beside what every store does: keys, what it refuses, what it says."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import ConfigError, MissingExtraError, StoreUnavailable, open_cache
from llmcache_plugins.protocols import HasAsyncTwin, LooksAhead, TracksChanges
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import AsyncEncryptedStore, AsyncStoreAdapter, EncryptedStore, MemoryStore
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Census, Damaged, Entry, Profile, Stored

pytest.importorskip("cryptography")

from llmcache_plugins.stores.sealed.addresses import Addresses  # needs the extra
from llmcache_plugins.stores.sealed.keys import Keys
from llmcache_plugins.stores.sealed.masking import Mask
from llmcache_plugins.stores.sealed.sealing import Sealer

OLD, NEW, OTHER = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
EMBEDDER = "fake/8/unit"
NOW = 1_700_000_100.0
ROTATED = [0.112892, -0.751334, -0.214039, 0.018172, -0.503111, -0.034526, 0.183697, 0.297577]
NAMED_DIGEST = "fP2htP1v2e51QuwaQLN67SE3rwcrxIYYPhARXVKvrRhvq75Vxw"
NAMED_TAG = "ngPBKs2YLO_qa1ZmTKa7a_BvUOz3hWPFdl5_TRzSNQ"


def inside(store: MemoryStore) -> list[Entry]:
    """What the store underneath holds."""
    return [row.entry for row in store.select(Selector(), limit=100).rows]


def answer_of(found: Stored | Damaged | None) -> Any:
    return found.entry.answer if isinstance(found, Stored) else found


# ------------------------------------------------------------------------------------------------------------- keys
@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"short",
        OLD + b"x",
        "not base64!",
        base64.b64encode(OLD[:16]).decode(),
        3,
        None,
        [],
        [OLD, b"short"],
        [OLD, OLD],
        {"key": OLD},
        [None],
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(keys: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        EncryptedStore(MemoryStore(), keys)
    for shown in ("short", "not base64!", str(OLD), base64.b64encode(OLD[:16]).decode()):
        assert shown not in str(refused.value)


def test_other_arguments_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="of addresses has 3 bytes"):
        EncryptedStore(MemoryStore(), OLD, address_key=b"abc")
    with pytest.raises(ConfigError, match="masked or none"):
        EncryptedStore(MemoryStore(), OLD, vectors="clear")  # type: ignore[arg-type]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtraError, match=r"llmcache-plugins\[encryption\]"):
        open_cache("memory://", embedder=None, encryption_key=OLD)  # and never a cache that is not sealed


@pytest.mark.parametrize("spelling", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_is_the_same_in_base64(spelling: Any) -> None:
    key = bytes([251, 255] * 16)  # with both signs in which the alphabets differ
    under = MemoryStore()
    EncryptedStore(under, key).put(make_entry())
    for text in (spelling(key).decode(), spelling(key).decode().rstrip("="), f" {spelling(key).decode()}\n"):
        assert answer_of(EncryptedStore(under, text).get("scope", "key of hello")) == {"text": "answer"}


def test_no_repr_shows_a_key() -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    shown = repr(store) + repr(vars(store)) + repr(Keys([OLD, NEW])) + str(store)
    assert str(OLD)[2:-1] not in shown
    assert OLD.hex() not in shown


def test_each_text_has_a_nonce_of_its_own() -> None:
    sealer = Sealer(Keys(OLD))
    assert len({sealer.seal(b"text", "place") for _ in range(100)}) == 100


# --------------------------------------------------------------------------------------------------------- rotation
def test_a_new_key_seals_and_old_ones_open() -> None:
    under = MemoryStore()
    EncryptedStore(under, OLD).put(make_entry("a"))
    both = EncryptedStore(under, [NEW, OLD])
    assert answer_of(both.get("scope", "key of a")) == {"text": "answer"}
    both.put(make_entry("b"))
    assert EncryptedStore(under, OLD).get("scope", "key of b") == Damaged("unknown_key")


def test_with_a_key_for_addresses_the_old_key_can_go() -> None:
    under = MemoryStore()
    EncryptedStore(under, OLD, address_key=OTHER).put(make_entry("a"))
    EncryptedStore(under, [NEW, OLD], address_key=OTHER).put(make_entry("b"))
    last = EncryptedStore(under, NEW, address_key=OTHER)
    assert last.get("scope", "key of a") == Damaged("unknown_key")
    assert answer_of(last.get("scope", "key of b")) == {"text": "answer"}


def test_what_is_sealed_with_an_unknown_key_is_left_out_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    under = MemoryStore()
    EncryptedStore(under, OLD, address_key=OTHER).put(make_entry("a", vector=make_vector()))
    EncryptedStore(under, OLD, address_key=OTHER).put(make_entry("c", normalised_key="normalised a"))
    store = EncryptedStore(under, NEW, address_key=OTHER)
    store.put(make_entry("b", normalised_key="normalised a", vector=make_vector(0.5)))
    with caplog.at_level(logging.WARNING):
        assert [row.entry.text for row in store.get_normalised("scope", "normalised a", limit=9)] == ["b"]
        found = store.search("scope", EMBEDDER, make_vector(), limit=9, now=NOW)
        assert [candidate.entry.text for candidate in found] == ["b"]
        assert [row.entry.text for row in store.select(Selector(), limit=9).rows] == ["b"]
        assert [row.entry.text for row in store.lowest("", limit=9)] == ["b"]
        assert store.census("scope", EMBEDDER, limit=9) == Census(3)  # "c" has no vector, and nobody can embed it
        assert isinstance(store.get("scope", "key of a"), Damaged)
    assert store.stats().damaged == 9
    (line,) = caplog.messages
    assert "a key that is not among those given" in line


def test_pages_go_on_behind_what_cannot_be_opened() -> None:
    under = MemoryStore()
    for text in "abcd":
        EncryptedStore(under, OLD if text in "ab" else NEW, address_key=OTHER).put(make_entry(text))
    page = EncryptedStore(under, NEW, address_key=OTHER).select(Selector(), limit=1)
    assert [row.entry.text for row in page.rows] == ["c"]
    assert page.after is not None


def test_another_address_key_finds_nothing_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    under = MemoryStore()
    first = EncryptedStore(under, OLD)
    assert first.notes() == {}
    first.put(make_entry())
    with caplog.at_level(logging.WARNING):
        again, other = EncryptedStore(under, OLD), EncryptedStore(under, NEW)
        assert (again.notes(), other.notes()) == ({}, {})
        assert other.get("scope", "key of hello") is None
        other.notes()
    (line,) = caplog.messages
    assert "another encryption key" in line


def test_a_mark_that_cannot_be_left_costs_nothing() -> None:
    faulty = FaultyStore(MemoryStore())
    store = EncryptedStore(faulty, OLD)
    store.notes()
    faulty.fail({"note"})
    assert store.put(make_entry("a"))
    faulty.heal()
    assert store.put(make_entry("b"))
    assert len(faulty.notes()) == 1
    assert store.put(make_entry("c"))
    assert faulty.calls["note"] == 2


def test_an_error_of_the_store_is_its_own() -> None:
    faulty = FaultyStore(MemoryStore())
    store = EncryptedStore(faulty, OLD)
    faulty.fail()
    with pytest.raises(StoreUnavailable):
        store.put(make_entry())
    with pytest.raises(StoreUnavailable):
        asyncio.run(AsyncEncryptedStore(AsyncStoreAdapter(faulty), OLD).get("scope", "key"))


# -------------------------------------------------------------------------------------------------------- tampering
def changed(under: MemoryStore, change: Any) -> None:
    (entry,) = inside(under)
    under.put(change(entry))


def flipped(text: str, place: int) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[place] ^= 1
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("place", [1, 9, 21, 30, -1])
def test_a_changed_bit_is_damaged(place: int) -> None:
    for change in (
        lambda entry: replace(entry, text=flipped(entry.text, place)),
        lambda entry: replace(entry, answer_json=json.dumps(flipped(entry.answer, place))),
    ):
        under = MemoryStore()
        store = EncryptedStore(under, OLD)
        store.put(make_entry())
        changed(under, change)
        found = store.get("scope", "key of hello")
        assert isinstance(found, Damaged)
        assert found.reason == ("unknown_key" if place == 1 else "bad_bytes")


@pytest.mark.parametrize("answer", ['"', '""', "3", '"x"', '"AQ=="', '"\\u00e9"', "null"])
def test_an_answer_that_nobody_sealed_is_damaged(answer: str) -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    store.put(make_entry())
    (entry,) = inside(under)
    object.__setattr__(entry, "answer_json", answer)
    under.put(entry)
    assert store.get("scope", "key of hello") == Damaged("bad_bytes")


def test_a_later_format_is_of_an_unknown_version() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    store.put(make_entry())
    changed(under, lambda entry: replace(entry, text=flipped(entry.text, 0)))
    assert store.get("scope", "key of hello") == Damaged("unknown_version")


def test_a_sealed_answer_opens_at_its_own_place_alone() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    store.put(make_entry("a", answer_json='"of a"'))
    store.put(make_entry("b", answer_json='"of b"'))
    store.put(make_entry("a", scope="tenant 2", answer_json='"of another tenant"'))
    first, second, foreign = inside(under)
    for moved in (
        replace(second, text=first.text, answer_json=first.answer_json),
        replace(second, text=foreign.text, answer_json=foreign.answer_json),
        replace(second, answer_json=first.answer_json),
        replace(second, answer_json=json.dumps(second.text)),
    ):
        under.put(moved)
        assert store.get("scope", "key of b") == Damaged("bad_bytes")


def test_who_prolongs_an_entry_underneath_does_not_prolong_it() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    store.put(make_entry(expires_at=NOW))
    changed(under, lambda entry: replace(entry, expires_at=NOW + 9999, created_at=NOW, is_candidate=False))
    found = store.get("scope", "key of hello")
    assert isinstance(found, Stored)
    assert found.entry == make_entry(expires_at=NOW)


def test_an_alias_that_was_pointed_elsewhere_is_damaged() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    for text in "ab":
        store.put(make_entry(text))
    store.put_alias(make_alias("other", make_entry("a")))
    address = store._to
    found = under.get(address.scope("scope"), address.key("key of other"))
    assert isinstance(found, Stored)
    assert found.alias is not None
    under.put_alias(replace(found.alias, target_key=address.key("key of b")))
    assert store.get("scope", "key of other") == Damaged("bad_bytes")
    under.put_alias(replace(found.alias, text=found.entry.text))
    assert store.get("scope", "key of other") == Damaged("bad_bytes")


def test_a_note_belongs_to_its_name() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    store.note("epoch:a", "1")
    store.note("epoch:b", "2")
    first, second = (f"sealed note {store._to.note(name)}" for name in ("epoch:a", "epoch:b"))
    assert set(under.notes()) == {first, second}
    under.note(second, under.notes()[first])
    under.note("somebody else's", "x")
    under.note("sealed note garbage", "x")
    assert store.notes() == {"epoch:a": "1"}
    assert store.notes("epoch:a") == {"epoch:a": "1"}
    assert store.stats().damaged == 1  # what is not asked for is not opened


def test_what_was_there_before_is_not_found_and_can_be_removed() -> None:
    under = MemoryStore()
    under.put(make_entry())
    store = EncryptedStore(under, OLD)
    assert store.get("scope", "key of hello") is None
    assert store.select(Selector(), limit=9).rows == ()
    assert store.invalidate(Selector(), NOW, is_lazy=False, limit=9).addresses == (("scope", "key of hello"),)
    assert under.stats().entries == 0


# ------------------------------------------------------------------------------------------------ what stays readable
def test_the_store_underneath_sees_no_name_and_no_text() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD)
    entry = make_entry(
        "secretquestion",
        answer_json='"secretanswer"',
        scope="secretscope",
        key="secretkey",
        normalised_key="secretnormalised",
        namespace=("secrettenant",),
        model="secretmodel",
        node_id="secretnode",
        profile=Profile("secrettype", "secretvolatility", ("secrettag",)),
        label="v1:secretlevel:secretlabel:x",
        tolerant={"secretparameter": 1},
        finish_reason="secretreason",
        vector=make_vector(),
    )
    store.put(entry)
    store.put_alias(make_alias("secretalias", entry, policy_id="secretpolicy"))
    store.note("secretnote", "secretvalue")
    lease = store.acquire("secretlease", "holder", NOW, NOW + 9)
    store.invalidate(Selector(tags=("secretselected",)), NOW, is_lazy=False, reason="secretwhy", limit=9)
    assert lease is not None
    assert lease.name == "secretlease"
    alias = under.get(store._to.scope("secretscope"), store._to.key("key of secretalias"))
    shown = [
        *(str({**{n: getattr(one, n) for n in one.__slots__}}) for one in inside(under)),  # type: ignore[attr-defined]
        str(alias) + str(alias.alias.text if isinstance(alias, Stored) and alias.alias else ""),
        str(under.notes()),
        str(under.invalidations(since=0.0)),
        str(vars(under)),
    ]
    assert not [text for text in shown if "secret" in text]
    found = store.get("secretscope", "secretkey")
    assert isinstance(found, Stored)
    assert found.entry == entry


def test_nothing_of_the_vectors_can_be_compared_without_the_key() -> None:
    vectors = [vector / np.linalg.norm(vector) for vector in np.random.default_rng(1).normal(size=(20, 300))]
    mask, other = Mask(Keys(OLD)), Mask(Keys(NEW))
    for size in (1, 2, 7, 128, 129, 300):
        plain = np.array([vector[:size] for vector in vectors], np.float32)
        masked = np.array([mask("scope", "e", vector) for vector in plain])
        assert masked.dtype == np.float32
        np.testing.assert_allclose(masked @ masked.T, plain @ plain.T, atol=2e-6)
    assert abs(float(masked[0] @ plain[0])) < 0.3
    for elsewhere in (mask("scope 2", "e", plain[0]), mask("scope", "f", plain[0]), other("scope", "e", plain[0])):
        assert abs(float(masked[0] @ elsewhere)) < 0.3
    np.testing.assert_array_equal(mask("scope", "e", plain[0]), Mask(Keys(OLD))("scope", "e", plain[0]))


def test_the_rotation_is_the_same_in_every_version() -> None:
    """What is stored is searched with vectors rotated by a later version, on other machines."""
    masked = Mask(Keys(OLD))("scope", "e", np.eye(1, 8, dtype=np.float32)[0])
    np.testing.assert_allclose(masked, ROTATED, atol=1e-5)


def test_names_are_the_same_in_every_version() -> None:
    addresses = Addresses(Keys(OLD))
    assert addresses.of("key", "0a" * 20) == NAMED_DIGEST
    assert addresses.of("tag", "device:rtr-001") == NAMED_TAG
    assert addresses.of("key", "device:rtr-001") != addresses.of("tag", "device:rtr-001")
    assert addresses.named("tag", addresses.of("tag", "device:rtr-001")) == "device:rtr-001"
    assert addresses.named("key", addresses.of("tag", "device:rtr-001")) is None
    assert addresses.named("tag", "\u00e9") is None


def test_without_vectors_only_the_same_text_is_found() -> None:
    under = MemoryStore()
    store = EncryptedStore(under, OLD, vectors="none")
    store.put(make_entry(vector=make_vector()))
    store.set_vectors("scope", EMBEDDER, {"key of hello": make_vector()})
    assert store.search("scope", EMBEDDER, make_vector(), limit=5, now=NOW) == []
    assert store.census("scope", EMBEDDER, limit=5) == Census(0)
    (entry,) = inside(under)
    assert (entry.vector, entry.embedder_id) == (None, None)
    assert answer_of(store.get("scope", "key of hello")) == {"text": "answer"}
    assert len(store.get_normalised("scope", "normalised hello", limit=5)) == 1


# ----------------------------------------------------------------------------------------------------- tag patterns
def tagged(text: str, *tags: str, **fields: Any) -> Entry:
    return make_entry(text, profile=Profile(tags=tags), **fields)


def test_a_pattern_removes_what_fits_and_is_one_line_of_the_log() -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    for text, tag in (("a", "topic:routing"), ("b", "topic:switching"), ("c", "topic:routes"), ("d", "other")):
        store.put(tagged(text, tag, "site:x"))
    selector = Selector(tags=("site:x",), tag_patterns=("topic:rout*",))
    done = store.invalidate(selector, NOW, is_lazy=False, reason="why", limit=1)
    assert done.addresses == (("scope", "key of a"),)
    assert store.invalidate(selector, NOW + 1, is_lazy=False, limit=9).addresses == (("scope", "key of c"),)
    assert [row.entry.text for row in store.select(Selector(), limit=9).rows] == ["b", "d"]
    first, second = store.invalidations(since=0.0)
    assert (first.selector, first.reason, first.count, first.number) == (selector, "why", 1, done.number)
    assert (second.selector, second.count) == (selector, 1)
    assert store.invalidate(selector, NOW, is_lazy=False, limit=0).addresses == ()


def test_a_pattern_marks_once() -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    store.put(tagged("a", "topic:routing"))
    selector = Selector(tag_patterns=("topic:*",))
    assert len(store.invalidate(selector, NOW, is_lazy=True, limit=9).addresses) == 1
    assert store.invalidate(selector, NOW + 1, is_lazy=True, limit=9).addresses == ()
    found = store.get("scope", "key of a")
    assert isinstance(found, Stored)
    assert found.entry.stale_at == NOW


def test_an_answer_from_before_a_pattern_is_not_kept() -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    seen = store.sequence()
    store.invalidate(Selector(tags=("site:x",), tag_patterns=("topic:*",)), NOW, is_lazy=False, limit=9)
    assert not store.put(tagged("a", "topic:routing", "site:x"), seen=seen)
    assert not store.put(tagged("b", "other", "site:x"), seen=seen)  # more than need be: one model call
    assert store.put(tagged("c", "topic:routing"), seen=seen)


def test_a_log_of_another_key_keeps_its_numbers() -> None:
    under = MemoryStore()
    EncryptedStore(under, OLD).invalidate(Selector(tags=("t",)), NOW, is_lazy=False, reason="why", limit=9)
    (noted,) = EncryptedStore(under, NEW).invalidations(since=0.0)
    assert (noted.number, noted.at, noted.reason) == (1, NOW, "")


# ------------------------------------------------------------------------------------------------- optional protocols
class _Sharp(MemoryStore):
    """Knows what changed, and nothing else that is optional."""

    def unchanged(self, since: object, scope: str, key: str) -> bool:
        self.asked = scope, key
        return True

    def notes_version(self) -> object:
        return 7


class _Mine(EncryptedStore):
    """A subclass of a user."""

    mine = True


def test_a_store_keeps_what_it_can_and_gets_nothing_else() -> None:
    plain = EncryptedStore(MemoryStore(), OLD)
    assert type(plain) is EncryptedStore
    assert not isinstance(plain, LooksAhead | TracksChanges | HasAsyncTwin)
    under = _Sharp()
    for store in (EncryptedStore(under, OLD), _Mine(under, OLD)):
        assert isinstance(store, TracksChanges)
        assert isinstance(store, EncryptedStore)
        assert not isinstance(store, LooksAhead | HasAsyncTwin)
        assert store.unchanged(store.version(), "scope", "key")
        assert under.asked == (store._to.scope("scope"), store._to.key("key"))
        assert store.notes_version() == 7
        assert type(store).__name__ in ("_Tracking", "_Mine")
    assert _Mine(under, OLD).mine
    assert repr(plain).startswith("EncryptedStore(")
