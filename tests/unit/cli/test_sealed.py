"""Caches that are sealed, seen by a shell without the key or with another one: that is said, and no sealed name."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins import Request, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.checks import Check
from llmcache_plugins.cli.doctor import run_doctor
from llmcache_plugins.cli.sealed import sealed_without_key
from llmcache_plugins.testing.redis_server import RedisServer

pytest.importorskip("cryptography")

KEY, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
NO_KEY = "what is stored is sealed, and there is no key here: set LLMCACHE_ENCRYPTION_KEY"
OTHER_KEY = "what is stored is sealed with another key"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMCACHE_ENCRYPTION_KEY", raising=False)
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    monkeypatch.setattr("llmcache_plugins.cli.doctor._version", lambda name: None)  # the embedder takes its time


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"disk://{tmp_path}/sealed.db"
    with open_cache(url, embedder=None, encryption_key=KEY) as cache:
        cache.update(Request("What is BGP?", namespace=("acme",), tags=("t",)), "a protocol")
    return url


def doctor_says(url: str) -> tuple[int, str]:
    lines: list[str] = []
    code = run_doctor(lines.append, url=url)
    (line,) = (line for line in lines if line.startswith("encryption"))
    return code, line


def test_the_doctor_looks_at_what_is_stored_and_not_at_the_variable_alone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = doctor_says(url)
    assert code == 1
    assert NO_KEY in said
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", OTHER)
    code, said = doctor_says(url)
    assert code == 1
    assert OTHER_KEY in said
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", KEY)
    assert doctor_says(url) == (0, f"{'encryption':24}LLMCACHE_ENCRYPTION_KEY")


def test_the_doctor_looks_at_the_default_cache_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_URL", url)
    lines: list[str] = []
    assert run_doctor(lines.append) == 1
    assert NO_KEY in "\n".join(lines)


def test_the_doctor_makes_no_file_and_fails_no_readable_one(tmp_path: Path) -> None:
    url = f"disk://{tmp_path}/readable.db"
    code, said = doctor_says(url)
    assert (code, "none: what is stored is readable" in said) == (0, True)
    assert list(tmp_path.iterdir()) == []
    with open_cache(url, embedder=None) as cache:
        cache.update("What is BGP?", "a protocol")
    assert doctor_says(url) == (code, said)


def test_the_doctor_names_a_file_that_it_cannot_look_into(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE of_another_program (id INTEGER)")
    code, said = doctor_says(f"disk://{tmp_path}/other.db")
    assert code == 1
    assert "a database of another program" in said


def test_other_advice_about_a_server_does_not_hide_it(
    redis_server: Callable[[str], RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redis")
    url = redis_server("plain").url
    with open_cache(url, embedder=None, encryption_key=KEY) as cache:
        cache.update("What is BGP?", "a protocol")
    wrong = Check("the cache", "a server", "set another maxmemory-policy", is_ok=False)
    monkeypatch.setattr("llmcache_plugins.cli.doctor.store_checks", lambda *given: iter([wrong]))
    code, said = doctor_says(url)
    assert code == 1
    assert NO_KEY in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "--store", "URL"],
        ["inspect", "--store", "URL", "--json"],
        ["explain", "What is BGP?", "--store", "URL", "--lexical"],
        ["analyze", "URL"],
        ["export", "URL", "FILE"],
        ["invalidate", "URL", "--tag", "t"],
    ],
)
@pytest.mark.parametrize(("key", "says"), [("", NO_KEY), (OTHER, OTHER_KEY)])
def test_who_looks_without_the_key_is_told(
    arguments: list[str],
    key: str,
    says: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", key)
    named = {"URL": url, "FILE": str(tmp_path / "x.jsonl")}
    assert main([named.get(argument, argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"llmcache {arguments[0]}: {says}" in said.err
    assert not (tmp_path / "x.jsonl").exists()


def test_everything_can_be_removed_without_the_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invalidate", url, "--everything"]) == 0
    assert capsys.readouterr().out.startswith("1 answer removed")


def test_a_cache_can_be_asked_as_well_as_its_store(url: str) -> None:
    for key, says in ((None, NO_KEY), (OTHER, OTHER_KEY), (KEY, None)):
        with open_cache(url, embedder=None, encryption_key=key) as cache:
            found = sealed_without_key(cache)
        assert found is says if says is None else found is not None and says in found
