"""The arguments of `llmcache doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, StoreOption, UrlOrVariable, one_url
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["DOCTOR"]

_PANEL = "What so many entries would take on a server"


def _read(
    url: UrlOrVariable = None,
    store: StoreOption = None,
    entries: Annotated[
        int | None, typer.Option("--entries", min=1, metavar="N", help="how many", rich_help_panel=_PANEL)
    ] = None,
    answer_bytes: Annotated[
        int, typer.Option("--answer-bytes", min=1, metavar="N", help="mean of an answer", rich_help_panel=_PANEL)
    ] = 800,
    question_bytes: Annotated[
        int, typer.Option("--question-bytes", min=1, metavar="N", help="mean of a question", rich_help_panel=_PANEL)
    ] = 60,
    dimension: Annotated[
        int, typer.Option("--dimension", metavar="N", help="of a vector", rich_help_panel=_PANEL)
    ] = 384,
    index: Annotated[
        str, typer.Option("--index", metavar="KIND", help="hnsw, flat, sets or local", rich_help_panel=_PANEL)
    ] = "hnsw",
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.doctor import run_doctor, say_size

    url = one_url(url, store)
    if entries is None:
        return lambda: run_doctor(url=url, as_json=as_json)
    return lambda: say_size(
        entries,
        as_json=as_json,
        answer_bytes=answer_bytes,
        question_bytes=question_bytes,
        dimension=dimension,
        index=index,
    )


DOCTOR = Command(
    name="doctor",
    read=_read,
    summary="say what is installed, what is missing or wrong, and what to do about it",
    description="Versions, extras, the embedder, the cache, its clock and permissions, each with its remedy. Exit code "
    "1 when something that is there does not work; what is merely not installed is no failure.",
    example="llmcache doctor redis://localhost:6379/0",
)
