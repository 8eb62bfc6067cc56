"""`llmcache export-rules`: the alert rules as a file for Prometheus, and a dashboard for Grafana."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RulesOptions", "run_rules"]


@dataclass(frozen=True, slots=True)
class RulesOptions:
    """Arguments of the command.

    Args:
        folder: where both files go.
        prefix: of the metrics' names and of the files'.
        as_json: print the paths as JSON.
    """

    folder: Path
    prefix: str = "llmcache"
    as_json: bool = False


def run_rules(options: RulesOptions, say: Callable[[str], None] = print) -> int:
    """Write the files and say where they are.

    Raises:
        ConfigError: the prefix is none, or the folder cannot be written in.
    """
    from llmcache_plugins.telemetry.alerts import write_files

    rules, dashboard = write_files(options.folder, prefix=options.prefix)
    if options.as_json:
        say(json.dumps({"rules": str(rules), "dashboard": str(dashboard)}))
    else:
        say(f"{rules}: name it under rule_files in prometheus.yml\n{dashboard}: import it in Grafana")
    return 0
