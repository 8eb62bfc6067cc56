"""Files written by every format version so far stay readable."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins.selection import Invalidation, Lease, Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.stores.codec import FORMAT_VERSION, decode_alias, decode_entry
from llmcache_plugins.stores.schema import SCHEMA_VERSION
from llmcache_plugins.types import Alias, Damaged, Entry, Profile, Stored, Usage

HERE = Path(__file__).parent
SCOPE = "5c" * 20


def test_every_version_has_a_file() -> None:
    assert (FORMAT_VERSION, SCHEMA_VERSION) == (1, 3)
    expected = [f"format_{version}.sqlite" for version in range(1, SCHEMA_VERSION + 1)]
    assert sorted(path.name for path in HERE.glob("format_*.sqlite")) == expected


def test_format_1(tmp_path: Path) -> None:
    path = Path(shutil.copy(HERE / "format_1.sqlite", tmp_path))
    with closing(DiskStore(path)) as store:
        first = store.get(SCOPE, f"{0:040x}")
        assert isinstance(first, Stored)
        assert first.entry == Entry(
            scope=SCOPE,
            key=f"{0:040x}",
            normalised_key=f"{16:040x}",
            namespace=("acme", "support"),
            text="What is the BGP state of rtr-000? \u00fc",
            answer_json='{"text": "Established since 0 days"}',
            created_at=1_700_000_000.5,
            expires_at=None,
            embedder_id="upgrade/4/unit",
            model="some-model",
            usage=Usage(10, 20, 30, 40),
            generation_seconds=1.25,
            node_id="node-1",
        )
        second = store.get(SCOPE, f"{1:040x}")
        assert isinstance(second, Stored)
        assert (second.access_count, second.last_access) == (1, 1_700_000_010.0)
        alias = store.get(SCOPE, "a" * 40)
        assert isinstance(alias, Stored)
        assert alias.alias == Alias(
            SCOPE, "a" * 40, f"{0:040x}", "BGP state of rtr-000?", 0.97, 0.93, "policy-1", 1_700_000_009.0
        )
        query = np.array([0, 1, 0, 0], np.float32)
        found = store.search(SCOPE, "upgrade/4/unit", query, limit=1, now=1_700_000_100.0)
        assert [candidate.entry.key for candidate in found] == [f"{1:040x}"]
        np.testing.assert_array_equal(found[0].entry.vector, query)
        assert store.census(SCOPE, "upgrade/4/unit", limit=5).candidates == 2
        assert (store.stats().entries, store.stats().aliases, store.stats().damaged) == (3, 1, 0)


@pytest.mark.parametrize("version", [2, 3])
def test_formats_2_and_3(version: int, tmp_path: Path) -> None:
    path = Path(shutil.copy(HERE / f"format_{version}.sqlite", tmp_path))
    with closing(DiskStore(path)) as store:
        assert store.tallies() == ({"node-1#1": "counts"} if version == 3 else {})
        assert store.tally({"node-1#1": "more"}, expected={"node-1#1": "counts" if version == 3 else None})
        first, second, third = store.select(Selector(tag_patterns=("device:*",)), limit=9).rows
        assert first.entry == Entry(
            scope=SCOPE,
            key=f"{0:040x}",
            normalised_key=f"{16:040x}",
            namespace=("acme", "support"),
            text="What is the BGP state of rtr-000? \u00fc",
            answer_json='{"text": "Established since 0 days"}',
            created_at=1_700_000_000.5,
            expires_at=None,
            embedder_id="upgrade/4/unit",
            model="some-model",
            usage=Usage(10, 20, 30, 40),
            generation_seconds=1.25,
            node_id="node-1",
            profile=Profile("status", "volatile", ("device:rtr-000", "site:fra")),
            label="v1:device:bgp:rtr-000:a3f2",
            tolerant={"temperature": 0.2},
            finish_reason="end_turn",
        )
        assert (first.tier, first.placed_at, first.reads) == ("cold", 1_700_000_000.5, 0)
        assert (second.tier, second.placed_at, second.reads) == ("warm", 1_700_000_011.0, 1)
        assert (third.entry.stale_at, third.entry.is_candidate) == (1_700_000_012.0, False)
        (noted,) = store.invalidations(since=0.0)
        assert noted == Invalidation(
            1, 1_700_000_012.0, Selector(tags=("device:rtr-002",)), reason="reboot", mode="now", count=1
        )
        assert store.acquire("flight", "node-2", 1_700_000_020.0, 1_700_000_060.0) is None
        assert store.acquire("flight", "node-2", 1_700_000_050.0, 1_700_000_060.0) == Lease(
            "flight", "node-2", 2, 1_700_000_060.0
        )
        assert store.notes() == {"epoch:acme": "1"}
        assert store.stats().shares.keys() == {"cold", "warm"}
        assert (store.stats().entries, store.stats().aliases, store.stats().damaged) == (3, 1, 0)


ENVELOPE = {
    "v": 1,
    "scope": "s",
    "key": "k",
    "normalised_key": "n",
    "text": "t",
    "answer": '"a"',
    "created_at": 1,
}


def test_a_later_writer_may_add_and_leave_out_fields() -> None:
    body = json.dumps(ENVELOPE | {"tags": ["later"], "usage": [1, 2, 3, 4, 5]}).encode()
    expected = Entry("s", "k", "n", (), "t", '"a"', 1.0, None, usage=Usage(1, 2, 3, 4))
    assert decode_entry(body) == expected


@pytest.mark.parametrize("version", [0, 2, 99, -1])
def test_another_version_is_unknown(version: int) -> None:
    assert decode_entry(json.dumps(ENVELOPE | {"v": version}).encode()) == Damaged("unknown_version")
    assert decode_alias(json.dumps({"v": version}).encode()) == Damaged("unknown_version")


@pytest.mark.parametrize("missing", sorted(ENVELOPE))
def test_a_required_field_is_missed(missing: str) -> None:
    fields = {name: value for name, value in ENVELOPE.items() if name != missing}
    assert decode_entry(json.dumps(fields).encode()) == Damaged("bad_bytes")


@pytest.mark.parametrize(
    "changes",
    [
        {"v": True},
        {"v": 1.0},
        {"answer": "no json"},
        {"created_at": float("inf")},
        {"created_at": 10**400},
        {"created_at": True},
        {"expires_at": float("nan")},
        {"expires_at": "tomorrow"},
        {"namespace": "acme"},
        {"namespace": [1]},
        {"is_candidate": 1},
        {"usage": {"input_tokens": 1}},
        {"usage": [1.5]},
        {"usage": [2**70]},
        {"text": None},
        {"profile": "status"},
        {"profile": {"type": 1}},
        {"profile": {"tags": "one"}},
        {"profile": {"tags": [1]}},
        {"label": 5},
        {"stale_at": True},
        {"tolerant": [0.2]},
        {"finish_reason": 1},
        {"is_note": 1},
    ],
)
def test_a_wrong_type_is_bad_bytes(changes: dict[str, object]) -> None:
    assert decode_entry(json.dumps(ENVELOPE | changes).encode()) == Damaged("bad_bytes")


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"v":' + b"9" * 5000 + b"}", b"\xff\xfe", b"null", b"[]", b'{"v":1}', b"", None, "{}"]
)
def test_hostile_bytes_raise_nothing(body: object) -> None:
    assert decode_entry(body) == Damaged("bad_bytes")
    assert decode_alias(body) == Damaged("bad_bytes")


def test_a_deeply_nested_answer_is_bad_bytes() -> None:
    body = json.dumps(ENVELOPE | {"answer": "[" * 100_000}).encode()
    assert decode_entry(body) == Damaged("bad_bytes")
