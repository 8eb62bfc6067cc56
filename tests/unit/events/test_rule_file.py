"""Event rules in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcache_plugins import EventRule, load_event_rules
from llmcache_plugins.errors import ConfigError


def test_rules_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rule]]\nevent = "bgp_neighbor_down"\ntags = ["device:{device}", "topic:neighbours"]\n\n'
        '[[rule]]\nevent = "price_list"\nquery_types = "listing"\nmode = "gradual"\n',
        encoding="utf-8",
    )
    assert load_event_rules(path) == [
        EventRule(event="bgp_neighbor_down", tags=("device:{device}", "topic:neighbours")),
        EventRule(event="price_list", query_types=("listing",), mode="gradual"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[[rule]", "no TOML"),
        (b"\xff", "no TOML"),
        (b"", "must hold"),
        (b"[[rules]]\nevent='e'\ntags='t'", "rules"),
        (b"[rule]\nevent='e'\ntags='t'", "list of tables"),
        (b"[[rule]]\nevent='e'\ntag='t'", "rule 1 has no field tag"),
        (b"[[rule]]\nevent='e'\ntags='t{'", "rule 1: 't{'"),
        (b"[[rule]]\nevent='e'\ntags=3", "rule 1: tags"),
    ],
)
def test_a_file_that_cannot_work_is_refused_and_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as refused:
        load_event_rules(path)
    assert "rules.toml" in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_event_rules(tmp_path / "none.toml")
