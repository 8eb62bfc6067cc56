"""All commands, as typer knows them; reading a command line is apart from running it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from typing import Annotated, Any

from llmcache_plugins.cli.commands import typer
from llmcache_plugins.cli.commands.asking import COMPARE, EXPLAIN
from llmcache_plugins.cli.commands.command import Command, Run
from llmcache_plugins.cli.commands.dashboard import DASHBOARD
from llmcache_plugins.cli.commands.demo import DEMO
from llmcache_plugins.cli.commands.doctor import DOCTOR
from llmcache_plugins.cli.commands.evaluating import EVAL, TUNE
from llmcache_plugins.cli.commands.invalidate import INVALIDATE
from llmcache_plugins.cli.commands.logs import ANALYZE, REPLAY
from llmcache_plugins.cli.commands.looking import INSPECT, TOP
from llmcache_plugins.cli.commands.reembed import REEMBED
from llmcache_plugins.cli.commands.report import REPORT
from llmcache_plugins.cli.commands.rules import EXPORT_RULES
from llmcache_plugins.cli.commands.stats import STATS
from llmcache_plugins.cli.commands.transfer import EXPORT, IMPORT
from llmcache_plugins.cli.commands.warm import WARM

__all__ = ["COMMANDS", "WrongArguments", "program", "read"]

COMMANDS: tuple[Command, ...] = (
    DEMO,
    DOCTOR,
    EVAL,
    TUNE,
    COMPARE,
    EXPLAIN,
    INSPECT,
    INVALIDATE,
    WARM,
    ANALYZE,
    REPLAY,
    STATS,
    TOP,
    DASHBOARD,
    REPORT,
    EXPORT_RULES,
    EXPORT,
    IMPORT,
    REEMBED,
)
"""In the order of the help."""

# Late versions of typer bring a click of their own, earlier ones use the package: this finds either's `UsageError`.
_UsageError: Any = typer.BadParameter.__mro__[1]


class WrongArguments(Exception):
    """The arguments are none of a command; its help has been printed to stderr. The message is one line."""


def read(arguments: Sequence[str] | None = None) -> Run:
    """Read a command line; nothing is run yet.

    Args:
        arguments: without the program's name; None for those of this process.

    Raises:
        WrongArguments: they are none of a command.
        ConfigError: they do not go together.
        MissingExtraError: the command needs a package that is not installed.
        SystemExit: with 0, after `--help`, `--version` or a completion.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        found = program().main(given, prog_name="llmcache", standalone_mode=False)
    except _UsageError as error:
        # The help goes where the error goes: a program may read stdout. Where nobody can read it, the error stays one.
        with suppress(OSError), redirect_stdout(sys.stderr):
            print(error.ctx.get_help() if error.ctx else "")
        where = error.ctx.command_path if error.ctx else "llmcache"
        raise WrongArguments(f"{where}: {' '.join(error.format_message().split())}") from None
    if callable(found):
        return found  # type: ignore[no-any-return]
    raise SystemExit(found or 0)


@cache
def program() -> Any:
    """The commands as typer has them, a group of click: built once, and only when they are needed."""
    # No pretty exceptions: they print the values of local variables, and questions and answers are among them.
    app = typer.Typer(
        help="A semantic cache for LLM answers.",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_of_all_commands)
    for command in COMMANDS:
        app.command(
            command.name,
            help=command.description or command.summary,
            short_help=command.summary,
            epilog=f"Example: {command.example}",
        )(command.read)
    group: Any = typer.main.get_command(app)
    for parameter in [*group.params, *(one for command in group.commands.values() for one in command.params)]:
        _plain(parameter)
    return group


def _plain(parameter: Any) -> None:
    """Without what some versions of typer say of a parameter and nobody needs: that a flag is a bool, and that nothing
    is the default of what may be left out."""
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    if parameter.default is None:
        parameter.show_default = False


def _say_version(is_wanted: bool) -> None:
    if is_wanted:
        from llmcache_plugins import __version__

        print(f"llmcache-plugins {__version__}")
        raise typer.Exit


def _of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="say which version this is")
    ] = False,
) -> None:
    pass
