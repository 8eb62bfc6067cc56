"""The language of a text: an answer in another language than the question is wrong."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.language import language

CONFLICTS = [
    ("What is the capital of France?", "Was ist die Hauptstadt von Frankreich?"),
    ("What is the capital of France?", "Quelle est la capitale de la France ?"),
    ("What is the capital of France?", "¿Cuál es la capital de Francia?"),
    ("Quelle est la capitale de la France ?", "Qual è la capitale della Francia?"),
    ("¿Cuál es la capital de Francia?", "Qual é a capital da França?"),
    ("Was ist die Hauptstadt von Frankreich?", "Wat is de hoofdstad van Frankrijk?"),
    ("Jaka jest stolica Francji i ile ma lat?", "Was ist die Hauptstadt von Frankreich?"),
    ("Vad är huvudstaden i Frankrike och hur stor är den?", "What is the capital of France?"),
    ("What is the capital of France?", "法国的首都是哪里？"),
    ("What is the capital of France?", "Какая столица у Франции?"),
    ("法国的首都是哪里？", "フランスの首都はどこですか。"),
    ("프랑스의 수도는 어디입니까?", "フランスの首都はどこですか。"),
    ("Ποια είναι η πρωτεύουσα της Γαλλίας;", "Какая столица у Франции?"),
    ("ما هي عاصمة فرنسا؟", "What is the capital of France?"),
    ("如何在 Kubernetes 中部署应用程序？", "How do I deploy an application in Kubernetes?"),
]
OTHERS = [
    ("Hotels in Los Angeles", "Los Angeles hotels"),
    ("What does 你好 mean?", "What is the meaning of 你好?"),
    ("Who directed La La Land?", "Who was the director of La La Land?"),
    ("Die Hard", "Who acted in Die Hard?"),
    ("Is time a vector?", "Is time a vector? Why or why not?"),
    ("Write a Java program", "Please write me some program in Java"),
    ("BGP OSPF", "Show the BGP neighbors"),
    ("Wie ist das Wetter?", "Wie wird das Wetter in Berlin?"),
    ("São Paulo weather", "What is the weather in São Paulo?"),
    ("docker build", "docker run"),
    ("如何部署 Kubernetes？", "怎么在 Kubernetes 里部署？"),
    ("El Niño effects", "What are the effects of El Niño?"),
    ("résumé tips", "Give me some tips for my résumé"),
    ("", "What is it?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_two_languages_are_a_conflict(one: str, other: str) -> None:
    assert (language(one, other).verdict, language(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_names_and_foreign_words_are_not(one: str, other: str) -> None:
    assert language(one, other).verdict != "conflict"
    assert language(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_agree(text: str) -> None:
    assert language(text, text).verdict == "agree"
