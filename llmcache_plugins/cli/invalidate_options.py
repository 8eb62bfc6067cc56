"""The options of `llmcache invalidate`: apart from what it does, so that the help needs no cache."""

from __future__ import annotations

import argparse
import re

__all__ = ["add_options"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the cache, disk:///path/of/file.db")
    command.add_argument("--key", action="append", help="of an entry, or the reference of a hit")
    command.add_argument("--tag", action="append", metavar="TAG", help="it has this tag, device:rtr-001 for example")
    command.add_argument("--tag-pattern", action="append", metavar="P", help="it has a tag like this, device:rtr-*")
    command.add_argument("--query-type", action="append", metavar="TYPE", help="it is of this type, or one of these")
    command.add_argument("--model", action="append", help="of this model, or one of these")
    command.add_argument("--level", action="append", help="device, site or global, or several")
    command.add_argument("--older-than", type=_duration, metavar="AGE", help="stored so long ago: 90s, 5m, 2h, 7d")
    command.add_argument("--namespace", type=_namespace, default=(), metavar="A/B", help="stored below this namespace")
    command.add_argument("--meaning", metavar="TEXT", help="its question is near to this text")
    command.add_argument("--similarity", type=float, metavar="X", help="how near, as a cosine (default: 0.9)")
    command.add_argument("--everything", action="store_true", help="all, or all below the namespace")
    command.add_argument("--event", metavar="NAME", help="what this event makes wrong, in place of all above")
    command.add_argument("--set", action="append", type=_pair, metavar="NAME=VALUE", help="an attribute of the event")
    command.add_argument("--rules", metavar="FILE.toml", help="event rules besides the default ones")
    command.add_argument("--mode", choices=("now", "lazy"), help="remove, or mark stale (default: now)")
    command.add_argument("--reason", default="", help="for the log")
    command.add_argument("--dry-run", action="store_true", help="count and list, touch nothing")
    command.add_argument("--log", action="store_true", help="list the invalidations of the last day, and do nothing")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a number with s, m, h or d behind it, not {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def _namespace(text: str) -> tuple[str, ...]:
    parts = tuple(text.split("/"))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"must be names with a / between them, not {text!r}")
    return parts


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name, value
