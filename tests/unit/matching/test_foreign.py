"""Polarity in European languages other than English. Every row is asked both ways round."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.guards.foreign import foreign_polarity

OPPOSED = [
    ("Wie schalte ich SSH auf dem Router ein?", "Wie schalte ich SSH auf dem Router nicht ein?"),
    ("Wie schalte ich SSH auf dem Router ein?", "Wie schalte ich SSH auf dem Router aus?"),
    ("Wie kann ich SSH einschalten?", "Wie kann ich SSH ausschalten?"),
    ("Wie aktiviere ich SSH?", "Wie deaktiviert man SSH?"),
    ("Router mit Passwort", "Router ohne Passwort"),
    ("Warum gibt es eine Verbindung?", "Warum gibt es keine Verbindung?"),
    ("eine Datei verschlüsseln", "eine Datei entschlüsseln"),
    ("der größte Router", "der kleinste Router"),
    ("Was ist vor dem Update zu tun?", "Was ist nach dem Update zu tun?"),
    ("¿Cómo activo SSH en el router?", "¿Cómo desactivo SSH en el router?"),
    ("Cómo habilitar el puerto", "Cómo deshabilitar el puerto"),
    ("activar SSH", "desactivar SSH"),
    ("¿Por qué funciona la red?", "¿Por qué no funciona la red?"),
    ("café con azúcar", "café sin azúcar"),
    ("¿Cómo enciendo el router?", "¿Cómo apago el router?"),
    ("Comment activer SSH sur le routeur ?", "Comment désactiver SSH sur le routeur ?"),
    ("Pourquoi le port est ouvert ?", "Pourquoi le port n'est pas ouvert ?"),
    ("un café avec sucre", "un café sans sucre"),
    ("Comment ouvrir le port ?", "Comment fermer le port ?"),
    ("Come attivare SSH sul router?", "Come disattivare SSH sul router?"),
    ("Perché la rete funziona?", "Perché la rete non funziona?"),
    ("Como instalar o pacote?", "Como desinstalar o pacote?"),
    ("Por que a rede não funciona?", "Por que a rede funciona?"),
    ("Hoe schakel ik SSH in?", "Hoe schakel ik SSH uit?"),
    ("Hoe verbind ik met wachtwoord?", "Hoe verbind ik zonder wachtwoord?"),
    ("Varför fungerar inte nätverket?", "Varför fungerar nätverket?"),
    ("Hvorfor virker nettverket ikke?", "Hvorfor virker nettverket?"),
    ("kaffe med sukker og melk", "kaffe uten sukker og melk"),
    ("Wie viele Geräte sind online?", "Wie viele Geräte sind offline?"),
    ("Как включить SSH на роутере?", "Как выключить SSH на роутере?"),
    ("Почему сеть не работает?", "Почему сеть работает?"),
]
NOT_OPPOSED = [
    ("Wie schalte ich SSH ein?", "Wie kann ich SSH einschalten?"),
    ("Wie schalte ich SSH ein?", "Wie schalte ich SSH an?"),
    ("Wie setze ich mein Passwort zurück?", "Wie kann ich das Passwort zurücksetzen?"),
    ("Warum geht das Netz nicht?", "Wieso funktioniert das Netzwerk nicht?"),
    ("nicht nur der Router, auch der Switch", "der Router und auch der Switch"),
    ("¿Cómo activo SSH en el router?", "¿Cómo puedo activar SSH en el router?"),
    ("Onde está a porta no roteador?", "Onde fica a porta do roteador?"),
    ("Comment activer SSH ?", "Comment est-ce que j'active SSH ?"),
    ("Quels sont les états de BGP ?", "Quelles sont les états du BGP ?"),
    ("What is a sin without reason?", "What is a sin?"),
    ("Is there no port?", "Is there a port?"),
    ("the MIT license", "a license with no MIT terms"),
    ("online store", "store online"),
    ("inform users", "user forms"),
]


@pytest.mark.parametrize(("one", "other"), OPPOSED)
def test_opposite_questions_are_a_conflict(one: str, other: str) -> None:
    for verdicts in (judge(one, other), judge(other, one)):
        assert [verdict.guard for verdict in verdicts if verdict.verdict == "conflict"]


@pytest.mark.parametrize(("one", "other"), NOT_OPPOSED)
def test_rewordings_and_english_are_no_business_of_it(one: str, other: str) -> None:
    assert foreign_polarity(one, other).verdict != "conflict"
    assert foreign_polarity(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in OPPOSED + NOT_OPPOSED for text in pair])
def test_a_text_is_not_opposed_to_itself(text: str) -> None:
    assert foreign_polarity(text, text).verdict != "conflict"


def test_a_word_without_end_costs_no_quadratic_time() -> None:
    assert foreign_polarity("ab" * 100_000 + " nicht", "de" + "ab" * 100_000 + " nicht").verdict == "conflict"


def test_a_prefix_before_digits_is_no_polarity() -> None:
    assert foreign_polarity("UN0000", "00000").verdict == foreign_polarity("00000", "UN0000").verdict == "silent"
