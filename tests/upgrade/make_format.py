"""Writes a file with the package as it is now. Run once for each version of the schema or of the format; the file is
then kept as `format_<schema version>.sqlite`."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.types import Alias, Entry, Profile, Usage


def main(path: Path) -> None:
    with closing(DiskStore(path)) as store:
        for number in range(3):
            store.put(
                Entry(
                    scope="5c" * 20,
                    key=f"{number:040x}",
                    normalised_key=f"{number + 16:040x}",
                    namespace=("acme", "support"),
                    text=f"What is the BGP state of rtr-00{number}? \u00fc",
                    answer_json=f'{{"text": "Established since {number} days"}}',
                    created_at=1_700_000_000.5 + number,
                    expires_at=None if number == 0 else 4_000_000_000.0,
                    is_candidate=number != 2,
                    embedder_id="upgrade/4/unit" if number != 2 else None,
                    vector=np.eye(4, dtype=np.float32)[number] if number != 2 else None,
                    model="some-model",
                    usage=Usage(10, 20, 30, 40),
                    generation_seconds=1.25,
                    node_id="node-1",
                    profile=Profile("status", "volatile", (f"device:rtr-00{number}", "site:fra")),
                    label=f"v1:device:bgp:rtr-00{number}:a3f2",
                    tolerant={"temperature": 0.2},
                    finish_reason="end_turn",
                ),
                tier="cold",
            )
        store.put_alias(
            Alias("5c" * 20, "a" * 40, f"{0:040x}", "BGP state of rtr-000?", 0.97, 0.93, "policy-1", 1_700_000_009.0)
        )
        store.touch("5c" * 20, f"{1:040x}", 1_700_000_010.0)
        store.place([("5c" * 20, f"{1:040x}")], "warm", 1_700_000_011.0, is_demotion=False)
        store.invalidate(Selector(tags=("device:rtr-002",)), 1_700_000_012.0, is_lazy=True, reason="reboot", limit=9)
        store.acquire("flight", "node-1", 1_700_000_013.0, 1_700_000_043.0)
        store.note("epoch:acme", "1")
        store.tally({"node-1#1": "counts"}, expected={})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
