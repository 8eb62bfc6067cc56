"""Pairs of questions and what each guard has to say of them. Every row is asked both ways round."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import DEFAULT_GUARDS, judge
from llmcache_plugins.types import Verdict

GUARDS = {guard.name: guard for guard in DEFAULT_GUARDS}
NUL = "silent"
YES = "agree"
VETO = "conflict"

NETWORK = [
    ("identifiers", "Show interfaces on rtr-001", "Show interfaces on rtr-002", VETO),
    ("identifiers", "Show interfaces on rtr-001", "List the interfaces of RTR-001", YES),
    ("identifiers", "Show interfaces on rtr-001", "Show interfaces", VETO),
    ("identifiers", "Status of Gi0/0?", "Status of Gi0/1?", VETO),
    ("identifiers", "Status of Gi0/0?", "Status of GigabitEthernet0/0?", YES),
    ("identifiers", "Status of Gi0/0?", "Status of gigabitethernet 0/0?", YES),
    ("identifiers", "Status of Gi1/0/24", "Status of Te1/0/24", VETO),
    ("identifiers", "Is Po1 up?", "Is port-channel 1 up?", YES),
    ("identifiers", "errors on ge-0/0/1", "errors on ge-0/0/2", VETO),
    ("identifiers", "What is eth0.100?", "What is eth0.200?", VETO),
    ("identifiers", "Show BGP neighbors", "Show OSPF neighbors", VETO),
    ("identifiers", "Show BGP neighbors", "Show border gateway protocol neighbors", NUL),
    ("identifiers", "Which APIs are open?", "Which API is open?", YES),
    ("identifiers", "Which VLANs exist?", "Which VLAN exists?", YES),
    ("identifiers", "SHOW BGP NEIGHBORS", "SHOW THE NEIGHBORS OF BGP", NUL),
    ("numbers", "Who is in VLAN 10?", "Who is in VLAN 20?", VETO),
    ("numbers", "Who is in VLAN 10?", "Who is in vlan10?", YES),
    ("identifiers", "Who is in VLAN 10?", "Who is in vlan10?", NUL),
    ("numbers", "routes from AS 65001", "routes from AS 65002", VETO),
    ("numbers", "Is port 443 open?", "Is port 8443 open?", VETO),
    ("ip_addresses", "Who announces 10.1.1.0/24?", "Who announces 10.1.2.0/24?", VETO),
    ("ip_addresses", "Who announces 10.1.1.0/24?", "Who announces 10.1.1.0/25?", VETO),
    ("ip_addresses", "route to 10.1.1.0 255.255.255.0", "route to 10.1.1.0/24", YES),
    ("ip_addresses", "route to 10.1.1.0 mask 255.255.255.0", "route to 10.1.1.0/25", VETO),
    ("ip_addresses", "hosts in a 255.255.255.0 network", "hosts in a /24 network", YES),
    ("ip_addresses", "ping 192.168.1.1", "ping 192.168.1.1/32", YES),
    ("ip_addresses", "announce 10.0.0.0 /8", "announce 10.0.0.0/8", YES),
    ("ip_addresses", "announce 10.0.0.0 /8", "announce 10.0.0.0 /9", VETO),
    ("ip_addresses", "announce 10.0.0.0 /99", "announce 10.0.0.0 /98", VETO),
    ("ip_addresses", "ping 2001:db8::1", "ping 2001:0DB8:0:0:0:0:0:1", YES),
    ("ip_addresses", "ping 2001:db8::1", "ping 2001:db8::2", VETO),
    ("ip_addresses", "connect to 10.0.0.1:80", "connect to 10.0.0.1:443", VETO),
    ("ip_addresses", "Where is 00:1A:2B:3C:4D:5E?", "Where is 001a.2b3c.4d5e?", YES),
    ("ip_addresses", "Where is 00-1a-2b-3c-4d-5e?", "Where is 00:1a:2b:3c:4d:5f?", VETO),
    ("opposites", "How do I enable OSPF?", "How do I disable OSPF?", VETO),
    ("opposites", "enabling the port", "how to turn the port off, then disable it", VETO),
    ("opposites", "Why is BGP up?", "Why is BGP down?", VETO),
    ("opposites", "inbound ACL on the switch", "outbound ACL on the switch", VETO),
    ("opposites", "Why is BGP not up?", "Why is BGP down?", YES),
    ("negation", "Why is BGP not up?", "Why is BGP down?", NUL),
    ("negation", "Why is BGP not up?", "Why is BGP up?", VETO),
    ("negation", "What does shutdown do?", "What does no shutdown do?", VETO),
    ("versions", "Bugs in IOS 15.2(4)M3", "Bugs in IOS 15.2(4)M4", VETO),
    ("versions", "Bugs in Junos 21.4R3", "Bugs in Junos 21.4r3", YES),
    ("versions", "Configure SNMPv3", "Configure SNMP v3", YES),
    ("versions", "Configure SNMPv2", "Configure SNMPv3", VETO),
    ("versions", "An IPv4 filter", "An IPv6 filter", VETO),
]
NUMBERS = [
    ("a timeout of 1 h", "a timeout of 60 minutes", YES),
    ("a timeout of 1 h", "a timeout of 1 minute", VETO),
    ("a disk of 1 GB", "a disk of 1000 MB", YES),
    ("a delay of 5 Ms", "a delay of 5 ms", VETO),
    ("a load of 3 MPa", "a load of 3 mPa", VETO),
    ("a load of 3 MPa", "a load of 3000 kPa", YES),
    ("a disk of 1 GiB", "a disk of 1024 MiB", YES),
    ("a disk of 1 GiB", "a disk of 1 GB", VETO),
    ("a file of 9kB", "a file of 9 MB", VETO),
    ("5k users", "5,000 users", YES),
    ("5 million users", "5000000 users", YES),
    ("twenty-one routers", "21 routers", YES),
    ("two hundred and five routers", "205 routers", YES),
    ("two routers", "three routers", VETO),
    ("What caused World War I?", "What caused World War II?", VETO),
    ("What caused World War 2?", "What caused World War II?", YES),
    ("What caused World War I?", "What caused the First World War?", YES),
    ("Read chapter 4", "Read the fourth chapter", YES),
    ("Read chapter 4", "Read the fifth chapter", VETO),
    ("Where does Henry VIII lie?", "Where does Henry VI lie?", VETO),
    ("When may I go?", "When do I go?", NUL),
    ("two routers", "2 routers", YES),
    ("one router", "1 router", NUL),
    ("one router", "2 routers", VETO),
    ("which one of the routers failed", "which router failed", NUL),
    ("the two routers", "both routers", NUL),
    ("half an hour of downtime", "30 minutes of downtime", YES),
    ("an hour of downtime", "1 hour of downtime", NUL),
    ("a 5-minute break", "a break of five minutes", YES),
    ("10-20 MB", "10 to 20 MB", YES),
    ("between 10 and 20 MB", "between 10MB and 20MB", YES),
    ("the load is 5%", "the load is 5 percent", YES),
    ("the load is 5%", "the load is 5", VETO),
    ("it costs $7,000", "it costs 7000 dollars", YES),
    ("it costs $7,000", "it costs €7,000", VETO),
    ("it costs $7000", "it costs 7000", YES),
    ("1.50 meters", "150 cm", YES),
    ("5 mV", "5 MV", VETO),
    ("-5 degrees", "5 degrees", VETO),
    ("the 3rd attempt", "the 4th attempt", VETO),
    ("the fourth attempt", "the 4th attempt", YES),
    ("the first attempt", "the second attempt", VETO),
    ("the first attempt", "the attempt", NUL),
    ("how many yards are 5 miles", "how many feet are 5 miles", VETO),
    ("convert 5 km to miles", "convert 5 km to yards", VETO),
    ("9" * 60, "9" * 60, YES),
    ("9" * 60, "9" * 59 + "8", VETO),
    ("ВЛАН 10", "ВЛАН 20", VETO),
    ("交换机有10个端口", "交换机有20个端口", VETO),
    ("交换机有１０个端口", "交换机有10个端口", YES),
    ("the ١٢ ports", "the 12 ports", YES),
    ("revenue in 2025", "revenue in 2025", NUL),
    ("hello", "goodbye", NUL),
]
DATES = [
    ("outages on 12 Feb 2026", "outages on 2026-02-12", YES),
    ("outages on February 12, 2026", "outages on the 12th of February 2026", YES),
    ("outages on 12 Feb 2026", "outages on 13 Feb 2026", VETO),
    ("outages on 02/12/2026", "outages on 2/12/2026", YES),
    ("outages on 02/12/2026", "outages on 12/02/2026", VETO),
    ("outages in 2025", "outages in 2026", VETO),
    ("outages in 2025", "outages", VETO),
    ("the 1990s", "the 1980s", VETO),
    ("changes on Monday", "changes on Tuesday", VETO),
    ("changes in May", "changes in June", VETO),
    ("may I march on?", "can I march on?", NUL),
    ("revenue of Q1 2025", "revenue of Q2 2025", VETO),
    ("incidents today", "incidents yesterday", VETO),
    ("incidents yesterday", "incidents tomorrow", VETO),
    ("incidents today", "incidents", NUL),
    ("incidents last week", "incidents next week", VETO),
    ("incidents of last week", "incidents of the previous week", YES),
    ("a meeting at 2pm", "a meeting at 14:00", YES),
    ("a meeting at 2 p.m.", "a meeting at 2:00 PM", YES),
    ("a meeting at 2pm", "a meeting at 2am", VETO),
    ("a meeting at noon", "a meeting at 12:00", YES),
    ("courses in the spring term", "courses in the fall term", VETO),
    ("courses in autumn", "courses in the fall", YES),
    ("a spring that coils", "a coil for summer", NUL),
    ("beans in Spring Boot", "beans in Spring", NUL + "|" + YES),
    ("a meeting in the morning", "a meeting in the afternoon", VETO),
    ("a flight at 9 in the morning", "a flight at 9 in the evening", VETO),
    ("a meeting in the morning", "a meeting", NUL),
    ("copy 2000 files", "copy 2,000 files", NUL),
    ("copy 2000 files", "copy 2,001 files", VETO),
]
VERSIONS = [
    ("What is new in Python 3.1?", "What is new in Python 3.10?", VETO),
    ("What is new in Python 3.11?", "What changed in python 3.11?", YES),
    ("What is new in Python 3.11?", "What is new in the 3.11 of Python?", NUL),
    ("release notes of v2.10.0", "release notes of version 2.10.0", YES),
    ("release notes of 2.10.0", "release notes of 2.10.1", VETO),
    ("upgrade to v2", "upgrade to version 2", YES),
    ("round 3.10 up", "round 3.1 up", NUL),
]
IDENTIFIERS = [
    ("9" * 400, "9" * 399 + "8", VETO),  # longer than any number: a name
    ("ticket INC0012345", "ticket INC0012346", VETO),
    ("issue ABC-123", "issue abc-123", YES),
    ("issue #123", "issue #124", VETO),
    ("open file.txt", "open file.csv", VETO),
    ("all .php files", "all PHP files", NUL),
    ("delete /var/log/a", "delete /var/log/b", VETO),
    ("delete /var/log/", "delete /var/log", YES),
    ("delete /var/Log", "delete /var/log", VETO),
    ("see https://example.com/a", "see https://example.com/b", VETO),
    ("mail ann@example.com", "mail bob@example.com", VETO),
    ("select my_table.col", "select my_table.row", VETO),
    ("error 0x80070002", "error 0x80070005", VETO),
    ("id 123e4567-e89b-12d3-a456-426614174000", "id 123e4567-e89b-12d3-a456-426614174001", VETO),
    ("what does curl -o do", "what does curl -O do", VETO),
    ("learn C++", "learn C#", VETO),
    ("where id = 5", "where id != 5", VETO),
    ("TCP and UDP", "UDP and TCP", YES),
    ("flights to the USA", "flights to the US", YES),
    ("a VS2022 project", "a Visual Studio 2022 project", NUL),
    ("and/or", "or", NUL),
    ("a well-known site", "a known site", NUL),
    ("REALLY important", "VERY important", NUL),
    ("设备rtr-001的状态", "设备rtr-002的状态", VETO),
]
QUOTES = [
    ("print 'abc'", "print 'abd'", VETO),
    ("print 'abc'", 'print "abc"', YES),
    ("print 'abc'", "print 'ABC'", VETO),
    ("print `abc`", "print abc", NUL),
    ("print `x = 1`", "print it", VETO),
    ("who sang “Yesterday”?", 'who sang "Yesterday"?', YES),
    ('who sang "Yesterday"?', 'who sang "Help"?', VETO),
    ("run\n```\na = 1\n```", "run\n```\na = 2\n```", VETO),
    ("it's Bob's", "it isn't Ann's", NUL),
    ('a 5" pipe or a 6" pipe', "a 5 inch pipe", NUL),
    ("split 'a  b'", "split 'a b'", VETO),
]
NEGATION = [
    ("Why isn't the link working?", "Why is the link not working?", YES),
    ("Why isn't the link working?", "Why is the link working?", VETO),
    ("Which hosts do not answer?", "Which hosts answer?", VETO),
    ("Which hosts never answer?", "Which hosts don't answer?", YES),
    ("coffee with sugar", "coffee without sugar", VETO),
    ("a job with no experience", "a job without experience", YES),
    ("I can't log in, what should I do?", "How do I log in?", NUL),
    ("I am unable to log in. How do I log in?", "How can I log in?", NUL),
    ("Why can't I log in?", "How can I log in?", VETO),
    ("Is it not true that Rome is old?", "Is it true that Rome is old?", NUL),
    ("Someone who has no experience with Go: what to read?", "What to read with Go experience?", NUL),
    ("The host does not answer. What is the cause of high load?", "What is the cause of high load on hosts?", NUL),
    ("How do I upgrade the switch without a reboot?", "How do I upgrade the switch?", VETO),
    ("I can ping the host", "I cannot ping the host", VETO),
    ("the backup fails to start", "the backup doesn't start", YES),
    ("It is up, isn't it?", "Is it up?", NUL),
    ("Could you help me with BGP?", "Couldn't you help me with BGP?", NUL),
    ("Is it right? Why not?", "Is it right? Why?", NUL),
    ("Tell me whether or not it is up", "Tell me whether it is up", NUL),
    ("It is not only fast but small", "It is fast and small", NUL),
    ("Don't you think BGP is hard?", "Do you think BGP is hard?", NUL),
    ("Roll no 7", "Roll number 7", NUL),
    ("all servers except the database server", "all servers and the database server", VETO),
    ("all servers except the database server", "all servers including the database server", VETO),
    ("all servers except the database server", "all servers", VETO),
    ("list everything other than logs", "list everything with logs", VETO),
    ("all ports apart from port 22", "all ports, port 22 too", VETO),
    ("all servers except the database server", "all servers but not the database server", YES),
    ("all servers excluding the database server", "all servers without the database server", YES),
    ("the other port than this", "the port", NUL),
    ("Is the host unreachable?", "Is the host not reachable?", NUL),
    ("Is the host not unreachable?", "Is the host reachable?", NUL),
    ("Is the host not unreachable?", "Is the host unreachable?", VETO),
    ("a painless treatment", "a treatment that is not painful", NUL),
    ("no funciona la red", "funciona la red", NUL),
    ("この回線は not up", "この回線は up", NUL),
    ("Why isn't the mail client in the app store yet?", "Is the mail client available in the app store?", NUL),
    ("Why is the mail client not in the app store?", "Is the mail client in the app store?", VETO),
    ("How do I brew good coffee without a filter machine?", "What makes great coffee in a French press?", NUL),
    ("How can I earn money at home without any investment?", "How can a student easily earn some money online?", NUL),
    ("How can I earn money online without investment?", "How can I earn money online?", VETO),
]
OPPOSITES = [
    ("start the service", "stop the service", VETO),
    ("starting the service", "how the service is stopped", VETO),
    ("install and uninstall it", "uninstall it", NUL + "|" + YES),
    ("add a route", "remove a route", VETO),
    ("the minimum MTU", "the maximum MTU", VETO),
    ("log in to the router", "log out of the router", VETO),
    ("turn the port on", "turn the port off", VETO),
    ("is the server reachable", "is the server unreachable", VETO),
    ("a valid certificate", "an invalid certificate", VETO),
    ("we discover peers", "we cover peers", NUL),
    ("more than 5 peers", "less than 5 peers", VETO),
    ("before the change", "after the change", VETO),
    ("encrypt it", "decrypting it", VETO),
    ("activate the port", "turn on and enable the port", YES),
    ("is it not enabled", "is it disabled", YES),
    ("look it up", "look it down the list", NUL),
    ("import a route, then export it twice, export", "import a route, then import it, export", VETO),
    ("Is the host unreachable?", "Is the host not reachable?", NUL),
    ("It is not possible", "It is not impossible", VETO),
    ("a stateful firewall", "a stateless firewall", VETO),
    ("a wired link", "a wireless link", VETO),
    ("an inclusive range", "an exclusive range", VETO),
    ("the inflow of data", "the outflow of data", VETO),
    ("a microservice", "a macroservice", VETO),
    ("incrementing the counter", "how to decrement the counter", VETO),
    ("temperature in Celsius", "temperature in Fahrenheit", VETO),
    ("open tcp port 53", "open udp port 53", VETO),
    ("the hourly backup", "the weekly backup", VETO),
    ("the hourly and weekly backup", "the weekly and the hourly backup", YES),
    ("traffic from the north", "traffic from the east", VETO),
    ("an uppercase letter", "a lowercase letter", VETO),
    ("how do I sign in", "how do I sign up", VETO),
    ("What causes frostbite?", "What prevents frostbite?", VETO),
    ("Does the card waive the fee?", "Does the card charge the fee?", VETO),
    ("They marry in May", "They divorce in May", VETO),
    ("a rural school", "an urban school", VETO),
    ("the mass of a proton", "the mass of a neutron", VETO),
    ("Are frogs sometimes green?", "Are frogs always green?", VETO),
    ("beating in front of me", "beating infront of me", NUL),
    ("half duplex", "full duplex", VETO),
    ("el server es up", "la red no es down del todo", NUL),
]
TABLES = {
    "numbers": NUMBERS,
    "dates": DATES,
    "versions": VERSIONS,
    "identifiers": IDENTIFIERS,
    "quotes": QUOTES,
    "negation": NEGATION,
    "opposites": OPPOSITES,
}
ROWS = NETWORK + [(guard, *row) for guard, rows in TABLES.items() for row in rows]


@pytest.mark.parametrize(("guard", "asked", "stored", "expected"), ROWS)
def test_verdict(guard, asked, stored, expected):
    there, back = GUARDS[guard](asked, stored), GUARDS[guard](stored, asked)
    assert there.guard == guard
    assert there.verdict in expected.split("|"), there.detail
    assert back.verdict == there.verdict


@pytest.mark.parametrize(("guard", "asked", "stored"), [row[:3] for row in ROWS])
def test_equal_texts_never_conflict(guard, asked, stored):
    for text in (asked, stored):
        assert GUARDS[guard](text, text).verdict != "conflict"


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("Show BGP status", "Display BGP state"),
        ("What are the BGP states?", "Which states does BGP have?"),
        ("Which BGP states show issues?", "What BGP states point to problems?"),
        ("How do I back up the config of rtr-001?", "What is the way to save rtr-001's configuration?"),
        ("Set up a trunk on Gi0/1 for VLAN 10", "Configure GigabitEthernet0/1 as a trunk for vlan 10"),
        ("Why is the link between rtr-001 and rtr-002 down?", "What brought down the rtr-001 to rtr-002 link?"),
        ("How many hosts fit into 10.1.1.0/24?", "What is the number of hosts in 10.1.1.0 255.255.255.0?"),
        ("reboot at 2pm on 12 Feb 2026", "restart on 2026-02-12 at 14:00"),
    ],
)
def test_no_guard_vetoes_a_rewording(asked, stored):
    assert [verdict for verdict in judge(asked, stored) if verdict.verdict == "conflict"] == []


def test_judge_answers_in_the_order_of_the_guards():
    assert [verdict.guard for verdict in judge("a", "b")] == [guard.name for guard in DEFAULT_GUARDS]
    assert [verdict.guard for verdict in judge("1", "2", guards=(GUARDS["numbers"],))] == ["numbers"]


def test_judge_asks_guards_of_other_makes():
    def shouting(asked: str, stored: str) -> Verdict:
        return Verdict("shouting", "conflict" if asked.isupper() != stored.isupper() else "silent")

    assert judge("HELLO", "hello", guards=(shouting,)) == (Verdict("shouting", "conflict"),)


def test_a_veto_says_what_differs_but_not_in_its_repr():
    verdict = GUARDS["identifiers"]("Show rtr-001", "Show rtr-002")
    assert verdict.detail == "rtr-001 / rtr-002"
    assert "rtr-001" not in repr(verdict)
