"""Alert rules as a rule file of Prometheus, which then watches in place of the process. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from llmcache_plugins.telemetry.alerts.measures import MEASURES
from llmcache_plugins.telemetry.alerts.queries import BY, QUERIES, Query, checked_prefix, duration
from llmcache_plugins.telemetry.alerts.rules import DEFAULT_RULES, AlertRule, checked_rules

__all__ = ["ALERT_PREFIX", "SOURCE", "prometheus_rules"]

ALERT_PREFIX = "LLMCache"
"""What names of alerts begin with there: Prometheus has one room for the alerts of all applications."""

SOURCE = "llmcache"
"""The label `source` of these alerts."""

_HUMAN = {"ratio": "{{ $value | humanizePercentage }}", "seconds": "{{ $value | humanizeDuration }}"}


def prometheus_rules(rules: Iterable[AlertRule] = DEFAULT_RULES, *, prefix: str = "llmcache") -> str:
    """A rule file (YAML) that fires and clears by the same thresholds, over the metrics of `PrometheusCollector`.

    First stand recording rules, named `llmcache:hits:15m` for instance, then the alerts, each with the labels
    `severity` (the rule's level) and `source="llmcache"`. A clear level is kept by asking whether the alert is firing.

    It is about the processes of a job together, where `Alerts` is about one, so a minimum sample is reached sooner; and
    an alert of which too little is known any more clears at once.

    Args:
        prefix: that of the collector.

    Raises:
        ConfigError: no rules, a name twice, or a prefix that Prometheus does not allow.
    """
    known, prefix = checked_rules(rules), checked_prefix(prefix)
    found = [(rule, QUERIES[rule.measure](prefix, duration(rule.window))) for rule in known]
    records = {name: text for _, query in found for name, text in query.records.items()}
    values = {_value_of(rule, prefix): query.value for rule, query in found}
    lines = ["groups:", f"  - name: {prefix}", "    rules:"]
    for name, text in {**records, **values}.items():
        lines += [f"      - record: {name}", f"        expr: {json.dumps(text)}"]
    for rule, query in found:
        lines += _alert(rule, query, prefix)
    return "\n".join(lines) + "\n"


def _value_of(rule: AlertRule, prefix: str) -> str:
    """The record of what the rule measures: rules with one measure and one window share it."""
    return f"{prefix}:{rule.measure}:{duration(rule.window)}"


def _alert(rule: AlertRule, query: Query, prefix: str) -> Iterator[str]:
    """JSON's texts are YAML's, too."""
    unit = MEASURES[rule.measure].unit
    value = _HUMAN.get(unit, '{{ printf "%.4g" $value }}' + (f" {unit}" if unit else ""))
    yield f"      - alert: {ALERT_PREFIX}{rule.name}"
    yield "        expr: |-"
    yield from (f"          {line}" for line in _condition(rule, query, prefix))
    if rule.for_seconds:
        yield f"        for: {duration(rule.for_seconds)}"
    yield "        labels:"
    yield f"          severity: {rule.level}"
    yield f"          source: {SOURCE}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(f'{MEASURES[rule.measure].help}: {value}')}"
    yield f"          description: {json.dumps(f'{rule.measure}, fires {rule.side} {rule.threshold:g}')}"


def _condition(rule: AlertRule, query: Query, prefix: str) -> Iterator[str]:
    value, sign = _value_of(rule, prefix), ">" if rule.side == "above" else "<"
    lines = [f"{value} {sign} {rule.threshold!r}"]
    if rule.clear is not None:
        fires = f'ALERTS{{alertname="{ALERT_PREFIX}{rule.name}", alertstate="firing"}}'
        lines += [f"or {value} {sign} {rule.clear!r} and on ({BY}) {fires}"]
    enough = [f"and on ({BY}) {sample} >= {rule.min_sample}" for sample in query.samples if rule.min_sample]
    yield from ["(", *(f"  {line}" for line in lines), ")", *enough] if enough else lines
