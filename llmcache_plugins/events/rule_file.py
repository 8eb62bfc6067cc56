"""Event rules in a TOML file: one `[[rule]]` for each."""

from __future__ import annotations

import os
import tomllib

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.paths import as_path
from llmcache_plugins.policies.event_rules import EventRule, event_rules_from

__all__ = ["load_event_rules"]


def load_event_rules(path: str | os.PathLike[str]) -> list[EventRule]:
    """The rules of a file, with the fields of `EventRule`.

    Raises:
        ConfigError: it cannot be read, is no TOML, or says something that no rule has.
    """
    try:
        with as_path(path).open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"event rules cannot be read from {str(path)!r}: {why(error)}") from error
    except (ValueError, RecursionError) as error:  # TOML's own, bad UTF-8, a number too long or nested too deeply
        raise ConfigError(f"{str(path)!r} is no TOML: {error}") from error
    unknown = sorted(set(content) - {"rule"})
    if unknown or "rule" not in content:
        raise ConfigError(
            f"{str(path)!r} must hold [[rule]] tables and nothing else, not {', '.join(unknown) or 'none'}"
        )
    try:
        return event_rules_from(content["rule"])
    except ConfigError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from error
