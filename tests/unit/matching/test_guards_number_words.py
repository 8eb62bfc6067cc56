"""One number written in several ways, and others that look alike. Every pair goes through all guards."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import judge

SAME = [
    ("What is the revenue of Q3 2025?", "What is the revenue of the third quarter of 2025?"),
    ("Is support open 24x7?", "Is support open 24/7?"),
    ("a rise of 20 percent", "a rise of twenty per cent"),
    ("three quarters of the users", "75% of the users"),
    ("2/3 of the users", "two thirds of the users"),
    ("1/6 of the water", "a sixth of the water"),
    ("half of the users", "50% of the users"),
    ("the 19th century", "the nineteenth century"),
    ("nineteenth-century art", "19th-century art"),
    ("the twenty-first century", "the 21st century"),
    ("10 000 users", "10,000 users"),
    ("a dozen eggs", "12 eggs"),
    ("half a dozen eggs", "6 eggs"),
    ("two dozen eggs", "24 eggs"),
    ("an hour and a half", "90 minutes"),
    ("one and a half hours", "90 minutes"),
    ("a quarter of an hour", "15 minutes"),
    ("a fortnight of leave", "two weeks of leave"),
    ("in 6 1/2 weeks", "in 6 and a half weeks"),
    ("in 6 1/2 weeks", "in 6.5 weeks"),
    ("Who won World War II?", "Who won WWII?"),
    ("Who won WW2?", "Who won WWII?"),
    ("wire transfer #WT-44219", "wire transfer WT-44219"),
    ("issue #123", "issue 123"),
    ("a Lumia 640XL phone", "a Lumia 640 XL phone"),
    ("IIT JEE 2016 rank", "IIT JEE 16 rank"),
    ("headphones under ₹2000", "headphones under Rs. 2000"),
    ("a ban of ₹500,₹1000 notes", "a ban of Rs 500 and Rs 1000 notes"),
    ("a ban of Rs 500/1000 notes", "a ban of 500 and 1000 rupee notes"),
    ("phones under $2K", "phones under 2000"),
    ("90 contacts come in 1 box", "90 contacts come in a box"),
    ("gain weight within a month", "gain weight within month"),
    ("gain weight in 1 month", "gain weight within a month"),
    ("three times as large", "thrice as large"),
    ("a half-gallon jar", "a jar of half a gallon"),
    ("for half of the year", "for 6 months"),
    ("three-quarters of an hour", "45 minutes"),
    ("a 30-minute show", "a half-hour show"),
    ("the 3 hours of 3 days", "the three hours of three separate days"),
    ("a speed of 5 m/s", "a speed of 18 km/h"),
    ("one million users", "1,000,000 users"),
    ("1.5 million users", "1,500,000 users"),
    ("1.5k users", "1500 users"),
    ("a 2-week trial", "a 14-day trial"),
    ("within 1 year", "within 12 months"),
    ("twenty five users", "25 users"),
    ("the 1st prize", "the first prize"),
    ("4:30 pm", "16:30"),
    ("version two", "version 2"),
    ("a heart rate of 58-60bpm", "a heart rate of 58 to 60 bpm"),
    ("the class of '99", "the class of 1999"),
    ("two-thirds majority", "2/3 majority"),
    ("twice a day", "2 times a day"),
    ("The top 5 ways", "The five best ways"),
]
OTHERS = [
    ("What is the revenue of Q3 2025?", "What is the revenue of the second quarter of 2025?"),
    ("a rise of 20%", "a rise of a quarter"),
    ("1/6 of the water", "a fifth of the water"),
    ("the twenty-first century", "the 20th century"),
    ("10 000 users", "10,001 users"),
    ("half a dozen eggs", "12 eggs"),
    ("Who won WW1?", "Who won WWII?"),
    ("issue #123", "issue 124"),
    ("IIT JEE 2016 rank", "IIT JEE 17 rank"),
    ("a ban of Rs 500/1000 notes", "a ban of 500 and 2000 rupee notes"),
    ("2 of the 3 disks", "3 of the 3 disks"),
    ("50% off", "half a pound off"),
    ("two-thirds majority", "3/4 majority"),
    ("a 1/6 share", "a 1/5 share"),
    ("twice a day", "thrice a day"),
    ("twice a day", "3 times a day"),
    ("top 16 songs of 2016", "top songs of 2016"),
    ("a nest at 2 feet", "a nest"),
    ("a visit in 1 day", "which one of the visits"),
    ("500/1000 notes", "500 notes"),
    ("the 24x7 plan", "the 8x5 plan"),
    ("phones under 2000", "phones under 1000"),
]


def _vetoes(one: str, other: str) -> list[str]:
    return [verdict.guard for verdict in judge(one, other) if verdict.verdict == "conflict"]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_no_guard_vetoes_another_way_to_write_a_number(one: str, other: str) -> None:
    assert _vetoes(one, other) == []
    assert _vetoes(other, one) == []


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_number_is_a_veto(one: str, other: str) -> None:
    assert _vetoes(one, other)
    assert _vetoes(one, other) == _vetoes(other, one)


@pytest.mark.parametrize("text", [text for pair in SAME + OTHERS for text in pair])
def test_equal_texts_are_never_vetoed(text: str) -> None:
    assert _vetoes(text, text) == []
