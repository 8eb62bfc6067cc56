"""Direction: the same values, turned round."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.guards.direction import direction

TURNED = [
    ("ssh from 10.0.0.1 to 10.0.0.2", "ssh from 10.0.0.2 to 10.0.0.1"),
    ("ssh to 10.0.0.1 from 10.0.0.2", "ssh to 10.0.0.2 from 10.0.0.1"),
    ("ssh from 10.0.0.1 to 10.0.0.2", "ssh to 10.0.0.1 from 10.0.0.2"),
    ("Redirect port 80 to port 443", "Redirect port 443 to port 80"),
    ("Redirect port 80 to 443", "How do I redirect 443 to port 80?"),
    ("migrate data from rtr-001 to rtr-002", "migrate data from rtr-002 to rtr-001"),
    ("How to migrate rtr-002 to rtr-001", "How do I migrate rtr-001 to rtr-002"),
    ("upgrade from version 16.9.1 to 17.3.2", "upgrade from version 17.3.2 to 16.9.1"),
    ("outages from 2026-02-10 to 2026-02-12", "outages from 2026-02-12 to 2026-02-10"),
    ("outages from February 10 to March 12", "outages from March 12 to February 10"),
    ("trains from Monday to Friday", "trains from Friday to Monday"),
    ("open from 9 am to 5 pm", "open from 5 pm to 9 am"),
    ("from two to five replicas", "from five to two replicas"),
    ("rtr-001 replaces rtr-002", "rtr-002 replaces rtr-001"),
    ("copy /etc/a to /etc/b", "copy /etc/b to /etc/a"),
    ("mv a.txt b.txt", "mv b.txt a.txt"),
    ("What is 10 minus 5?", "What is 5 minus 10?"),
    ("divide 100 by 5", "divide 5 by 100"),
    ("more than 3 roles and fewer than 5 groups", "more than 5 roles and fewer than 3 groups"),
    ("the ratio 3:2", "the ratio 2:3"),
    ("VLAN 10 on rtr-001 and VLAN 20 on rtr-002", "VLAN 20 on rtr-001 and VLAN 10 on rtr-002"),
    ("How do I redistribute OSPF into BGP?", "How do I redistribute BGP into OSPF?"),
    ("redistribute ospf into bgp", "redistribute bgp into ospf"),
    ("How do I merge into main?", "How do I merge from main?"),
    ("How do I migrate to git?", "How do I migrate from git?"),
    ("flights from New York to San Francisco", "flights from San Francisco to New York"),
    ("Is Python faster than Java?", "Is Java faster than Python?"),
    ("all flights from miami to new york", "flights between new york and miami"),
    ("trains between the airport and the city", "trains from the city to the airport"),
    ("Wie komme ich von 10.0.0.1 nach 10.0.0.2?", "Wie komme ich von 10.0.0.2 nach 10.0.0.1?"),
]
NOT_TURNED = [
    ("show rtr-001 and rtr-002", "show rtr-002 and rtr-001"),
    ("How do I merge from main into dev?", "How do I merge into dev from main?"),
    ("Can I get access to the cloud?", "Can I be given access from the cloud console?"),
    ("add 10, 20 and 30", "add 30, 10 and 20"),
    ("ports 80 or 443", "ports 443 or 80"),
    ("notes of Rs. 500 and Rs. 1000", "notes of Rs. 1000 and Rs. 500"),
    ("a number between 5 and 10", "a number between 10 and 5"),
    ("compare rtr-001 to rtr-002", "compare rtr-002 to rtr-001"),
    ("the difference between 10.0.0.1 and 10.0.0.2", "the difference between 10.0.0.2 and 10.0.0.1"),
    ("How far is it from Delhi to Agra?", "How far is it from Agra to Delhi?"),
    ("migrate to rtr-002 from rtr-001", "migrate from rtr-001 to rtr-002"),
    ("Redirect to port 443 from port 80", "Redirect port 80 to port 443"),
    ("nach rtr-002 von rtr-001", "von rtr-001 nach rtr-002"),
    ("Show Gi0/1 on rtr-001", "On rtr-001, show Gi0/1"),
    ("assign VLAN 20 to port Te1/1", "add Te1/1 to VLAN 20"),
    ("VLAN 10 on rtr-001 and VLAN 20 on rtr-002", "VLAN 20 on rtr-002 and VLAN 10 on rtr-001"),
    ("3 servers with 5 disks", "5 disks in each of 3 servers"),
    ("a meeting on 12 Feb 2026", "a meeting on 2026 Feb 12"),
    ("open from 9 am to 5 pm", "open to 5 pm from 9 am"),
    ("more than 3 roles and more than 5 groups", "more than 5 groups and more than 3 roles"),
    ("What is 5 plus 10?", "What is 10 plus 5?"),
    ("the link from rtr-001 to rtr-002", "the link between rtr-002 and rtr-001"),
    ("How quickly can I learn Java?", "How can I quickly learn Java?"),
    ("all flights from miami to boston", "flights between miami and boston"),
    ("flights between miami", "flights from miami to boston"),
]


@pytest.mark.parametrize(("one", "other"), TURNED)
def test_values_that_exchanged_their_parts_are_a_conflict(one: str, other: str) -> None:
    assert (direction(one, other).verdict, direction(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), NOT_TURNED)
def test_lists_and_moved_phrases_are_no_conflict(one: str, other: str) -> None:
    for verdict in (*judge(one, other), *judge(other, one)):
        assert verdict.verdict != "conflict", verdict.detail


@pytest.mark.parametrize("text", [text for pair in TURNED + NOT_TURNED for text in pair])
def test_a_text_is_not_turned_against_itself(text: str) -> None:
    assert direction(text, text).verdict != "conflict"


def test_a_veto_shows_both_orders() -> None:
    assert direction("from rtr-001 to rtr-002", "from rtr-002 to rtr-001").detail == (
        "rtr-001 ... rtr-002 / rtr-002 ... rtr-001"
    )
