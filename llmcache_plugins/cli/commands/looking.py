"""The arguments of `llmcache inspect` and `llmcache top`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, NamespaceOption, StoreOption, Texts
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["INSPECT", "TOP"]


def _read_inspect(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="of one entry, or its first digits; without: a list")
    ] = None,
    store: StoreOption = None,
    namespace: NamespaceOption = None,
    query_type: Annotated[Texts, typer.Option("--query-type", metavar="TYPE", help="of this type")] = None,
    tag: Annotated[Texts, typer.Option("--tag", metavar="TAG", help="with this tag, device:rtr-001")] = None,
    model: Annotated[Texts, typer.Option("--model", metavar="MODEL", help="of this model")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="of the list, oldest first")] = 20,
    with_text: Annotated[
        bool, typer.Option("--text", help="show the stored question too, and of one entry the answer")
    ] = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.inspect import InspectOptions, run_inspect

    options = InspectOptions(
        store=store,
        key=key,
        namespace=namespace or (),
        query_type=tuple(query_type or ()),
        tag=tuple(tag or ()),
        model=tuple(model or ()),
        limit=limit,
        with_text=with_text,
        as_json=as_json,
    )
    return lambda: run_inspect(options)


INSPECT = Command(
    name="inspect",
    read=_read_inspect,
    summary="list what is stored in a cache, or show one entry",
    description="Keys, namespaces, ages, hits and sizes; no question and no answer unless --text asks for them. "
    "Nothing is counted as a read. An encrypted cache is opened with LLMCACHE_ENCRYPTION_KEY.",
    example="llmcache inspect --store disk:///a.db --namespace acme --text",
)


def _read_top(
    store: StoreOption = None,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", help="between two looks, 0.1 to 3600")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="look once, and end")] = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.top import TopOptions, run_top

    options = TopOptions(store=store, interval=interval, once=once, as_json=as_json)
    return lambda: run_top(options)


TOP = Command(
    name="top",
    read=_read_top,
    summary="show what all processes that use a cache are doing now, until Ctrl-C",
    description="Rates since the last look, and all counts. A process writes its counts every few seconds, so rates "
    "over less than that jump. --json looks once.",
    example="llmcache top --store redis://localhost:6379/0 --interval 5",
)
