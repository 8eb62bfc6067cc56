"""From an event to what it makes wrong: rules that turn `config_change, device=rtr-001` into selectors. Pure.

What an event says is taken literally: a device called `*` is one device. Case does not count, for a monitor writes
`RTR-001` where a user asked about `rtr-001`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from string import Formatter
from typing import Any, TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.tags import device_tags
from llmcache_plugins.selection import Selector

__all__ = ["DEFAULT_EVENT_RULES", "MODES", "Attributes", "EventRule", "EventRules", "event_rules_from", "literal"]

MODES = ("now", "lazy", "gradual")
Attributes: TypeAlias = Mapping[str, str | int | Sequence[str | int]]

_MOST_VALUES = 1000  # selectors that one event may become: more are a mistake, or an attack on a webhook
_LONGEST_VALUE = 256
_SPECIAL = "*?["  # what means something in a tag pattern
_Pieces: TypeAlias = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """What an event makes wrong: the entries for which all that is given here holds.

    `tags` and `tag_patterns` may name attributes of the event, `"device:{device}"`. A rule whose attributes the event
    does not have says nothing about it. Several rules of one event add up.

    Args:
        event: its name.
        tags: the entry has all of these; `*` and `?` mean themselves.
        tag_patterns: for each of these the entry has a tag that fits; `*` and `?` of the rule mean any text and any
            sign, those in a value mean themselves.
        query_types: the entry is of one of these types.
        models: the answer is of one of these models.
        levels: the entry's label is of one of these levels.
        unless: attributes; an event that has one of them is another rule's.
        mode: how, see `SemanticCache.invalidate`.
        rate: new answers in a second, of a gradual one.

    Raises:
        ConfigError: a field is no text or no template, or nothing is selected by.
    """

    event: str
    tags: tuple[str, ...] = ()
    tag_patterns: tuple[str, ...] = ()
    query_types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    mode: str = "now"
    rate: float = 10.0

    def __post_init__(self) -> None:
        if not (isinstance(self.event, str) and self.event.strip()):
            raise ConfigError(f"event must be a non-empty string, not {self.event!r}")
        if self.mode not in MODES:
            raise ConfigError(f"mode of event {self.event!r} must be one of {', '.join(MODES)}, not {self.mode!r}")
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0.001 <= self.rate <= 1e6:
            raise ConfigError(f"rate of event {self.event!r} must be a number from 0.001 to 1e+06, not {self.rate!r}")
        for name in ("tags", "tag_patterns", "query_types", "models", "levels", "unless"):
            object.__setattr__(self, name, _texts(f"{name} of event {self.event!r}", getattr(self, name)))
        if not (self.tags or self.tag_patterns or self.query_types or self.models or self.levels):
            raise ConfigError(f"a rule of event {self.event!r} must select by something: tags, query_types, ...")
        for template in (*self.tags, *self.tag_patterns):
            _pieces(template)
        self.selectors(dict.fromkeys(self.needs, "x"))

    @property
    def needs(self) -> frozenset[str]:
        """The attributes it names."""
        return frozenset(
            name for template in (*self.tags, *self.tag_patterns) for _, name in _pieces(template) if name is not None
        )

    def applies(self, attributes: Attributes) -> bool:
        """Does the event have all attributes it names, and none of `unless`?"""
        return self.needs <= attributes.keys() and not any(name in attributes for name in self.unless)

    def selectors(self, attributes: Attributes) -> list[Selector]:
        """One selector for each combination of the values; for several devices of one event, for example.

        Raises:
            ConfigError: a value is no text and no number, empty, too long, or there are too many.
        """
        names = sorted(self.needs)
        values = [_values(name, attributes[name]) for name in names]
        values = [_WIDENED[name](each) if name in _WIDENED else each for name, each in zip(names, values, strict=True)]
        if _product(len(each) for each in values) > _MOST_VALUES:
            raise ConfigError(f"event {self.event!r} names more than {_MOST_VALUES} combinations of values")
        return [self._selector(dict(zip(names, chosen, strict=True))) for chosen in itertools.product(*values)]

    def _selector(self, values: Mapping[str, str]) -> Selector:
        plain = tuple(tag for tag in self.tags if not _names(tag))
        filled = [_filled(tag, values, is_pattern=False) for tag in self.tags if _names(tag)]
        patterns = [_filled(pattern, values, is_pattern=True) for pattern in self.tag_patterns]
        return Selector(
            tags=tuple(_plain(tag) for tag in plain),
            tag_patterns=(*filled, *patterns),
            query_types=self.query_types,
            models=self.models,
            levels=self.levels,
        )


class EventRules:
    """The rules of a cache, by event: the default ones, and a user's own in place of those of the same event.

    Raises:
        ConfigError: something in `own` is no `EventRule`.
    """

    def __init__(self, own: Iterable[EventRule] = (), *, with_defaults: bool = True) -> None:
        rules = tuple(own)
        for rule in rules:
            if not isinstance(rule, EventRule):
                raise ConfigError(f"an event rule is an EventRule, not {type(rule).__name__}")
        replaced = {rule.event for rule in rules}
        kept = [rule for rule in DEFAULT_EVENT_RULES if rule.event not in replaced] if with_defaults else []
        self._rules: dict[str, list[EventRule]] = {}
        for rule in (*kept, *rules):
            self._rules.setdefault(rule.event, []).append(rule)

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events that are known."""
        return tuple(self._rules)

    def needs(self, event: str) -> frozenset[str]:
        """All attributes that rules of the event name.

        Raises:
            ConfigError: no rule knows it.
        """
        return frozenset(name for rule in self._of(event) for name in rule.needs)

    def plan(self, event: str, attributes: Attributes) -> list[tuple[str, float, list[Selector]]]:
        """What to do about an event: (mode, rate, selectors), once for each mode and rate that its rules ask for.

        Raises:
            ConfigError: no rule knows the event, or it lacks what its rules need.
        """
        rules = self._of(event)
        applying = [rule for rule in rules if rule.applies(attributes)]
        if not applying:
            lacking = sorted({name for rule in rules for name in rule.needs - attributes.keys()})
            raise ConfigError(f"event {event!r} says nothing without {', '.join(lacking)}")
        plan: dict[tuple[str, float], list[Selector]] = {}
        for rule in applying:
            selectors = plan.setdefault((rule.mode, rule.rate), [])
            selectors.extend(selector for selector in rule.selectors(attributes) if selector not in selectors)
        return [(mode, rate, selectors) for (mode, rate), selectors in plan.items()]

    def _of(self, event: str) -> list[EventRule]:
        rules = self._rules.get(event) if isinstance(event, str) else None
        if rules is None:
            raise ConfigError(f"no rule for event {event!r}; known are {', '.join(self._rules) or 'none'}")
        return rules


def event_rules_from(tables: Any) -> list[EventRule]:
    """Rules from what a file says: a list of tables with the fields of `EventRule`.

    Raises:
        ConfigError: it is no such list, or a field has another name or another type.
    """
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigError("event rules must be a list of tables, in TOML one [[rule]] for each")
    known = {f.name for f in fields(EventRule)}
    rules = []
    for number, table in enumerate(tables, 1):
        unknown = sorted(set(table) - known)
        if unknown:
            raise ConfigError(
                f"event rule {number} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        if "event" not in table:
            raise ConfigError(f"event rule {number} lacks the field event")
        try:
            rules.append(EventRule(**table))
        except ConfigError as error:
            raise ConfigError(f"event rule {number}: {error}") from error
    return rules


def literal(value: str) -> str:
    """A tag pattern that fits this text alone, in upper or lower case.

    >>> literal("ab-1*")
    '[aA][bB]-1[*]'
    """
    return "".join(
        f"[{signs}]" if len(signs := sign + _swapped(sign)) > 1 or sign in _SPECIAL else sign for sign in value
    )


def _swapped(sign: str) -> str:
    """The letter in the other case; empty for what has none, or more than one sign of it."""
    other = sign.swapcase()
    return other if len(other) == 1 and other != sign else ""


def _filled(template: str, values: Mapping[str, str], *, is_pattern: bool) -> str:
    filled = ""
    for text, name in _pieces(template):
        filled += text if is_pattern else "".join(f"[{sign}]" if sign in _SPECIAL else sign for sign in text)
        filled += literal(values[name]) if name is not None else ""
    return filled


def _plain(template: str) -> str:
    return "".join(text for text, _ in _pieces(template))


def _names(template: str) -> bool:
    return any(name is not None for _, name in _pieces(template))


def _pieces(template: str) -> _Pieces:
    """Text and name of an attribute by turns: `device:{device}` -> `device:`, `device`.

    Raises:
        ConfigError: a brace is open, or there is more in braces than a name.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"{template!r} is no template: {error}") from error
    for _, name, form, conversion in parsed:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise ConfigError(f"{template!r} is no template: in braces stands the name of an attribute alone")
    return tuple((text, name) for text, name, _, _ in parsed)


def _values(name: str, given: Any) -> list[str]:
    values = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    texts = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"attribute {name} of an event must be text, a number or several, not {value!r}")
        text = str(value).strip()
        if not text or len(text) > _LONGEST_VALUE:
            raise ConfigError(f"attribute {name} of an event must have from 1 to {_LONGEST_VALUE} signs")
        if text not in texts:
            texts.append(text)
    if not texts:
        raise ConfigError(f"attribute {name} of an event must have a value")
    return texts


def _with_short_names(interfaces: Sequence[str]) -> list[str]:
    """The interfaces, and the names that profilers give them: `GigabitEthernet0/0` is `gi0/0` too."""
    short = (tag.removeprefix("interface:") for name in interfaces for tag in device_tags(name))
    return list(dict.fromkeys([*interfaces, *(name for name in short if ":" not in name)]))


def _with_hosts(devices: Sequence[str]) -> list[str]:
    """The devices, and `rtr-001` besides `rtr-001.example.net`: a user writes the one, a monitor the other."""
    hosts = (name.lower().partition(".")[0] for name in devices if f"device:{name.lower()}" in device_tags(name))
    return list(dict.fromkeys([*devices, *hosts]))


_WIDENED = {"interface": _with_short_names, "device": _with_hosts}


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else (None,)
    if not all(isinstance(text, str) and text for text in texts):
        raise ConfigError(f"{name} must be a non-empty string or several of them, not {value!r}")
    return texts


def _product(counts: Iterable[int]) -> int:
    product = 1
    for count in counts:
        product *= count
    return product


def _about(event: str, patterns: Sequence[str], tags: tuple[str, ...] = (), **given: Any) -> list[EventRule]:
    """One rule for each pattern: a selector joins its parts by AND, rules add up."""
    return [EventRule(event=event, tags=tags, tag_patterns=(pattern,), **given) for pattern in patterns]


_DEVICE = ("device:{device}",)
_SITE = ("site:{site}",)
_INTERFACES = ("topic:interfaces", "interface:*", "type:*interface*", "type:port*")
_TOPOLOGY = ("topic:topology", "topic:neighbours", "type:*topolog*", "type:*neighbo*", "type:*peer*")

# The tags come from the profiler (`device:`, `interface:`, `topic:`, `level:`) and from a `QueryContext` (`type:`).
DEFAULT_EVENT_RULES: tuple[EventRule, ...] = (
    EventRule(event="config_change", tags=_DEVICE, query_types=("configuration",)),
    *_about("config_change", ("topic:configuration", "type:*config*"), _DEVICE),
    EventRule(event="device_reboot", tags=_DEVICE),
    *_about("interface_state", _INTERFACES, _DEVICE, unless=("interface",)),
    EventRule(event="interface_state", tags=(*_DEVICE, "interface:{interface}")),
    # "Which interfaces are down?" names none of them, and its answer is wrong when any of them changes.
    EventRule(event="interface_state", tags=(*_DEVICE, "interfaces:all")),
    *_about("topology_change", _TOPOLOGY, ("level:global",)),
    *_about("topology_change", _TOPOLOGY, ("level:site",), unless=("site",)),
    *_about("topology_change", _TOPOLOGY, ("level:site", *_SITE)),
)
