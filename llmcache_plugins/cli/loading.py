"""Objects of the user's own that are named on the command line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from llmcache_plugins.errors import ConfigError

__all__ = ["loaded"]


def loaded(name: str, option: str) -> Any:
    """The object `package.module:name`, from the current folder too.

    Args:
        option: that named it, for the error.

    Raises:
        ConfigError: it is not there.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{option} must be module:name, not {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{option} {name}: there is no module {error.name}") from error
    except AttributeError as error:
        raise ConfigError(f"{option} {name}: {error}") from error
    return found
