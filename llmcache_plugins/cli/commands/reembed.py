"""The arguments of `llmcache reembed`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import DryRunOption, JsonOption, NamespaceOption, StoreOption
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["REEMBED"]


def _read(
    store: StoreOption = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="MODEL",
            help="a folder, a name for sentence-transformers, or MODULE:NAME of an embedder of yours (default: the "
            "shipped one)",
        ),
    ] = None,
    namespace: NamespaceOption = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1000, metavar="N", help="texts embedded at a time")] = 64,
    rate: Annotated[float | None, typer.Option("--rate", metavar="X", help="entries a second, at most")] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.lasting import named_or_variable
    from llmcache_plugins.cli.reembed import ReembedOptions, run_reembed

    options = ReembedOptions(
        url=named_or_variable(store, "--store URL"),
        to=to,
        namespace=namespace or (),
        batch=batch,
        rate=rate,
        dry_run=dry_run,
        as_json=as_json,
    )
    return lambda: run_reembed(options)


REEMBED = Command(
    name="reembed",
    read=_read,
    summary="move the vectors of a cache to another embedder while it is in use",
    description="Identical questions hit all the time. By meaning an entry matches with the old embedder until it is "
    "moved, with the new one from then on. What was interrupted is run again. docs/upgrading.md has the whole way.",
    example="llmcache reembed --store disk:///a.db --to all-mpnet-base-v2",
)
