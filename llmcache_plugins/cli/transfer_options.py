"""The options of `llmcache export` and `llmcache import`: apart from what they do, so that the help needs no cache."""

from __future__ import annotations

import argparse

from llmcache_plugins.cli.arguments import namespace, positive_integer

__all__ = ["add_export_options", "add_import_options"]


def add_export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the cache, disk:///path/of/file.db")
    command.add_argument("file", metavar="FILE", help="compressed where it ends in .gz; - for the standard output")
    command.add_argument("--namespace", type=namespace, default=(), metavar="A/B", help="stored below this namespace")
    command.add_argument("--no-vectors", action="store_true", help="leave the vectors out: they are embedded anew")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the cache, disk:///path/of/file.db; a file is made if need be")
    command.add_argument("file", metavar="FILE", help="decompressed where it ends in .gz; - for the standard input")
    command.add_argument("--namespace", type=namespace, default=(), metavar="A/B", help="stored below this namespace")
    command.add_argument("--no-vectors", action="store_true", help="leave the vectors out: they are embedded anew")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument("--replace", action="store_true", help="replace what is there (default: by newer ones alone)")
    existing.add_argument("--keep", action="store_true", help="keep what is there, be it older")
    command.add_argument(
        "--bring-back", action="store_true", help="also what was invalidated here since the file was written"
    )
    command.add_argument("--strict", action="store_true", help="stop at the first damaged line")
    command.add_argument("--max-entries", type=positive_integer, metavar="N", help="the application's own limit")
    command.add_argument(
        "--max-bytes",
        type=positive_integer,
        metavar="N",
        help="the application's own limit; without the two nothing is evicted now, but by its next write",
    )
    command.add_argument("--dry-run", action="store_true", help="store nothing; say what would be")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
