"""The arguments of `llmcache export` and `llmcache import`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, NamespaceOption, UrlArgument
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["EXPORT", "IMPORT"]

_NoVectors = Annotated[bool, typer.Option("--no-vectors", help="leave the vectors out: they are embedded anew")]


def _read_export(
    url: UrlArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="compressed where it ends in .gz; - for the standard output")
    ],
    namespace: NamespaceOption = None,
    no_vectors: _NoVectors = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.transfer import ExportOptions, run_export

    options = ExportOptions(url=url, file=file, namespace=namespace or (), no_vectors=no_vectors, as_json=as_json)
    return lambda: run_export(options)


EXPORT = Command(
    name="export",
    read=_read_export,
    summary="write the entries of a cache to a file that any other can import",
    description="The cache may be in use. The file holds questions and answers as they are; docs/transfer.md says how.",
    example="llmcache export redis://localhost:6379/0 answers.jsonl.gz",
)


def _read_import(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="the cache, disk:///path/of/file.db; a file is made if need be"),
    ],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="decompressed where it ends in .gz; - for the standard input")
    ],
    namespace: NamespaceOption = None,
    no_vectors: _NoVectors = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace what is there (default: by newer ones alone)")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="keep what is there, be it older")] = False,
    bring_back: Annotated[
        bool, typer.Option("--bring-back", help="also what was invalidated here since the file was written")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="stop at the first damaged line")] = False,
    max_entries: Annotated[
        int | None, typer.Option("--max-entries", min=1, metavar="N", help="the application's own limit")
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            "--max-bytes",
            min=1,
            metavar="N",
            help="the application's own limit; without the two nothing is evicted now, but by its next write",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="store nothing; say what would be")] = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.transfer import ImportOptions, run_import

    options = ImportOptions(
        url=url,
        file=file,
        namespace=namespace or (),
        no_vectors=no_vectors,
        replace=replace,
        keep=keep,
        bring_back=bring_back,
        strict=strict,
        max_entries=max_entries,
        max_bytes=max_bytes,
        dry_run=dry_run,
        as_json=as_json,
    )
    return lambda: run_import(options)


IMPORT = Command(
    name="import",
    read=_read_import,
    summary="store the entries of an export in a cache, whatever its store",
    description="The cache may be in use; what was interrupted is run again. Import only what you trust: who wrote the "
    "file says what users are answered.",
    example="llmcache import disk:///a.db answers.jsonl.gz --dry-run",
)
