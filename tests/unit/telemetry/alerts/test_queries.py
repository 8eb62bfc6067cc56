"""The rule file and the dashboard: Prometheus can read every query, and what they ask for is what a cache tells."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("promql_parser")
pytest.importorskip("yaml")
pytest.importorskip("prometheus_client")
import promql_parser as promql
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parsed

from llmcache_plugins import ConfigError, Request, Usage, open_cache
from llmcache_plugins.recorded import ErrorEvent, EvictionsEvent
from llmcache_plugins.telemetry import PrometheusCollector
from llmcache_plugins.telemetry.alerts import (
    DEFAULT_RULES,
    MEASURES,
    AlertRule,
    grafana_dashboard,
    prometheus_rules,
    write_files,
)
from llmcache_plugins.telemetry.alerts.counted import Counted, Sight
from llmcache_plugins.telemetry.alerts.queries import QUERIES, duration
from llmcache_plugins.types import Answer

Asked = dict[str, set[str]]
"""Names of metrics, and the labels of each that are matched, or kept by an aggregation around it."""

SCRAPED = {"job", "instance"}  # what Prometheus adds to each sample
OWN = {"ALERTS": {"alertname", "alertstate", "severity", "source", "job", "cache"}}


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, set[str]]]:
    """Each metric of a real scrape, with the values of each of its labels."""
    with open_cache("memory://", embedder=None) as cache:
        for number in (1, 2, 1):
            request = Request(f"question {number}", model="small", query_type="status")
            cache.get_or_generate(request, lambda: Answer("yes", usage=Usage(10, 5)))
        cache._emit(ErrorEvent("memory", "StoreUnavailable", is_left_alone=True))
        cache._emit(EvictionsEvent("memory", "server", 1100, 60.0))
        registry = CollectorRegistry(auto_describe=True)
        registry.register(PrometheusCollector({"answers": cache}))
        text = generate_latest(registry).decode()
    found: dict[str, dict[str, set[str]]] = {}
    for family in parsed(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def selectors(node: Any) -> Iterator[Any]:
    """Every selector of a metric below this node of a parsed query."""
    if isinstance(node, promql.VectorSelector):
        yield node
    elif isinstance(node, promql.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql.BinaryExpr):
        yield from selectors(node.lhs)
        yield from selectors(node.rhs)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from selectors(argument)
    elif isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr):
        yield from selectors(node.expr)
    else:
        assert isinstance(node, promql.NumberLiteral), f"{type(node)} is not known here"


def aggregations(node: Any) -> Iterator[Any]:
    if isinstance(node, promql.AggregateExpr):
        yield node
    for name in ("expr", "lhs", "rhs"):
        if hasattr(node, name):
            yield from aggregations(getattr(node, name))
    for argument in getattr(node, "args", ()):
        yield from aggregations(argument)


def check(query: str, told: dict[str, dict[str, set[str]]], records: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """The query can be read, and asks for metrics, labels and values that there are."""
    tree = promql.parse(query)
    found = list(selectors(tree))
    assert found
    for selector in found:
        labels = {name: set() for name in OWN[selector.name]} if selector.name in OWN else told.get(selector.name)
        if selector.name in records:
            assert not selector.matchers.matchers, query
            continue
        assert labels is not None, f"{selector.name} is not told by a cache: {query}"
        for matcher in selector.matchers.matchers:
            if matcher.name in SCRAPED:
                continue
            assert matcher.name in labels, f"{selector.name} has no label {matcher.name}"
            values = labels[matcher.name]
            if values and "$" not in matcher.value:
                for value in matcher.value.split("|"):
                    assert value in values, f"{selector.name} has no {matcher.name} {value}"
    for aggregation in aggregations(tree):
        kept = set(aggregation.modifier.labels) if aggregation.modifier else set()
        for selector in selectors(aggregation.expr):
            known = OWN.get(selector.name) or set(told[selector.name])
            assert kept <= known | SCRAPED, f"{selector.name} has not all of {kept}"


# ---------------------------------------------------------------- the rule file
def rules_of(text: str) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(text)["groups"]
    assert group["name"] == "llmcache"
    return list(group["rules"])


def test_every_query_of_the_rule_file_asks_for_what_a_cache_tells(told: dict[str, dict[str, set[str]]]) -> None:
    records: set[str] = set()
    for rule in rules_of(prometheus_rules()):
        check(rule["expr"], told, records)
        if "record" in rule:
            assert rule["record"] not in records
            records.add(rule["record"])  # of those above it alone: Prometheus goes through a group from the top


def test_the_check_of_queries_finds_what_is_wrong(told: dict[str, dict[str, set[str]]]) -> None:
    for wrong in (
        "llmcache_lookup_total",
        'llmcache_lookups_total{kind="hit"}',
        'llmcache_lookups_total{outcome="hits"}',
        "sum by (tier) (llmcache_lookups_total)",
    ):
        with pytest.raises(AssertionError):
            check(wrong, told)
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        check("sum by (job) (llmcache_lookups_total", told)


def test_each_rule_is_an_alert_with_its_level_and_its_time() -> None:
    alerts = {rule["alert"]: rule for rule in rules_of(prometheus_rules()) if "alert" in rule}
    assert list(alerts) == [f"LLMCache{rule.name}" for rule in DEFAULT_RULES]
    for rule in DEFAULT_RULES:
        found = alerts[f"LLMCache{rule.name}"]
        assert found["labels"] == {"severity": rule.level, "source": "llmcache"}
        assert found.get("for") == (duration(rule.for_seconds) if rule.for_seconds else None)
        assert found["annotations"]["summary"].startswith(MEASURES[rule.measure].help)
        assert re.search(r"\{\{.*\$value.*\}\}", found["annotations"]["summary"])


def test_an_alert_clears_at_its_clear_level_and_needs_its_sample() -> None:
    low = AlertRule(name="Low", measure="hit_rate", side="below", threshold=0.7, clear=0.75, min_sample=50, window=90)
    *_, alert = rules_of(prometheus_rules([low]))
    assert " ".join(alert["expr"].split()) == (
        "( llmcache:hit_rate:90s < 0.7 or llmcache:hit_rate:90s < 0.75 and on (job, cache) "
        'ALERTS{alertname="LLMCacheLow", alertstate="firing"} ) and on (job, cache) llmcache:lookups:90s >= 50'
    )


def test_another_prefix_is_in_every_name() -> None:
    text = prometheus_rules(prefix="app_cache").replace("source: llmcache", "")
    assert "llmcache" not in text
    with pytest.raises(ConfigError, match="prefix must be letters"):
        prometheus_rules(prefix="app-cache")


@pytest.mark.parametrize("measure", ["hit_rate", "hit_rate_fall", "false_hit_rate", "false_hit_rise"])
@pytest.mark.parametrize("numbers", [(30, 500, 5, 300), (5, 300, 30, 500), (299, 300, 1, 200), (0, 200, 0, 200)])
def test_the_queries_of_shares_calculate_what_the_measures_do(measure: str, numbers: tuple[int, int, int, int]) -> None:
    """Both are told the same numbers: arithmetic of PromQL is arithmetic of Python, but for its sign of a power."""
    hits, lookups, hits_before, lookups_before = numbers
    query = QUERIES[measure]("llmcache", "1h")
    values = {"hits": hits, "lookups": lookups, "hits_before": hits_before, "lookups_before": lookups_before}
    values |= {
        "rejected": hits,
        "validated": lookups,
        "rejected_before": hits_before,
        "validated_before": lookups_before,
    }
    text = re.sub(r"llmcache:(\w+):1h", lambda found: f"{values[found[1]]}.0", query.value).replace("^", "**")
    now, before = (
        Counted({"hits": count, "misses": total - count, "rejected": count, "validated": total})  # type: ignore[arg-type]
        for count, total in ((hits, lookups), (hits_before, lookups_before))
    )
    measured = MEASURES[measure].read(Sight(now, before, 3600, 3600))
    assert measured is not None
    assert eval(text, {"sqrt": math.sqrt}) == pytest.approx(measured.value, abs=1e-12)  # noqa: S307  # our own text


# ---------------------------------------------------------------- the dashboard
def queries_of(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_query_of_the_dashboard_asks_for_what_a_cache_tells(told: dict[str, dict[str, set[str]]]) -> None:
    queries = queries_of(grafana_dashboard())
    assert len(queries) > 20
    for query in queries:
        check(query.replace("$__rate_interval", "5m"), told)


def test_it_asks_for_every_metric_that_is_about_hits_and_trouble(told: dict[str, dict[str, set[str]]]) -> None:
    asked = set(re.findall(r"llmcache_\w+", " ".join(queries_of(grafana_dashboard()))))
    wanted = "lookups tier_lookups query_type_lookups evictions errors left_alone validations model_tokens_saved"
    assert {f"llmcache_{name}_total" for name in wanted.split()} <= asked
    assert {"llmcache_store_up", "llmcache_lookup_seconds_bucket", "llmcache_utilisation_ratio"} <= asked


def test_panels_are_beside_and_below_each_other_and_legends_name_labels_that_are_there() -> None:
    dashboard = grafana_dashboard()
    panels = dashboard["panels"]
    assert isinstance(panels, list)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (label, target["expr"])
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)


def test_the_files_in_docs_are_what_is_made() -> None:
    """`write_files("docs")` makes them anew when rules or panels have changed."""
    path = Path(__file__).parents[4] / "docs" / "llmcache-dashboard.json"
    assert json.loads(path.read_text(encoding="utf-8")) == grafana_dashboard()
    rules = Path(__file__).parents[4] / "docs" / "llmcache-rules.yml"
    assert rules.read_text(encoding="utf-8") == prometheus_rules()


def test_both_are_written_as_files(tmp_path: Path) -> None:
    rules, dashboard = write_files(tmp_path, prefix="app")
    assert (rules, dashboard) == (tmp_path / "app-rules.yml", tmp_path / "app-dashboard.json")
    assert rules.read_text() == prometheus_rules(prefix="app")
    assert json.loads(dashboard.read_text()) == grafana_dashboard(prefix="app")
    with pytest.raises(ConfigError, match=r"gone.app-rules\.yml cannot be written: No such file or directory"):
        write_files(tmp_path / "gone", prefix="app")
