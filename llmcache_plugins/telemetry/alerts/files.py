"""The rule file and the dashboard, as files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.telemetry.alerts.grafana import grafana_dashboard
from llmcache_plugins.telemetry.alerts.prometheus_rules import prometheus_rules
from llmcache_plugins.telemetry.alerts.rules import DEFAULT_RULES, AlertRule

__all__ = ["write_files"]


def write_files(
    folder: str | Path, rules: Iterable[AlertRule] = DEFAULT_RULES, *, prefix: str = "llmcache"
) -> tuple[Path, Path]:
    """Write `<prefix>-rules.yml` for Prometheus and `<prefix>-dashboard.json` for Grafana; files of these names are
    written over.

    Returns:
        Their paths, in this order.

    Raises:
        ConfigError: see `prometheus_rules`; or the folder is none, or nothing can be written in it.
    """
    if not isinstance(folder, str | Path):
        raise ConfigError(f"folder must be a path, not {type(folder).__name__}")
    texts = {
        f"{prefix}-rules.yml": prometheus_rules(rules, prefix=prefix),
        f"{prefix}-dashboard.json": json.dumps(grafana_dashboard(prefix=prefix), indent=1) + "\n",
    }
    paths = []
    for name, text in texts.items():
        path = Path(folder) / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {why(error)}") from error
        paths.append(path)
    return paths[0], paths[1]
