"""The commands of `llmcache` as Markdown, read from the program that runs them."""

from __future__ import annotations

from typing import Any

from llmcache_plugins.cli.app import COMMANDS, program


def commands_as_markdown() -> str:
    """A list of all commands, and a section for each with its arguments and options."""
    group = program()
    listed = [f"| [`{command.name}`](#{command.name}) | {_plain(command.summary)} |" for command in COMMANDS]
    sections = [_section(command, group.commands[command.name]) for command in COMMANDS]
    return "\n".join(["| command | |", "| --- | --- |", *listed, "", *sections])


def _section(command: Any, click_command: Any) -> str:
    context = click_command.make_context(command.name, [], resilient_parsing=True)
    usage = " ".join(click_command.collect_usage_pieces(context))
    records = [parameter.get_help_record(context) for parameter in click_command.params]
    rows = [f"| {_code(names)} | {_plain(text)} |" for names, text in filter(None, records)]
    parts = [
        f"## {command.name}",
        _plain(command.description or command.summary),
        f"```console\nllmcache {command.name} {usage}\n{command.example}\n```",
        "\n".join(["| argument or option | |", "| --- | --- |", *rows]) if rows else "",
    ]
    return "\n\n".join(parts) + "\n"


def _code(names: str) -> str:
    return "`" + " ".join(names.split()).replace("|", "\\|") + "`"


def _plain(text: str) -> str:
    """What typer's rich markup or a table would take for something else."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
