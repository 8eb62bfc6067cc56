"""Labelled questions that anyone may fetch: none of them is among those that the data measure with.

Spider-Syn (https://github.com/ygan/Spider-Syn, MIT; over Spider, Yu et al. 2018, CC BY-SA 4.0): questions that people
asked of 140 databases, each beside the query that answers it, and once more with other words for tables and columns.
Two questions of one query are the same; near ones of one database with another query are not. It teaches what exact
questions live on: every word may change the answer.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["LICENCES", "PublicSource", "SpiderQuestion", "spider_questions"]


class PublicSource(NamedTuple):
    """A file, where it is from, and the digest it must have."""

    name: str
    url: str
    sha256: str


SPIDER = PublicSource(
    "spider_syn_train.json",
    "https://raw.githubusercontent.com/ygan/Spider-Syn/0b996a57b7e329c14c300a8fb13661da128a9ddc/Spider-Syn/train_spider.json",
    "f045467b2ec33df51362dddfcb9a9424470e3c0c5bacc2e2469805627300964a",
)
LICENCES: Mapping[str, str] = {"spider_syn": "MIT (Spider-Syn); Spider itself CC BY-SA 4.0"}
_CALIBRATED = 30  # percent of the databases that the verifier does not see


class SpiderQuestion(NamedTuple):
    """A question, its database, and its query: equal ones have equal answers."""

    text: str
    database: str
    query: str


def fetched(source: PublicSource, folder: Path) -> bytes:
    """The file's content, from the folder or from where it is published.

    Raises:
        SystemExit: it cannot be had, or is not the file it should be.
    """
    path = folder / source.name
    if not path.exists():
        print(f"fetching {source.url}")
        try:
            with urllib.request.urlopen(source.url, timeout=60) as answer:
                content = answer.read()
        except OSError as error:
            raise SystemExit(f"cannot fetch {source.url} ({error}); put the file there by hand: {path}") from None
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise SystemExit(f"{path} is not the file of {source.url}: remove it, and it is fetched again")
    return content


def spider_questions(folder: Path) -> tuple[list[SpiderQuestion], list[SpiderQuestion]]:
    """For the verifier, and (of other databases) to calibrate its scores on."""
    rows: Sequence[Mapping[str, str]] = json.loads(fetched(SPIDER, folder))
    parts: dict[bool, dict[SpiderQuestion, None]] = defaultdict(dict)
    for row in rows:
        for text in (row["SpiderQuestion"], row["SpiderSynQuestion"]):
            question = SpiderQuestion(" ".join(text.split()), row["db_id"], " ".join(row["query"].split()))
            parts[_is_calibrated(row["db_id"])].setdefault(question)
    return list(parts[False]), list(parts[True])


def _is_calibrated(database: str) -> bool:
    digest = hashlib.blake2b(f"spider\n{database}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100 < _CALIBRATED
