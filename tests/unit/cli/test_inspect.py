"""`llmcache inspect`: what is stored, without what was said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcache_plugins import Answer, Request, Usage, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.inspect import InspectOptions, run_inspect
from llmcache_plugins.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def url(tmp_path: Path, clock: FakeClock) -> str:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None, clock=clock) as cache:
        cache.update(Request("Show config for rtr-001", namespace=("acme", "bot")), Answer("A1", usage=Usage(10, 5)))
        clock.advance(60)
        cache.update(Request("What is OSPF?\x1b[2J", model="m1"), "A2")
        cache.lookup(Request("What is OSPF?\x1b[2J", model="m1"))
    return url


def listed(url: str, clock: FakeClock, **options: object) -> dict[str, list[dict[str, object]]]:
    said: list[str] = []
    assert run_inspect(InspectOptions(store=url, as_json=True, **options), said.append, now=clock.now) == 0
    return json.loads(said[0])


def test_entries_are_listed_the_oldest_first(url: str, clock: FakeClock) -> None:
    first, second = listed(url, clock)["entries"]
    assert (first["namespace"], first["query_type"], first["hits"]) == (["acme", "bot"], "configuration", 0)
    assert second["created_at"] - first["created_at"] == 60
    assert (second["model"], second["hits"]) == ("m1", 1)
    assert second["bytes"] > 0


def test_no_question_and_no_answer_unless_asked_for(url: str, clock: FakeClock) -> None:
    said: list[str] = []
    run_inspect(InspectOptions(store=url), said.append, now=clock.now)
    run_inspect(InspectOptions(store=url, as_json=True), said.append, now=clock.now)
    key = listed(url, clock)["entries"][0]["key"]
    run_inspect(InspectOptions(store=url, key=key), said.append, now=clock.now)
    for text in said:
        assert "rtr-001" not in text.replace("device:rtr-001", "")
        assert "OSPF" not in text
        assert "A1" not in text


def test_with_text_the_list_shows_questions_and_one_entry_its_answer(url: str, clock: FakeClock) -> None:
    entries = listed(url, clock, with_text=True)["entries"]
    assert [entry["question"] for entry in entries] == ["Show config for rtr-001", "What is OSPF?\x1b[2J"]
    assert not any("answer" in entry for entry in entries)
    assert listed(url, clock, with_text=True, key=entries[0]["key"])["entry"]["answer"] == "A1"


def test_what_somebody_stored_does_not_steer_the_terminal(url: str, clock: FakeClock) -> None:
    said: list[str] = []
    run_inspect(InspectOptions(store=url, with_text=True), said.append, now=clock.now)
    assert "What is OSPF??[2J" in said[0]
    assert "\x1b" not in said[0]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"namespace": ("acme",)}, 1),
        ({"namespace": ("other",)}, 0),
        ({"query_type": ("configuration",)}, 1),
        ({"tag": ("device:rtr-001",)}, 1),
        ({"model": ("m1",)}, 1),
        ({"model": ("m1",), "namespace": ("acme",)}, 0),
    ],
)
def test_filters(url: str, clock: FakeClock, options: dict[str, tuple[str, ...]], count: int) -> None:
    assert len(listed(url, clock, **options)["entries"]) == count


def test_a_limit_says_that_there_is_more(url: str, clock: FakeClock) -> None:
    assert (listed(url, clock, limit=1)["is_more"], listed(url, clock, limit=2)["is_more"]) == (True, False)
    said: list[str] = []
    run_inspect(InspectOptions(store=url, limit=1), said.append, now=clock.now)
    assert "--limit shows more than 1" in said[0]


def test_one_entry_by_key_first_digits_or_reference(url: str, clock: FakeClock) -> None:
    entry = listed(url, clock)["entries"][0]
    for key in (entry["key"], entry["key"][:12], f"{entry['scope']}:{entry['key']}"):
        assert listed(url, clock, key=key)["entry"] == entry
    said: list[str] = []
    run_inspect(InspectOptions(store=url, key=entry["key"]), said.append, now=clock.now)
    for words in (entry["key"], "acme/bot", "1.0 min ago", "device:rtr-001", "tokens", "15"):
        assert words in said[0]


def test_what_has_expired_and_what_is_stale_is_said(url: str, clock: FakeClock) -> None:
    with open_cache(url, embedder=None, clock=clock) as cache:
        cache.invalidate(model="m1", mode="lazy")
    clock.advance(30 * 86_400)
    said: list[str] = []
    run_inspect(InspectOptions(store=url), said.append, now=clock.now)
    assert "expired" in said[0]
    assert "marked stale" in said[0]


def test_looking_is_not_reading(url: str, clock: FakeClock) -> None:
    before = listed(url, clock)
    assert listed(url, clock) == before


@pytest.mark.parametrize("key", ["f" * 40, "0000000000000000"])
def test_a_key_that_is_not_there(url: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", key, "--store", url]) == 1
    said = capsys.readouterr()
    assert "there is no entry" in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "says"), [(["xyz"], "hexadecimal"), (["a" * 41], "hexadecimal"), (["--limit", "0"], "--limit")]
)
def test_what_is_no_key_is_refused(
    url: str, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *arguments, "--store", url]) == 2
    assert says in capsys.readouterr().err


def test_an_encrypted_cache_is_opened_with_the_key_of_the_environment(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    url = f"disk://{tmp_path}/sealed.db"
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", "A" * 43 + "=")
    with open_cache(url, embedder=None, clock=clock) as cache:
        cache.update("What is BGP?", "a protocol")
    (entry,) = listed(url, clock, with_text=True)["entries"]
    assert entry["question"] == "What is BGP?"


def test_an_empty_cache(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"disk://{tmp_path}/empty.db"
    with open_cache(url, embedder=None):
        pass
    assert main(["inspect", "--store", url]) == 0
    assert "no entry is stored" in capsys.readouterr().out
