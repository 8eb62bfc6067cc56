"""Near misses of another process, out of the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, open_cache
from llmcache_plugins.dashboard import serve_dashboard
from llmcache_plugins.dashboard.near_miss_file import NearMissFile
from llmcache_plugins.testing import FakeEmbedder

Ask = Callable[..., Any]  # of conftest.py
STORED, ASKED = "Show rtr-001", "Show rtr-002"


def test_a_label_on_a_near_miss_of_another_process_is_obeyed_there(ask: Ask, tmp_path: Path) -> None:
    url, file = f"disk://{tmp_path / 'cache.db'}", tmp_path / "near.jsonl"
    embedder = FakeEmbedder(dict.fromkeys((STORED, ASKED), "r"))
    with open_cache(url, embedder=embedder, namespace="app", near_miss_file=file, similarity_threshold=0.9) as theirs:
        for question in (STORED, "else"):
            theirs.update(question, "up")
        theirs.lookup(ASKED)
        theirs._workers().submit(int).result()  # the file is written by a worker
        with (
            open_cache(url, maintenance="manual", embedder=None) as ours,
            serve_dashboard(ours, near_misses=file, shared=True, interval=3600) as page,
        ):
            (row,) = ask(page.port, "/api/pairs").json["near_misses"]
            assert (row["asked"], row["namespace"]) == (ASKED, "app")
            assert ask(page.port, "/api/label", {"id": row["id"], "label": "right"}).json["outcome"] == "obeyed"
            assert ask(page.port, "/api/state").json["hears_hits"] is False
        assert isinstance(theirs.lookup(ASKED), Hit)


def test_lines_that_are_none_are_passed_over_and_new_ones_found(tmp_path: Path) -> None:
    path = tmp_path / "near.jsonl"
    row = {
        "asked": "a",
        "stored": "b",
        "similarity": 0.9,
        "confidence": 0.5,
        "vetoed_by": [],
        "reason": "low_confidence",
        "at": 1.0,
        "namespace": ["app"],
    }
    wrong = ["{", "[]", "null", json.dumps({**row, "reason": "?"}), json.dumps({**row, "asked": 3}), "[" * 5000]
    path.write_text("\n".join([json.dumps(row), *wrong, ""]))
    file = NearMissFile(path)
    (record,) = file.records()
    assert (record.asked, record.namespace, record.reference) == ("a", ("app",), "")
    with path.open("a") as more:
        more.write(json.dumps({**row, "asked": "c", "reference": "s:k:a"}) + "\n")
    assert [(one.asked, one.reference) for one in file.records()] == [("a", ""), ("c", "s:k:a")]
    path.unlink()
    assert file.records() == ()


def test_a_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="near_miss_file"):
        NearMissFile(tmp_path / "none.jsonl")
