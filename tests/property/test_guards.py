"""Guards never raise, do not care who asked first, never veto a text against itself, and take linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcache_plugins.matching.guards import DEFAULT_GUARDS, judge

_PIECES = """
    10 1,000 3.11 v1.2 1e5 10**400 rtr-001 Gi0/0 0/1 10.1.1.0/24 999.1.1.1 ::1 fe80:: a:b:c 255.255.255.0 /24 /999
    2026-02-12 2026-99-99 12/31/2026 25:61 2pm 99pm pm Q3 may May monday today last week twenty one two hundred and
    million half dozen 5% $5 -5 +5 5" 5' 'a "b `c ``` don't not no without isn't it ? , enable disable up down turn off
    un in dis BGP OSPFs US ½ ² ５ ١ # #1 -o --x != == https://x y@z.w /a/b C:\\ a_b _ __ . .. ... '' "" «x» 中文 10月
    from to than minus via nicht ohne mit einschalten ausschalten no pas désactiver activer unreachable reachable
    painless painful except other morning evening fall term 5m 5M 5K 5b 5G 5d degrees °C square km/h Mb/s MBps 5s iPhone
    who when where why how which what many long best largest most least second only first at least than in French
    into Python as JSON briefly Please ensure Paris the us Anna dog cats deployment table he she by for fix update can't
    das ist wie que la les и что 我 の ß ¿ El Niño hi thanks again Java c++ c#
    15.2(4)M3 (4) v v.
    third quarter of a half dozen twice per cent 000 1/2 500/1000 WWII '16 Rs ; only some
    1. .5 5. 1..2 e 1e999 9e-99 0x1 aabb.ccdd.eeff 's n't -"""
PIECES = st.sampled_from(_PIECES.split())
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=80),  # lone surrogates included
    st.lists(PIECES, max_size=12).map(" ".join),
    st.lists(PIECES, max_size=6).map("".join),
    st.integers(1, 500).map(lambda digits: f"{10**digits} and -{10**digits}.{10**digits}e{10**9}"),
    st.recursive(st.sampled_from(["a", "b 1"]), lambda inner: inner.map(lambda text: f"\"'`{text}`'\""), max_leaves=5),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, TEXTS)
def test_verdicts_are_symmetric_and_nothing_raises(left, right):
    there, back = judge(left, right), judge(right, left)
    assert [verdict.verdict for verdict in there] == [verdict.verdict for verdict in back]


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_a_text_never_conflicts_with_itself(text):
    assert all(verdict.verdict != "conflict" for verdict in judge(text, text))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_outer_space_changes_no_verdict(text):
    assert judge(text, f" {text}\n") == judge(text, text)


SPITEFUL = (
    "1 ", "-", '"', "a-", "'a ", "'", "`", "```", "a.", "1/", "1.", "1,", "(", "x1 ", "'a' ", "$", "2026-01-01 ", "aa:",
    ":", "not ", "no, ", "«", "é", "\ud800", "a_", "=", "v1.", "twenty ", "one hundred and ", "up down ", '"a" "',
    "a'a", "unlock ", "A1 B", "/a", "%", "#", "10 to ", "1 2 ", "at 2 ", "may 1 ", "255.255.255.0 ", "中1",
    "5 m ", "5m 5M ", "rtr-1 to ", "from rtr-1 to rtr-2 ", "to ", "a into b ", "nicht ", "mit ohne ein. ",
    "who and when ", "what the ", "in a markdown ", "us ", "US us ", "polish ", "new york ", "can't how do ",
    "? no . ", "Anna Bob ", "deployment a ", "table ", "largest most ", "у ", "的", "he she by ",
    "Please use. ", "the of ", "most ",
    "not unlocked ",
    "what is it and how do I ", "; ", "and ", "list it and ", "half a ", "a quarter of an hour and a half ",
    "three quarters of the ", "a third of ", "6 1/2 ", "10 000 ", "000 ", "'16 2016 ", "rs 2000 ", "1 box a box ",
    "version two ", "twenty first ", "third quarter ", "most some not only ", "1/2 ", "x 1/2", "into a from a ",
    "deaktivieren ", "besides it ", "x", "fall ", "```a", "'a'b",
)  # fmt: skip


@pytest.mark.parametrize("piece", SPITEFUL)
def test_time_grows_with_the_length_and_not_faster(piece):
    text = (piece * 50_000)[:50_000]
    started = time.process_time()
    verdicts = judge(text, f"{text} b 7")
    judge(text, f"{text} nicht b 7 km unlock {text[::-1]}")
    assert time.process_time() - started < 5  # takes about 0.5 s at most; a quadratic rule takes minutes
    assert len(verdicts) == len(DEFAULT_GUARDS)
