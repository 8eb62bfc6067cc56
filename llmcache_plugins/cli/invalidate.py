"""`llmcache invalidate`: remove answers from the cache in a file, or mark them stale, and list what was done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from llmcache_plugins.cli.lasting import check_lasting
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.engine import InvalidationReport, SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_cache
from llmcache_plugins.selection import Invalidation
from llmcache_plugins.types import Namespace

__all__ = ["InvalidateOptions", "run_invalidate"]

_SELECTING = ("key", "tag", "tag_pattern", "query_type", "model", "level", "older_than", "meaning", "everything")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidateOptions:
    """What was asked for on the command line: the arguments of `SemanticCache.invalidate` and `handle_event`.

    Args:
        set: names and values of the event's attributes.
        rules: a TOML file of event rules.
        mode: None for the default of what is asked for.
        log: list the invalidations of the last day, and do nothing.
    """

    url: str = field(repr=False)  # it may hold a password
    key: Sequence[str] | None = None
    tag: Sequence[str] = ()
    tag_pattern: Sequence[str] = ()
    query_type: Sequence[str] = ()
    model: Sequence[str] = ()
    level: Sequence[str] = ()
    older_than: float | None = None
    namespace: Namespace = ()
    meaning: str | None = field(default=None, repr=False)
    similarity: float | None = None
    everything: bool = False
    event: str | None = None
    set: Sequence[tuple[str, str]] = ()
    rules: str | None = None
    mode: Literal["now", "lazy"] | None = None
    reason: str = ""
    dry_run: bool = False
    log: bool = False
    as_json: bool = False


def run_invalidate(options: InvalidateOptions, say: Callable[[str], None] = print) -> int:
    """Run it.

    Raises:
        ConfigError: the URL is no cache in a file that is there, nothing is selected, or what is stored is sealed, and
            the key is not here.
        StoreError: the file cannot be read or written.
    """
    _check(options)
    embedder: dict[str, Any] = {} if options.meaning is not None else {"embedder": None}
    with open_cache(options.url, fail_open=False, event_rules=options.rules or (), **embedder) as cache:
        if not (options.everything or options.log):
            check_key(cache)  # nothing would be found, and "0 answers removed" be taken for an answer
        if options.log:
            _say_log(cache.invalidations(), options.as_json, say)
        else:
            _say_report(_invalidated(cache, options), options.as_json, say)
    return 0


def _check(options: InvalidateOptions) -> None:
    check_lasting(options.url, "only a cache in a file or on a server outlives its process")
    selecting = [name for name in _SELECTING if _is_given(getattr(options, name))]
    if options.event is not None and selecting:
        raise ConfigError(f"--event says by itself what is wrong; leave out {', '.join(map(_flag, selecting))}")
    if options.everything and len(selecting) > 1:
        others = (name for name in selecting if name != "everything")
        raise ConfigError(f"--everything goes with --namespace alone; leave out {', '.join(map(_flag, others))}")
    if options.event is None and (options.set or options.rules):
        raise ConfigError("--set and --rules go with --event")
    if options.similarity is not None and options.meaning is None:
        raise ConfigError("--similarity goes with --meaning")
    if not (selecting or options.namespace or options.event is not None or options.log):
        raise ConfigError(
            f"nothing is selected: give {', '.join(map(_flag, _SELECTING[:-1]))} or --namespace; --event for what "
            "happened; or --everything"
        )


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()  # 0 seconds are given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _invalidated(cache: SemanticCache, options: InvalidateOptions) -> InvalidationReport:
    told: dict[str, Any] = {"namespace": options.namespace, "reason": options.reason, "dry_run": options.dry_run}
    if options.event is not None:
        attributes: dict[str, list[str]] = {}
        for name, value in options.set:
            attributes.setdefault(name, []).append(value)
        return cache.handle_event(options.event, attributes, mode=options.mode, **told)
    similarity: dict[str, Any] = {} if options.similarity is None else {"similarity": options.similarity}
    return cache.invalidate(
        key=options.key,
        tags=options.tag,
        tag_pattern=options.tag_pattern,
        query_type=options.query_type,
        model=options.model,
        level=options.level,
        older_than=options.older_than,
        meaning=options.meaning,
        everything=options.everything,
        mode=options.mode or "now",
        **similarity,
        **told,
    )


def _say_report(report: InvalidationReport, as_json: bool, say: Callable[[str], None]) -> None:
    if as_json:
        told = {
            "count": report.count,
            "number": report.number,
            "mode": report.mode,
            "dry_run": report.is_dry_run,
            "by_query_type": dict(report.by_query_type),
            "sample": list(report.sample),
        }
        say(json.dumps(told))
        return
    said = "removed" if report.mode == "now" else "marked stale"
    say(f"{report.count} {_answers(report.count)} {'would be ' if report.is_dry_run else ''}{said}")
    for query_type, count in report.by_query_type.items():
        say(f"  {query_type:20}{count:>8}")
    for name in report.sample:
        say(f"  {name}")


def _say_log(log: Sequence[Invalidation], as_json: bool, say: Callable[[str], None]) -> None:
    if as_json:
        rows = [
            {
                "number": one.number,
                "at": one.at,
                "mode": one.mode,
                "count": one.count,
                "reason": one.reason,
                "selector": one.selector.to_json(),
            }
            for one in log
        ]
        say(json.dumps({"invalidations": rows}))
        return
    for one in log:
        at = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        chosen = json.dumps(one.selector.to_json())
        say(f"{one.number:>6}  {at}  {one.mode:8}{one.count:>7} {_answers(one.count):8}  {one.reason or '-'}  {chosen}")


def _answers(count: int) -> str:
    return "answer" if count == 1 else "answers"
