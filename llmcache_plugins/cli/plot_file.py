"""Where a picture goes: looked at before the work that it shows, and written after the result was printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from llmcache_plugins.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_plot", "write_plot"]


def check_plot(path: Path) -> None:
    """Nothing is written; matplotlib has to be installed.

    Raises:
        ConfigError: matplotlib knows no such ending, there is no such folder, or this user cannot write there.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    ending = path.suffix.removeprefix(".").lower()
    if ending and ending not in known:  # without one matplotlib adds .png
        raise _cannot(path, f"it must end in one of .{', .'.join(sorted(known))}")
    if not path.parent.is_dir():
        raise _cannot(path, f"there is no folder {path.parent}")
    if path.is_dir():
        raise _cannot(path, "it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _cannot(path, "this user cannot write there")


def write_plot(figure: Figure, path: Path) -> None:
    """Write it as PNG, PDF or SVG, by the ending of the name.

    Raises:
        ConfigError: no such ending, or the file cannot be written.
    """
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise _cannot(path, str(error)) from error


def _cannot(path: Path, why: str) -> ConfigError:
    return ConfigError(f"the plot cannot be written to {path}: {why}")
