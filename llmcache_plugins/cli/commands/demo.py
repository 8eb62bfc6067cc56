"""The arguments of `llmcache demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, milliseconds
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["DEMO"]


def _read(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="questions (default: examples/data/questions.jsonl)")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="the cache, disk:///path/of/file.db (default: in your cache folder)"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget what earlier runs stored")] = False,
    as_json: JsonOption = False,
    live: Annotated[
        bool, typer.Option("--live", help="ask the real model (costs money, needs ANTHROPIC_API_KEY)")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="only the first N questions")] = None,
    max_error_rate: Annotated[
        float | None,
        typer.Option("--max-error-rate", metavar="X", help="error budget: wrong hits / requests (default: 0.01)"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", metavar="X", help="a plain cosine of at least X decides instead")
    ] = None,
    latency_ms: Annotated[
        float,
        typer.Option(
            "--latency-ms",
            parser=milliseconds,
            metavar="MS",
            help="how long the loopback server takes for an answer (default: 150)",
            show_default=False,
        ),
    ] = 150.0,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65_535,
            metavar="N",
            help="of the loopback server (default: always the same, as earlier answers are found under that one only)",
        ),
    ] = None,
) -> Run:
    from llmcache_plugins.cli.demo import DEMO_PORT, DemoOptions, run_demo

    options = DemoOptions(
        data=data,
        url=url,
        fresh=fresh,
        as_json=as_json,
        live=live,
        limit=limit,
        threshold=threshold,
        max_error_rate=max_error_rate,
        latency=latency_ms / 1000,
        port=DEMO_PORT if port is None else port,
    )
    return lambda: run_demo(options)


DEMO = Command(
    name="demo",
    read=_read,
    summary="serve a stream of real questions from the cache and count right and wrong hits",
    description="A LangChain chat application answers a stream of labelled questions through the cache. The model is a "
    "server on this machine that echoes the question, so nothing is paid for; --live asks the real one.",
    example="llmcache demo --limit 50 --fresh",
)
