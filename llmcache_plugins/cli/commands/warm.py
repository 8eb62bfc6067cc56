"""The arguments of `llmcache warm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, UrlArgument, duration, namespace
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["WARM"]

_ASKED = "What is asked (several: one after the other)"
_MODEL = "Who is asked"
_LIMITS = "Limits"


def _read(
    url: UrlArgument,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="a question a line, or JSON lines", rich_help_panel=_ASKED),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="a log: the most frequent questions", rich_help_panel=_ASKED),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="of the log", rich_help_panel=_ASKED)] = 100,
    now: Annotated[
        bool,
        typer.Option("--now", help="of the log, what is asked at this hour and weekday", rich_help_panel=_ASKED),
    ] = False,
    templates: Annotated[
        Path | None,
        typer.Option(
            "--templates",
            metavar="FILE",
            help='a template a line, "show interfaces on {device}"',
            rich_help_panel=_ASKED,
        ),
    ] = None,
    entities: Annotated[
        Path | None,
        typer.Option(
            "--entities",
            metavar="FILE",
            help="what fills them: .json (names by kind) or .csv",
            rich_help_panel=_ASKED,
        ),
    ] = None,
    expiring: Annotated[
        float | None,
        typer.Option(
            "--expiring",
            parser=duration,
            metavar="TIME",
            help="what expires so soon and was read: 12h, 1d",
            rich_help_panel=_ASKED,
        ),
    ] = None,
    generate: Annotated[
        str | None,
        typer.Option(
            "--generate",
            metavar="MODULE:NAME",
            help="a function, a LangChain model or chain, or a LlamaIndex model of yours; the module is imported",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="PROVIDER:NAME",
            help="a chat model by LangChain, anthropic:claude-haiku-4-5",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT",
            help="the system prompt of --model, the application's own",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, metavar="N", help="calls at a time", rich_help_panel=_LIMITS)
    ] = 4,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="X", help="calls a second", rich_help_panel=_LIMITS)
    ] = None,
    budget: Annotated[int | None, typer.Option("--budget", metavar="N", help="calls", rich_help_panel=_LIMITS)] = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", metavar="N", help="tokens", rich_help_panel=_LIMITS)
    ] = None,
    budget_money: Annotated[
        float | None,
        typer.Option("--budget-money", metavar="X", help="money, at these prices:", rich_help_panel=_LIMITS),
    ] = None,
    price_in: Annotated[
        float | None,
        typer.Option("--price-in", metavar="X", help="of a million tokens in", rich_help_panel=_LIMITS),
    ] = None,
    price_out: Annotated[
        float | None,
        typer.Option("--price-out", metavar="X", help="of a million tokens out", rich_help_panel=_LIMITS),
    ] = None,
    own_namespace: Annotated[
        Any, typer.Option("--namespace", parser=namespace, metavar="A/B", help="the cache's own namespace")
    ] = None,
    ask_fresh: Annotated[bool, typer.Option("--ask-fresh", help="also ask what a look-up would find")] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="NAME", help="go on with the run of this name if it did not end"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="ask nothing; say what would be asked")] = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.warm import WarmOptions, run_warm

    options = WarmOptions(
        url=url,
        questions=questions,
        log=log,
        top=top,
        now=now,
        templates=templates,
        entities=entities,
        expiring=expiring,
        generate=generate,
        model=model,
        system=system,
        concurrency=concurrency,
        rate=rate,
        budget=budget,
        budget_tokens=budget_tokens,
        budget_money=budget_money,
        price_in=price_in,
        price_out=price_out,
        namespace=own_namespace or (),
        ask_fresh=ask_fresh,
        resume=resume,
        dry_run=dry_run,
        as_json=as_json,
    )
    return lambda: run_warm(options)


WARM = Command(
    name="warm",
    read=_read,
    summary="ask a model what users are going to ask, and store the answers",
    description="Questions from a file, from a log, from templates and an inventory, or those whose answers are about "
    "to expire; what is fresh is skipped. For cron; inside an application: cache.warm(...).",
    example="llmcache warm disk:///a.db --log calls.jsonl --generate my_app:ask",
)
