"""Names without digits, and pieces whose case is part of them."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.base import Rule
from llmcache_plugins.matching.guards.names import exact_case, named, names

CONFLICTS = [
    (names, "Show the commit deadbeef", "Show the commit deadbeed"),
    (names, "Is peer ISP-A up?", "Is peer ISP-B up?"),
    (names, "Which ports has switch sw-a?", "Which ports has switch sw-b?"),
    (names, "Status of db-primary-a", "Status of db-primary-b"),
    (names, "Explain the route-map RM-IN", "Explain the route-map RM-OUT"),
    (names, "Which bugs has IOS-XE?", "Which bugs has IOS-XR?"),
    (names, "How much power draws rack A of the row?", "How much power draws rack B of the row?"),
    (named, "How do I scale the deployment checkout?", "How do I scale the deployment payments?"),
    (named, "Why is the checkout deployment slow?", "Why is the payments deployment slow?"),
    (named, "Drop the table orders", "Drop the orders_old table"),
    (named, "Merge the branch develop", "How do I merge the branch main?"),
    (named, "Which rights has the user alice?", "Which rights does the user bob have?"),
    (named, "Is the pod nginx ready?", "Is the pod redis ready?"),
    (exact_case, "Decode aGVsbG8gd29ybGQ=", "Decode AGVSBG8GD29YBGQ="),
    (exact_case, "What is at https://youtu.be/aBcDe", "What is at https://youtu.be/AbCdE"),
    (exact_case, "What is $Home?", "What is $HOME?"),
    (exact_case, "what does tar -xzf do", "what does tar -xZf do"),
    (exact_case, "What does \\S mean in a regex?", "What does \\s mean in a regex?"),
]
SILENT = [
    (names, "What is end-to-end encryption?", "What is peer-to-peer encryption?"),
    (names, "What does TCP-IP mean?", "what does tcp-ip mean"),
    (names, "Explain the IOS-XE boot", "Explain the IOS XE boot"),
    (names, "How do I send an e-mail?", "How do I set up a site-to-site VPN?"),
    (names, "Is peer ISP-A up?", "Is the peer up?"),
    (names, "Can I log-in?", "May I sign-up?"),
    (named, "How do I scale the deployment checkout?", "Scale the checkout deployment"),
    (named, "How do I drop a table?", "How do I create a table?"),
    (named, "Which tables has the database?", "Which indexes has the database?"),
    (named, "Why is the checkout deployment slow today?", "Why does the deployment payments restart often?"),
    (exact_case, "Open HTTPS://Example.com", "Open https://example.com"),
    (exact_case, "Is Gi0/1 up?", "is gi0/1 up"),
]


@pytest.mark.parametrize(("guard", "one", "other"), CONFLICTS)
def test_different_names_are_a_conflict(guard: Rule, one: str, other: str) -> None:
    assert (guard(one, other).verdict, guard(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("guard", "one", "other"), SILENT)
def test_other_words_are_not(guard: Rule, one: str, other: str) -> None:
    assert guard(one, other).verdict != "conflict"
    assert guard(other, one).verdict != "conflict"


@pytest.mark.parametrize(("guard", "one", "other"), CONFLICTS)
def test_equal_texts_agree(guard: Rule, one: str, other: str) -> None:
    assert (guard(one, one).verdict, guard(other, other).verdict) == ("agree", "agree")
