"""The files of the page, out of the package: a fixed list, so that no path of a request ever names a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

__all__ = ["Asset", "assets"]

_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FILES = {
    "/": "static/index.html",
    "/static/style.css": "static/style.css",
    "/static/icon.svg": "static/icon.svg",
    "/static/app.js": "static/app.js",
    "/static/charts.js": "static/charts.js",
    "/static/lists.js": "static/lists.js",
    "/static/words.js": "static/words.js",
    "/vendor/uPlot.iife.min.js": "vendor/uPlot.iife.min.js",
    "/vendor/uPlot.min.css": "vendor/uPlot.min.css",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file and its media type."""

    content: bytes = field(repr=False)
    kind: str


@cache
def assets() -> dict[str, Asset]:
    """By the path that they are asked for under."""
    folder = files("llmcache_plugins.dashboard")
    return {
        path: Asset(folder.joinpath(name).read_bytes(), f"{_KINDS[name[name.rindex('.') :]]}; charset=utf-8")
        for path, name in _FILES.items()
    }
