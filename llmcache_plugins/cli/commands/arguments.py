"""What several commands read from their arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from llmcache_plugins.errors import ConfigError

__all__ = [
    "BudgetOption",
    "DryRunOption",
    "JsonOption",
    "LexicalOption",
    "NamespaceOption",
    "PlotOption",
    "PricesOption",
    "StoreOption",
    "Texts",
    "ThresholdOption",
    "UrlArgument",
    "UrlOrVariable",
    "at_least_0",
    "duration",
    "milliseconds",
    "namespace",
    "one_url",
    "pair",
    "several",
    "within",
]

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def within(text: str) -> float:
    """Seconds: `90`, `90s`, `5m`, `12h`, `1d`; may be 0."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"must be a time such as 90s, 5m, 12h or 1d, not {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def duration(text: str) -> float:
    """`within`, above 0."""
    seconds = within(text)
    if not seconds:
        raise typer.BadParameter(f"must be a time above 0 such as 90s, 5m, 12h or 1d, not {text!r}")
    return seconds


def milliseconds(text: str) -> float:
    """0 to 60,000."""
    number = _number(text)
    if not 0 <= number <= 60_000:
        raise typer.BadParameter(f"must be from 0 to 60000, not {text}")
    return number


def at_least_0(text: str) -> float:
    """A finite number of at least 0."""
    number = _number(text)
    if not 0 <= number < math.inf:
        raise typer.BadParameter(f"must be a finite number of at least 0, not {text}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, not {text!r}") from None


def namespace(text: str) -> tuple[str, ...]:
    """`a/b` as its parts."""
    parts = tuple(text.split("/"))
    if not all(parts):
        raise typer.BadParameter(f"must be names with a / between them, not {text!r}")
    return parts


def pair(text: str, option: str) -> tuple[str, str]:
    """`NAME=VALUE` as the two, for this option."""
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise typer.BadParameter(f"must be NAME=VALUE, not {text!r}", param_hint=f"'{option}'")
    return name, value


def one_url(url: str | None, store: str | None) -> str | None:
    """The URL of the cache, by its place or by `--store`; None where neither is given.

    Raises:
        ConfigError: both are.
    """
    if url is not None and store is not None:
        raise ConfigError("give the URL of the cache once: by --store or without it, not both")
    return store if url is None else url


def several(one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Reads values with commas between them."""

    def values(text: str) -> tuple[T, ...]:
        return tuple(one(part.strip()) for part in text.split(","))

    return values


JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="change nothing; say what would be done")]
UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="the cache, disk:///path/of/file.db")]
UrlOrVariable = Annotated[
    str | None, typer.Argument(metavar="URL", help="the cache (default: LLMCACHE_URL)", show_default=False)
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="the cache, disk:///path/of/file.db (default: LLMCACHE_URL)"),
]
Texts = list[str] | None
# Any: typer takes a tuple in an annotation for several values.
NamespaceOption = Annotated[
    Any, typer.Option("--namespace", parser=namespace, metavar="A/B", help="stored below this namespace")
]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="draw it")]
PricesOption = Annotated[
    Path | None, typer.Option("--prices", metavar="FILE", help="prices of your own (docs/report.md)")
]
BudgetOption = Annotated[
    float | None,
    typer.Option("--max-error-rate", metavar="X", help="error budget: wrong hits / requests (default: 0.01)"),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--similarity-threshold", metavar="X", help="a plain cosine of at least X decides instead"),
]
LexicalOption = Annotated[bool, typer.Option("--lexical", help="by the LexicalMatcher in place of the embedder")]
