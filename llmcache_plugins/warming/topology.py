"""Questions about what there is: templates filled with the names of devices, sites, interfaces."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Request
from llmcache_plugins.warming.wanted import Wanted

__all__ = ["Entities", "after_discovery", "fields_of", "from_topology"]

Entities: TypeAlias = Mapping[str, Sequence[str]] | Sequence[Mapping[str, str]]
"""Names by kind, of which every combination is meant: `{"device": ["rtr-001", "rtr-002"]}`; or rows, of which each is
one thing: `[{"device": "rtr-001", "interface": "Gi0/0"}, ...]`."""
_MOST = 100_000  # questions: more are a mistake in a template, and would be a bill


def from_topology(templates: Sequence[str], entities: Entities, *, priority: float = 1.0) -> list[Wanted]:
    """Every template about every entity: `"show interfaces on {device}"` once for each device.

    The first template is asked about everything before the second: put what matters first. A question carries the
    names in it as tags (`device:rtr-001`), so that invalidation by tag finds its answer. Equal questions come once.

    Args:
        entities: names by kind (several placeholders: every combination), or rows. Of rows, each template takes those
            that have all its placeholders.

    Raises:
        ConfigError: a template is malformed or names a placeholder nobody fills; or there would be more than 100,000
            questions.
    """
    if isinstance(templates, str):
        raise ConfigError("templates must be several: give a list, be it of one")
    found: dict[str, Wanted] = {}
    for template in templates:
        for row in _rows(template, entities):
            text = template.format_map(row)
            found.setdefault(text, Wanted(Request(text, tags=_tags(row)), priority, "topology"))
    return list(found.values())


def after_discovery(
    templates: Sequence[str], entities: Entities, known: Entities, *, priority: float = 1.0
) -> list[Wanted]:
    """The questions that `entities` adds to those about what was `known` before a discovery: both in one shape."""
    before = {one.text for one in from_topology(_askable(templates, known), known)}
    return [one for one in from_topology(templates, entities, priority=priority) if one.text not in before]


def _askable(templates: Sequence[str], known: Entities) -> list[str]:
    """Of nothing known there is nothing to ask, which is no mistake here."""
    kinds = set(known) if isinstance(known, Mapping) else {name for row in known for name in row}
    return [template for template in templates if set(fields_of(template)) <= kinds]


def _rows(template: str, entities: Entities) -> Iterator[Mapping[str, str]]:
    names = fields_of(template)
    if isinstance(entities, Mapping):
        yield from _combinations(template, names, entities)
        return
    rows = [{name: row[name] for name in names} for row in entities if all(name in row for name in names)]
    if not rows:
        raise ConfigError(f"no entity has all of {_listed(names)}, which the template {template!r} needs")
    if len(rows) > _MOST:
        raise ConfigError(f"the template {template!r} would make {len(rows):,} questions; at most {_MOST:,} may be")
    yield from rows


def _combinations(
    template: str, names: Sequence[str], entities: Mapping[str, Sequence[str]]
) -> Iterator[Mapping[str, str]]:
    for name in names:
        if name not in entities:
            raise ConfigError(f"the template {template!r} needs {name!r}; there is {_listed(sorted(entities))}")
        if isinstance(entities[name], str):
            raise ConfigError(f"the names of {name!r} must be a list, not one string")
    count = math.prod(len(entities[name]) for name in names)
    if count > _MOST:
        raise ConfigError(f"the template {template!r} would make {count:,} questions; at most {_MOST:,} may be")
    for values in product(*(entities[name] for name in names)):
        yield dict(zip(names, values, strict=True))


@lru_cache(maxsize=1024)
def fields_of(template: str) -> tuple[str, ...]:
    """The placeholders of a template, each once, in order. Names alone: `{a.b}` or `{a!r}` would reach into objects.

    >>> fields_of("show {what} on {device}")
    ('what', 'device')
    """
    try:
        parts = list(string.Formatter().parse(template))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"a template is text with {{placeholders}}, not {template!r}") from error
    names: list[str] = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ConfigError(f"a placeholder is a name in braces, {{device}} for example; see {template!r}")
        if name not in names:
            names.append(name)
    return tuple(names)


def _tags(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}:{value}" for name, value in row.items() if isinstance(value, str) and value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
