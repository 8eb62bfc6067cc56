"""docs/recorders.md: its code prints what its comments say, and its table has every metric, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("ddsketch")
from prometheus_client import CollectorRegistry

from llmcache_plugins import open_cache
from llmcache_plugins.telemetry import PrometheusCollector

PATH = Path(__file__).parents[3] / "docs" / "recorders.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_its_code_prints_what_its_comments_say(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "recorders"}
    exec(compile(code, str(PATH), "exec"), names)
    said = [match[1].strip() for match in re.finditer(r"^ *print\(.*# (.*)$", code, flags=re.MULTILINE)]
    assert said
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line in said] == said


def test_its_table_has_every_metric_and_its_labels() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.get_or_generate("What is BGP?", lambda: "A routing protocol.")
        registry = CollectorRegistry()
        registry.register(PrometheusCollector(cache, namespaces=True))
        found = {
            f"{family.name}_total" if family.type == "counter" else family.name: {
                label for sample in family.samples for label in sample.labels if label != "le"
            }
            for family in registry.collect()
        }
    told = {
        name: set(re.findall(r"`(\w+)`", labels))
        for names, labels in re.findall(r"^\| (`llmcache_[^|]*)\|([^|]*)\|", PAGE, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(told) == set(found)
    for name, labels in found.items():  # what did not happen yet has no sample, and so no labels
        assert labels in (told[name], set()), name


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
