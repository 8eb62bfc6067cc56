from __future__ import annotations

import pytest

from llmcache_plugins.matching.features import features_of


def kinds(text):
    return [(token.text, token.kind) for token in features_of(text).tokens]


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        ("router", "word"),
        ("5", "number"),
        ("$5,000.50", "number"),
        ("10MB", "measure"),
        ("5th", "measure"),
        ("14:30", "clock"),
        ("2pm", "clock"),
        ("2026-02-12", "date"),
        ("2026-02-12T10:00:00Z", "date"),
        ("v1.2.3", "version"),
        ("15.2(4)M3", "version"),
        ("10.1.1.0/24", "ip"),
        ("fe80::1", "ip"),
        ("/24", "prefix"),
        ("1/0/1", "slashed"),
        ("aabb.ccdd.eeff", "mac"),
        ("rtr-001", "name"),
        ("Gi0/0/0", "name"),
        ("my_table.col", "name"),
        ("https://example.com/x", "name"),
        ("/etc/hosts", "exact"),
        ("--verbose", "exact"),
        ("!=", "operator"),
    ],
)
def test_kind_of_a_piece(piece, kind):
    assert kinds(f"see {piece} there")[1] == (piece, kind)


def test_punctuation_around_a_piece_is_not_part_of_it():
    assert kinds('(see "rtr-001", please!)') == [("see", "word"), ("rtr-001", "name"), ("please", "word")]


def test_the_flow_keeps_the_ends_of_clauses():
    assert features_of("Is it up, isn't it?").words == ("is", "it", "up", ",", "isn't", "it", "?")


def test_numbers_beside_a_script_without_spaces_are_tokens():
    assert ("10", "number") in kinds("端口10关闭")


def test_a_piece_without_end_is_one_name():
    assert kinds("a-" * 5000)[0][1] == "exact"


def test_an_extraction_runs_once_per_text():
    calls = []

    def extract(features):
        calls.append(features.text)
        return len(features.tokens)

    features = features_of("one parse for all")
    assert features.get(extract) == features.get(extract) == 4
    assert calls == ["one parse for all"]


def test_short_and_long_texts_are_parsed_once_and_huge_ones_are_not_kept():
    for length, is_kept in ((100, True), (3_000, True), (30_000, False)):
        text = "x" * length
        assert (features_of(text) is features_of(text)) == is_kept
