"""A large cache is transferred in little memory, whatever it holds."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins import Entry, open_cache
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.transfer import TransferProgress, TransferReport

ENTRIES = 20_000
ANSWER = '"' + "x" * 500 + '"'
MOST = 10 * 1024 * 1024
"""A page of 200 entries is 0.7 MB here, and its lines as much again. A file keeps up to 4 MB of rows that were read,
and as much of what was made of them."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.db"
    rng = np.random.default_rng(7)
    with closing(DiskStore(path, max_entries=ENTRIES, max_bytes=2**30)) as store:
        for number in range(ENTRIES):
            vector = rng.standard_normal(384).astype(np.float32)
            vector /= np.linalg.norm(vector)
            store.put(
                Entry(
                    f"scope {number % 500}",
                    f"key {number}",
                    "normalised",
                    (),
                    f"question {number} {'y' * 400}",
                    ANSWER,
                    1_700_000_000.0,
                    None,
                    vector=vector,
                    embedder_id="e/384",
                )
            )
    return path


class Watch:
    """Begins to trace memory when three quarters are done: a page takes what it always takes, and nothing is left."""

    def __init__(self) -> None:
        self.pages = 0

    def __call__(self, at: TransferProgress) -> None:
        self.pages += 1
        assert at.total == ENTRIES
        if not tracemalloc.is_tracing() and at.done >= ENTRIES * 3 // 4:
            gc.collect()
            tracemalloc.start()

    def peak_of(self, transfer: Callable[..., TransferReport]) -> int:
        """The most bytes of Python and numpy at one moment of the last quarter."""
        try:
            report = transfer(progress=self)
            assert (report.stored, report.vectors) == (ENTRIES, ENTRIES)
            assert tracemalloc.is_tracing()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.slow
def test_a_large_cache_needs_little_memory(large: Path, tmp_path: Path) -> None:
    limits = {"max_entries": ENTRIES, "max_bytes": 2**30}
    with (
        closing(open_cache(f"disk://{large}", embedder=None, maintenance="manual", **limits)) as source,
        closing(open_cache(f"disk://{tmp_path}/file.db", embedder=None, maintenance="manual", **limits)) as target,
    ):
        path = tmp_path / "export.jsonl"
        watch = Watch()
        assert watch.peak_of(partial(source.export_to, path)) < MOST
        assert watch.pages == ENTRIES / 200
        assert path.stat().st_size / 4 > 1.5 * MOST, "a quarter of it in memory would be seen"
        assert Watch().peak_of(partial(target.import_from, path)) < MOST
