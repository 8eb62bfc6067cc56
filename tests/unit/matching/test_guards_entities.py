"""Names of places, products, kinds of things and persons."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.entities import entities

CONFLICTS = [
    ("What is the capital of France?", "What is the capital of Finland?"),
    ("who rules slovakia", "who rules slovenia"),
    ("best hotels in paris", "best hotels in lyon"),
    ("best hotels", "best hotels in paris"),
    ("Who is the Indian prime minister?", "Who is the prime minister?"),
    ("Which French actors are rich?", "Which actors are rich?"),
    ("What is the French word for cheese?", "What is the German word for cheese?"),
    ("Flights from New York to Rome", "Flights from Newark to Rome"),
    ("Is gambling legal in Texas?", "Is gambling legal in Ohio?"),
    ("How old is Anna Schmidt?", "How old is Anne Schmidt?"),
    ("Who is Larry Page?", "Who is Derek Page?"),
    ("How do I get into Stanford?", "How do I get into MIT?"),
    ("How do I get into MIT?", "How do I get into CMU?"),
    ("What is Kaldor's theory of growth?", "What is Solow's theory of growth?"),
    ("How do I delete my facebook page?", "How do I delete my instagram page?"),
    ("Configure NAT on a cisco router", "Configure NAT on a juniper router"),
    ("How do I connect to mysql?", "How do I connect to mongodb?"),
    ("Can I feed my dog rice?", "Can I feed my cats rice?"),
    ("Can I take aspirin with wine?", "Can I take ibuprofen with wine?"),
    ("How do I undo the commit?", "How do I squash the commit?"),
    ("What are the symptoms of flu?", "What are the causes of flu?"),
    ("What are the side effects of zinc?", "What are the benefits of zinc?"),
    ("How do I get there by bus?", "How do I get there by train?"),
    ("Write a poem about rain", "Write a story about rain"),
    ("What is the tallest tower in the world?", "What is the tallest tower in Asia?"),
    ("Is a tuple ordered?", "Is a dictionary ordered?"),
    ("How do I clean silk?", "How do I clean cotton?"),
    ("Recipe with almond flour", "Recipe with coconut flour"),
    ("Flights from Paris to Germany", "Flights from Paris to Italy"),
    ("Hotels in London, Ontario", "Hotels in Paris, Ontario"),
    ("Hotels in Toronto, Canada", "Hotels in Canada"),
    ("Hotels in Texas", "Hotels in Ohio, USA"),
    ("Where is Paris?", "Where is Lyon?"),
    ("I look for the best hotels, Texas", "I look for the best hotels"),
    ("Where do I find work in Leeds soon?", "Where may I find a job in York or Bristol?"),
]
OTHERS = [
    ("What is the population of the US?", "What is the population of the United States?"),
    ("American history", "history of the USA"),
    ("best hotels in NYC", "best hotels in New York City"),
    ("What is French cuisine?", "What is the cuisine of France?"),
    ("Is it cold in Melbourne, Australia?", "Is it cold in Melbourne?"),
    ("How can you help us?", "How can you help me?"),
    ("Who is Donald Trump?", "Who is Trump?"),
    ("What does ML mean for banks?", "What does Machine Learning mean for banks?"),
    ("How To Lose Weight With The Best Diet", "How can I lose weight with a diet?"),
    ("Why is Whatsapp slow?", "Why is WhatsApp slow?"),
    ("Who was Mahatma Ghandhi?", "Who was Mahatma Gandhi?"),
    ("How do I connect to postgres?", "How do I connect to PostgreSQL?"),
    ("What is the treatment of flu?", "What is the cure for flu?"),
    ("Is President Macron tall?", "Is Emmanuel Macron tall?"),
    ("How do I meet Narendra Modi?", "How do I meet Indian Prime Minister Narendra Modi?"),
    ("Is French president Emmanuel Macron tall?", "Is Emmanuel Macron tall?"),
    ("A dog or a cat?", "A cat or a dog?"),
    ("SHOW THE ROUTERS IN OSLO", "Show the routers in Oslo"),
    ("I need to polish my shoes", "How do I polish shoes?"),
    ("Best hotels in Austin, Texas", "Best hotels in Austin"),
    ("Best hotels in Austin, Texas", "Best hotels in Austin, USA"),
    ("Is it cold in Tempe, Arizona?", "Is it cold in Tempe?"),
    ("Is it cold in Tempe Arizona?", "Is it cold in Tempe?"),
    ("Do I need a visa for the UK?", "Do I need a visa for England?"),
    ("Why does the EU accept refugees?", "Why should Europe accept refugees?"),
    ("How do I improve my English vocabulary?", "How do I improve my vocabulary?"),
    ("What are Ideas against smog in Delhi NCR?", "What helps against smog in Delhi?"),
    ("Is Hillary Clinton qualified?", "Why Americans Think Hillary is qualified"),
    ("What did PM Modi decide?", "What did Narendra Modi decide?"),
    ("Why do Yankee fans jeer at rivals?", "What reason has a Boston crowd for hissing and booing?"),
    ("How do I lose calories fast?", "How do I lose fat fast?"),
    (
        "My dog ate a whole bar of dark chocolate, what now?",
        "Which first aid is right if puppies and cats swallow cocoa by accident?",
    ),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_another_name_is_a_conflict(one: str, other: str) -> None:
    assert (entities(one, other).verdict, entities(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_spelling_or_fewer_names_are_not(one: str, other: str) -> None:
    assert entities(one, other).verdict != "conflict"
    assert entities(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_never_conflict(text: str) -> None:
    assert entities(text, text).verdict != "conflict"


def test_the_same_place_agrees() -> None:
    assert entities("Is gambling legal in Texas?", "May I gamble in Texas?").verdict == "agree"


def test_a_veto_shows_both_names() -> None:
    assert entities("hotels in paris", "hotels in lyon").detail == "paris / lyon"
