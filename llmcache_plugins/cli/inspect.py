"""`llmcache inspect --store URL [KEY]`: what is stored in a cache; questions and answers only when asked for."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.cli.showing import in_words, one_line, show
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_store
from llmcache_plugins.protocols import Store
from llmcache_plugins.report import Section
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores.capacity import entry_bytes
from llmcache_plugins.types import Namespace, Stored

__all__ = ["InspectOptions", "run_inspect"]

_PAGE = 500  # entries read at a time
_SHOWN = 12  # digits of a key: so many are logged, too
_WHOLE = 40  # digits of a key


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """What was asked for on the command line.

    Args:
        store: the cache; None for LLMCACHE_URL.
        key: of one entry, whole or so many first digits that no other begins so, or the reference of a hit; None to
            list entries.
        namespace: those below it; like the three that follow, empty for all.
        limit: how many are listed at most, the oldest stored first.
        with_text: show the stored question, and of a single entry the answer.

    Raises:
        ConfigError: `key` is none, or `limit` is below 1.
    """

    store: str | None = field(default=None, repr=False)  # it may hold a password
    key: str | None = None
    namespace: Namespace = ()
    query_type: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    limit: int = 20
    with_text: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ConfigError(f"--limit must be at least 1, not {self.limit}")
        if self.key is not None and re.fullmatch("[0-9a-f]{1,40}", self.digits) is None:
            raise ConfigError("a key is up to 40 hexadecimal digits: take one from the list, or the reference of a hit")

    @property
    def digits(self) -> str:
        """Of the key; a reference is scope:key, and perhaps the key of what was asked."""
        parts = (self.key or "").lower().split(":")
        return parts[0] if len(parts) == 1 else parts[1]

    @property
    def selector(self) -> Selector:
        chosen = Selector(namespace=self.namespace, query_types=self.query_type, tags=self.tag, models=self.model)
        return replace(chosen, keys=(self.digits,)) if len(self.digits) == _WHOLE else chosen


def run_inspect(
    options: InspectOptions, say: Callable[[str], None] = print, *, now: Callable[[], float] = time.time
) -> int:
    """List entries, or show one; 1 when there is no entry of that key, or several.

    Raises:
        ConfigError: there is no URL, or it is of no cache in a file that is there or on a server; or what is stored is
            sealed, and the key is not here.
        StoreError: the store cannot be read.
    """
    url = named_or_variable(options.store, "--store")
    check_lasting(url, "only a cache in a file or on a server can be looked into from outside")
    stack = open_store(url)
    try:
        check_key(stack.bottom.store)
        wanted = 2 if options.key is not None else options.limit + 1
        found = _found(stack.bottom.store, options, wanted)
    finally:
        stack.close()
    if options.key is None:
        _say_list(found[: options.limit], len(found) > options.limit, options, now(), say)
        return 0
    if len(found) != 1:
        said = "there is no entry" if not found else "there are several entries"
        print(f"llmcache inspect: {said} with the key {options.digits}; `llmcache inspect` lists them", file=sys.stderr)
        return 1
    _say_one(found[0], options, now(), say)
    return 0


def _found(store: Store, options: InspectOptions, wanted: int) -> list[Stored]:
    """So many entries at most that are asked for, oldest stored first."""
    found: list[Stored] = []
    after: int | None = 0
    while after is not None:
        page = store.select(options.selector, limit=_PAGE, after=after)
        found += (row for row in page.rows if row.entry.key.startswith(options.digits))
        after = page.after if len(found) < wanted else None
    return found[:wanted]


def _say_list(
    rows: list[Stored], is_more: bool, options: InspectOptions, now: float, say: Callable[[str], None]
) -> None:
    if options.as_json:
        say(json.dumps({"entries": [_as_json(row, options) for row in rows], "is_more": is_more}))
        return
    notes = [f"and more: --limit shows more than {options.limit}"] if is_more else []
    if not rows:
        notes = ["no entry is stored that this asks for"]
    head = ("key", "namespace", "query type", "age", "expires in", "hits", "bytes", *(["question"] * options.with_text))
    show([Section("Entries", [_cells(row, options, now) for row in rows], head=head if rows else (), notes=notes)], say)


def _cells(row: Stored, options: InspectOptions, now: float) -> tuple[str, ...]:
    entry = row.entry
    cells = (
        entry.key[:_SHOWN],
        one_line("/".join(entry.namespace)) or "-",
        one_line(entry.profile.query_type),
        in_words(max(0.0, now - entry.created_at)),
        _rest(row, now),
        f"{row.access_count:,}",
        f"{entry_bytes(entry):,}",
    )
    return (*cells, one_line(entry.text)) if options.with_text else cells


def _rest(row: Stored, now: float) -> str:
    entry = row.entry
    if entry.stale_at is not None:
        return "marked stale"
    if entry.expires_at is None:
        return "never"
    return in_words(entry.expires_at - now) if entry.expires_at > now else "expired"


def _say_one(row: Stored, options: InspectOptions, now: float, say: Callable[[str], None]) -> None:
    if options.as_json:
        say(json.dumps({"entry": _as_json(row, options, with_answer=True)}))
    else:
        show([Section("Entry", list(_lines(row, options, now)))], say)


def _lines(row: Stored, options: InspectOptions, now: float) -> Iterator[tuple[str, str]]:
    entry = row.entry
    yield "key", entry.key
    yield "scope", entry.scope
    yield "namespace", one_line("/".join(entry.namespace)) or "-"
    yield "label", one_line(entry.label) or "-"
    yield "model", one_line(entry.model) or "-"
    yield "query type", one_line(entry.profile.query_type)
    yield "volatility", one_line(entry.profile.volatility) or "-"
    yield "tags", one_line(", ".join(entry.profile.tags), 200) or "-"
    yield "stored", f"{_instant(entry.created_at)}, {in_words(max(0.0, now - entry.created_at))} ago"
    yield "expires in", _rest(row, now)
    yield "hits", f"{row.access_count:,}"
    yield "last hit", "-" if row.last_access is None else _instant(row.last_access)
    yield "tier", row.tier or "-"
    yield "bytes", f"{entry_bytes(entry):,} without the vector"
    yield "tokens", f"{entry.usage.total_tokens:,}"
    yield "embedder", entry.embedder_id or "no vector"
    yield "stored by", one_line(entry.node_id) or "-"
    if options.with_text:
        yield "question", one_line(entry.text, 2000)
        yield "answer", one_line(entry.answer_json, 4000)


def _instant(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def _as_json(row: Stored, options: InspectOptions, *, with_answer: bool = False) -> dict[str, Any]:
    entry = row.entry
    content: dict[str, Any] = {
        "key": entry.key,
        "scope": entry.scope,
        "namespace": list(entry.namespace),
        "label": entry.label,
        "model": entry.model,
        "query_type": entry.profile.query_type,
        "volatility": entry.profile.volatility,
        "tags": list(entry.profile.tags),
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "stale_at": entry.stale_at,
        "hits": row.access_count,
        "last_access": row.last_access,
        "tier": row.tier,
        "bytes": entry_bytes(entry),
        "usage": asdict(entry.usage),
        "embedder_id": entry.embedder_id,
        "node_id": entry.node_id,
    }
    if options.with_text:
        content["question"] = entry.text
        if with_answer:
            content["answer"] = entry.answer
    return content
