"""What several commands read from their arguments."""

from __future__ import annotations

import argparse
import re

__all__ = ["duration", "namespace", "positive_integer"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration(text: str) -> float:
    """Seconds: `90`, `90s`, `5m`, `12h`, `1d`."""
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = 0.0 if match is None else float(match[1]) * _SECONDS[match[2]]
    if not seconds:
        raise argparse.ArgumentTypeError(f"must be a time above 0 such as 90s, 5m, 12h or 1d, not {text!r}")
    return seconds


def namespace(text: str) -> tuple[str, ...]:
    """`a/b` as its parts."""
    parts = tuple(text.split("/"))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"must be names with a / between them, not {text!r}")
    return parts


def positive_integer(text: str) -> int:
    """At least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number
