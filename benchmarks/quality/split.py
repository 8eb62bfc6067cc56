"""Split labelled data by cluster into a fit, a choose and a report part, the same way every time.

    python -m benchmarks.quality.split DATA --to DIRECTORY

Two texts are in one cluster when any row of any file brings them together (as a pair of either label, or as requests of
one class of a stream), so that no question of one part has a twin in another. The part of a cluster is a hash of its
smallest text. `fow_cache` and the files named in `_WHOLE` are kept whole in the report part: nothing may be fitted on
them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["PARTS", "VERIFIER_PARTS", "Row", "data_files", "data_hash", "read_rows", "split", "write_rows"]

Row = dict[str, Any]

PARTS: dict[str, int] = {"fit": 50, "choose": 20, "report": 30}  # percent of the clusters
# The fit part in two: a verifier is too sure of what it learnt, so its scores are calibrated on the other half.
VERIFIER_PARTS: dict[str, int] = {"train": 35, "calibrate": 15, "choose": 20, "report": 30}
_SEED = "llmcache-plugins quality 1"
_WHOLE = {"stream_classification_dev", "stream_distinct_dev"}  # nothing to fit: every hit is a near copy, or wrong


def data_files(directory: Path) -> list[Path]:
    """The labelled files of a directory, in order of their names."""
    return sorted(directory.glob("*.jsonl.gz"))


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of JSON lines, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def data_hash(files: Iterable[Path]) -> str:
    """sha256 over the names and bytes of the files: which data a figure belongs to."""
    digest = hashlib.sha256(_SEED.encode())
    for path in files:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def split(files: Iterable[Path], parts: Mapping[str, int] = PARTS) -> dict[str, dict[str, list[Row]]]:
    """Part -> name of the file -> its rows, in their order.

    Args:
        parts: name -> percent of the clusters; the last one is the report part.
    """
    content = {path.name.removesuffix(".jsonl.gz"): read_rows(path) for path in files}
    clusters = _Clusters()
    for name, rows in content.items():
        for row in rows:
            if row.get("source") != "fow_cache":  # it belongs to no part, so it joins nothing
                clusters.join(_texts_of(name, row))
    part_of = clusters.parts(parts)
    found: dict[str, dict[str, list[Row]]] = {part: {name: [] for name in content} for part in parts}
    for name, rows in content.items():
        for row in rows:
            is_whole = name in _WHOLE or row.get("source") == "fow_cache"
            part = "report" if is_whole else part_of[_texts_of(name, row)[0]]
            found[part][name].append(row)
    return found


def _texts_of(name: str, row: Row) -> list[str]:
    if "class" in row:
        texts = [_plain(row["query"])]
        if not row["class"].startswith("?"):
            texts.append(f"class {name} {row['class']}")
        return texts
    return [_plain(_last_turn(row["a"])), _plain(_last_turn(row["b"]))]


def _last_turn(side: str | Row) -> str:
    return side if isinstance(side, str) else str(side["messages"][-1]["content"])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


class _Clusters:
    """Union-find over texts."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def join(self, texts: list[str]) -> None:
        first = self._root(texts[0])
        for text in texts[1:]:
            self._parent[self._root(text)] = first

    def parts(self, shares: Mapping[str, int]) -> dict[str, str]:
        smallest: dict[str, str] = {}
        for text in sorted(self._parent):
            smallest.setdefault(self._root(text), text)
        return {text: _part_of(smallest[self._root(text)], shares) for text in self._parent}

    def _root(self, text: str) -> str:
        root = text
        while (parent := self._parent.setdefault(root, root)) != root:
            root = parent
        while (parent := self._parent[text]) != root:
            self._parent[text], text = root, parent
        return root


def _part_of(name: str, shares: Mapping[str, int]) -> str:
    place = int.from_bytes(hashlib.blake2b(f"{_SEED}\n{name}".encode(), digest_size=8).digest(), "big") % 100
    for part, share in shares.items():
        if place < share:
            return part
        place -= share
    raise AssertionError("the shares do not add up to 100")


def _report(parts: dict[str, dict[str, list[Row]]]) -> Iterator[str]:
    yield f"{'file':32}" + "".join(f"{part:>9}" for part in PARTS)
    totals: Counter[str] = Counter()
    for name in parts["fit"]:
        counts = {part: len(parts[part][name]) for part in PARTS}
        totals.update(counts)
        yield f"{name:32}" + "".join(f"{counts[part]:9,}" for part in PARTS)
    yield f"{'all':32}" + "".join(f"{totals[part]:9,}" for part in PARTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="directory of *.jsonl.gz")
    parser.add_argument("--to", type=Path, required=True, help="directory for fit/, choose/ and report/")
    arguments = parser.parse_args()
    parts = split(data_files(arguments.data))
    for part, files in parts.items():
        for name, rows in files.items():
            write_rows(arguments.to / part / f"{name}.jsonl.gz", rows)
    print("\n".join(_report(parts)))


if __name__ == "__main__":
    main()
