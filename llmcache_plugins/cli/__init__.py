"""The command `llmcache`. `llmcache --help` lists what it can do; each command is a module of `cli.commands`, which
reads its arguments, and one of `cli`, which runs it.

Exit codes: 0 all well, 1 something failed while it ran, 2 it could not start (wrong arguments, a missing package).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, and raises SystemExit only for `--help`, `--version` and completion."""
    arguments = sys.argv[1:] if argv is None else list(argv)
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
        print(error, file=sys.stderr)
        return 2
    except (ConfigError, MissingExtraError) as error:
        print(f"{named}: {error}", file=sys.stderr)
        return 2
    except LLMCacheError as error:
        print(f"{named}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader went away, `| head` for example
        _let_go_of_stdout()
        return 1
    except OSError as error:
        print(f"{named}: {type(error).__name__}: {error}", file=sys.stderr)
        _let_go_of_stdout()
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells have it


def _without_typer(arguments: Sequence[str], error: MissingExtraError) -> int:
    """Without what reads arguments only `llmcache doctor` runs, without any: it says what is missing."""
    if list(arguments) != ["doctor"]:
        print(f"{error}\n`llmcache doctor` says what else is missing", file=sys.stderr)
        return 2
    from llmcache_plugins.cli.doctor import run_doctor

    return run_doctor()


def _print_any_text() -> None:
    """What the output's encoding lacks is printed as an escape: a name in somebody's data must not end the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Where the output takes nothing any more, the interpreter must not flush into it again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
