"""Model files for llmcache-plugins. Data and two functions that find it; nothing is imported or downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["__version__", "embedder_path", "manifest", "verifier_path"]

__version__ = "0.1.0"


def embedder_path() -> Path:
    """The folder with `model.onnx`, `tokenizer.json` and `manifest.json` of the default embedder."""
    return Path(__file__).resolve().parent / "embedder"


def verifier_path() -> Path:
    """The folder of the default verifier, with the same three files, in versions that hold one."""
    return Path(__file__).resolve().parent / "verifier"


def manifest() -> dict[str, Any]:
    """The facts about the default embedder: its `embedder_id`, dimension, limits, and the sha256 of every file."""
    facts: dict[str, Any] = json.loads((embedder_path() / "manifest.json").read_text(encoding="utf-8"))
    return facts
