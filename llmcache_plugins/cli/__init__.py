"""The command `llmcache`. `llmcache --help` lists what it can do; each command is a module of `cli.commands`, which
reads its arguments, and one of `cli`, which runs it.

Exit codes: 0 all well, 1 something failed while it ran, 2 it could not start (wrong arguments, a missing package).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import TextIO

from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, and raises SystemExit only for `--help`, `--version` and completion."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if sys.stderr is not None:
        return _run(arguments)
    # Closed (`2>&-`). What is printed to None goes to stdout, and a file that is opened next would be file 2, into
    # which libraries write.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    named = f"llmcache {arguments[0]}" if arguments and not arguments[0].startswith("-") else "llmcache"
    try:
        from llmcache_plugins.cli.app import WrongArguments, read
    except MissingExtraError as error:
        return _without_typer(arguments, error)
    _print_any_text()
    try:
        code = read(arguments)()
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is said here, not by the interpreter when it ends
        return code
    except WrongArguments as error:
        _complain(str(error))
        return 2
    except (ConfigError, MissingExtraError) as error:
        _complain(f"{named}: {error}")
        return 2
    except LLMCacheError as error:
        _complain(f"{named}: {type(error).__name__}: {error}")
        return 1
    except BrokenPipeError:  # the reader went away, `| head` for example
        _let_go_of(sys.stdout)
        return 1
    except OSError as error:
        _complain(f"{named}: {type(error).__name__}: {error}")
        _let_go_of(sys.stdout)
        return 1
    except KeyboardInterrupt:
        _complain("stopped")
        return 130  # 128 + SIGINT, as shells have it


def _without_typer(arguments: Sequence[str], error: MissingExtraError) -> int:
    """Without what reads arguments only `llmcache doctor` runs, without any: it says what is missing."""
    if list(arguments) != ["doctor"]:
        _complain(f"{error}\n`llmcache doctor` says what else is missing")
        return 2
    from llmcache_plugins.cli.doctor import run_doctor

    return run_doctor()


def _print_any_text() -> None:
    """What the output's encoding lacks is printed as an escape: a name in somebody's data must not end the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _complain(said: str) -> None:
    """On stderr; where that takes nothing, the exit code alone says it."""
    with suppress(OSError):
        print(said, file=sys.stderr)
    _let_go_of(sys.stderr)


def _let_go_of(stream: TextIO | None) -> None:
    """Where an output takes nothing any more, the interpreter must not flush into it again when it ends."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
