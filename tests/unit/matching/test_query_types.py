"""Types of questions: what a user would call them."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.query_types import QUERY_TYPES, query_type_of

QUESTIONS = {
    "definition": (
        "What is OSPF?",
        "what's a VLAN",
        "What are BGP communities?",
        "Define latency",
        "Explain how spanning tree works",
        "What does MPLS stand for?",
        "What does the log message %LINK-3-UPDOWN mean?",
        "Could you tell me about photosynthesis?",
        "What is the capital of France?",
    ),
    "how_to": (
        "How do I bake sourdough bread?",
        "how to learn Korean quickly",
        "Please walk me through writing a cover letter",
        "What is the best way to lose weight?",
        "How do I check that 10.0.0.1 is reachable?",
    ),
    "comparison": (
        "What is the difference between OSPF and EIGRP?",
        "Compare TCP and UDP",
        "Python vs Java for data science",
        "Which is better, a router or a layer 3 switch?",
        "Is Python faster than Java?",
        "How do ADD and ADHD differ?",
        "pros and cons of remote work",
    ),
    "calculation": (
        "Calculate the wildcard mask of 255.255.240.0",
        "What is 15 * 23?",
        "what is 20% of 350",
        "How many seconds are in a day?",
        "How many hosts fit in a /24?",
        "Convert 10 miles to kilometers",
        "solve 2x + 3 = 11",
    ),
    "listing": (
        "List all customers in Berlin",
        "Give me some restaurants with French food",
        "What are the BGP states?",
        "show me the flights from Boston to Denver",
        "Top 10 Indian movies",
        "What types of clouds are there? I mean kinds of clouds",
        "what rivers are in New Mexico",
    ),
    "troubleshooting": (
        "why is Gi0/1 flapping",
        "Why is interface Gi0/1 down?",
        "Troubleshoot BGP neighbor 10.0.0.1",
        "My printer is not working",
        "I can't ping the gateway",
        "How do I fix the duplex mismatch problem on Gi0/2?",
        "What causes a BGP session to flap?",
        "I get an error when I save my file",
        "What's wrong with rtr-001?",
        "bgp not coming up",
        "VPN keeps dropping",
    ),
    "status": (
        "Show BGP status",
        "Display BGP state",
        "What is the status of BGP?",
        "Is Gi0/1 up?",
        "Which interfaces are down?",
        "show interfaces on rtr-001",
        "What is the CPU load of rtr-001?",
        "check the status of my order",
        "BGP established on rtr-001?",
        "VPN gateway up?",
        "the VPN gateway in Berlin, is it up?",
        "any alarms on rtr-001?",
        "Are there any errors on Gi0/1?",
        "Who's logged in on rtr-001?",
        "How busy is rtr-001's CPU?",
        "What is the temperature in rack 4?",
    ),
    "configuration": (
        "How do I configure OSPF?",
        "configure an access list on rtr-001",
        "Set up a VPN tunnel to site B",
        "How can I enable IPv6 on an interface?",
        "Disable telnet",
        "Create VLAN 20",
        "Add a static route to 10.0.0.0/8",
        "How do I change the hostname of a switch?",
    ),
    "general": (
        "Sing me a song",
        "Should I eat breakfast?",
        "Why is the sky blue?",
        "Hi",
        "¿Cómo configuro una ruta estática?",
        "什么是虚拟局域网?",
        "Who wrote Hamlet?",
        "",
        "   ?!  ",
        "please",
    ),
}


@pytest.mark.parametrize(
    ("question", "expected"), [(question, kind) for kind, questions in QUESTIONS.items() for question in questions]
)
def test_a_question_has_the_type_a_user_would_give_it(question: str, expected: str) -> None:
    assert query_type_of(question) == expected


def test_every_type_has_questions() -> None:
    assert set(QUESTIONS) == set(QUERY_TYPES)


@pytest.mark.parametrize("kind", [kind for kind in QUERY_TYPES if kind != "general"])
def test_politeness_case_and_closing_marks_change_no_type(kind: str) -> None:
    for question in QUESTIONS[kind]:
        bare = question.rstrip("?")
        assert query_type_of(f"Hello, could you please tell me {bare[0].lower()}{bare[1:]}?") == kind
        assert query_type_of(f"  {bare.upper()}!") == kind


@pytest.mark.parametrize(
    ("look_alike", "expected"),
    [
        ("Which configuration was bought in Ohio?", "general"),
        ("What does status code 404 mean?", "definition"),
        ("what is the time difference to Hong Kong?", "definition"),
        ("Show me examples of BGP configuration", "configuration"),
        ("Show me the commands of BGP", "listing"),
        ("What is the best Stephen King book?", "general"),
        ("How many people live in France?", "general"),
        ("When was Windows 95 released?", "general"),
        ("Is covid-19 still active in many countries?", "general"),
    ],
)
def test_a_telling_word_alone_does_not_decide(look_alike: str, expected: str) -> None:
    assert query_type_of(look_alike) == expected


def test_a_long_text_has_the_type_of_the_sentence_that_asks() -> None:
    story = "The configuration of the branch has an error, and the status is unknown. " * 20
    assert query_type_of(f"{story}What is OSPF?") == "definition"
    assert query_type_of(f"What is OSPF? {story}") == "definition"
    assert query_type_of(f"{story}{story}") == query_type_of("The configuration of the branch has an error, and so on.")
