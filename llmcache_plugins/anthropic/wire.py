"""The HTTP library that the SDK stands on: `httpx` before 1.0, `httpx2` since. Two trees of classes, alike for us."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import anthropic

__all__ = ["httpx"]

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    httpx = import_module("httpx" if anthropic.__version__.startswith("0.") else "httpx2")
