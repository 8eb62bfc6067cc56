"""The arguments of `llmcache invalidate`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import (
    DryRunOption,
    JsonOption,
    NamespaceOption,
    Texts,
    UrlArgument,
    pair,
    within,
)
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["INVALIDATE"]


class _Mode(StrEnum):
    NOW = "now"
    LAZY = "lazy"


def _read(
    url: UrlArgument,
    key: Annotated[Texts, typer.Option("--key", metavar="KEY", help="of an entry, or the reference of a hit")] = None,
    tag: Annotated[Texts, typer.Option("--tag", metavar="TAG", help="it has this tag, device:rtr-001")] = None,
    tag_pattern: Annotated[
        Texts, typer.Option("--tag-pattern", metavar="P", help="it has a tag like this, device:rtr-*")
    ] = None,
    query_type: Annotated[
        Texts, typer.Option("--query-type", metavar="TYPE", help="it is of this type, or one of these")
    ] = None,
    model: Annotated[Texts, typer.Option("--model", metavar="MODEL", help="of this model, or one of these")] = None,
    level: Annotated[Texts, typer.Option("--level", metavar="LEVEL", help="device, site or global, or several")] = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", parser=within, metavar="AGE", help="stored so long ago: 90s, 5m, 2h, 7d"),
    ] = None,
    namespace: NamespaceOption = None,
    meaning: Annotated[
        str | None, typer.Option("--meaning", metavar="TEXT", help="its question is near to this text")
    ] = None,
    similarity: Annotated[
        float | None, typer.Option("--similarity", metavar="X", help="how near, as a cosine (default: 0.9)")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="all, or all below the namespace")] = False,
    event: Annotated[
        str | None, typer.Option("--event", metavar="NAME", help="what this event makes wrong, in place of all above")
    ] = None,
    attributes: Annotated[Texts, typer.Option("--set", metavar="NAME=VALUE", help="an attribute of the event")] = None,
    rules: Annotated[
        str | None, typer.Option("--rules", metavar="FILE.toml", help="event rules besides the default ones")
    ] = None,
    mode: Annotated[_Mode | None, typer.Option("--mode", help="remove, or mark stale (default: now)")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="for the log")] = "",
    dry_run: DryRunOption = False,
    log: Annotated[bool, typer.Option("--log", help="list the invalidations of the last day, and do nothing")] = False,
    as_json: JsonOption = False,
) -> Run:
    pairs = [pair(text, "--set") for text in attributes or ()]
    from llmcache_plugins.cli.invalidate import InvalidateOptions, run_invalidate

    options = InvalidateOptions(
        url=url,
        key=key or None,
        tag=tuple(tag or ()),
        tag_pattern=tuple(tag_pattern or ()),
        query_type=tuple(query_type or ()),
        model=tuple(model or ()),
        level=tuple(level or ()),
        older_than=older_than,
        namespace=namespace or (),
        meaning=meaning,
        similarity=similarity,
        everything=everything,
        event=event,
        set=pairs,
        rules=rules,
        mode=None if mode is None else mode.value,
        reason=reason,
        dry_run=dry_run,
        log=log,
        as_json=as_json,
    )
    return lambda: run_invalidate(options)


INVALIDATE = Command(
    name="invalidate",
    read=_read,
    summary="remove answers that are no longer true, or mark them stale",
    description="All that is given must hold of an answer. No model is asked. Who has the cache open sees it at once. "
    "A gradual invalidation is for the process that serves: cache.invalidate(mode='gradual').",
    example="llmcache invalidate disk:///a.db --tag device:rtr-001 --dry-run",
)
