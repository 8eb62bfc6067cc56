"""Negations and opposites of European languages other than English. Data only."""

from __future__ import annotations

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["CLAUSE_ENDS", "NEGATORS", "NOT_ONLY", "OPPOSITES", "PREFIXES", "SPANISH", "WITH", "WITHOUT"]


def _pair(line: str) -> tuple[str, str]:
    one, _, other = line.partition("|")
    return one, other


NEGATORS = words_of(
    """
    nicht kein keine keinen keinem keiner keines nie niemals nichts niemand weder
    pas jamais aucun aucune rien non n'est n'a n'y
    nunca jamás ningún ninguno ninguna tampoco nada nadie
    nessun nessuno nessuna niente nulla
    não nao nenhum nenhuma ninguém
    niet geen nooit niets niemand
    inte aldrig ingen inget inga ej ikke aldri ingenting intet
    не нет никогда нельзя nigdy
    """
)  # the Cyrillic words: Russian "not", "no", "never", "must not"
WITHOUT = words_of(
    "ohne sans sin senza sem zonder utan uden uten bez fără без excepté excepto salvo hormis außer behalve"
)
WITH = words_of(
    """mit avec con com met med cu z с inklusive einschließlich samt incluso incluyendo inclus compris incluindo
    inclusief inklusive inkludert"""
)
SPANISH = words_of("el la los las del por qué cómo está se una y es mi que puedo mis al cuando cuándo dónde cuál")
"""With one of these "no" is a negation; in Portuguese it is "in the"."""
NOT_ONLY = words_of("nur wahr solo sólo solamente soltanto seulement só somente alleen bara kun apenas bare")

_PREFIXES = words_of(
    """
    |des |dés |dis |de |un |in |ent |av |on ver|ent ein|aus an|ab auf|zu auf|ab ein|ab in|uit aan|uit aan|af in|ut
    inn|ut ind|ud im|ex in|ex en|de en|des em|des over|under über|unter sur|sous sobre|sub hyper|hypo
    в|вы под|от за|от |не |без
    """
)
PREFIXES = tuple(sorted(both for line in _PREFIXES for both in (_pair(line), _pair(line)[::-1])))
"""Prefixes that are each other's opposite; an empty one is the plain word: "activer", "désactiver"."""

_CLAUSE_ENDS = words_of("ein|aus an|aus an|ab auf|zu auf|ab in|uit aan|uit aan|af op|af på|av ind|ud inn|ut in|ut")
CLAUSE_ENDS = frozenset(both for line in _CLAUSE_ENDS for both in (_pair(line), _pair(line)[::-1]))
"""Particles at the end of a clause: "Wie schalte ich es ein?"."""

OPPOSITES = """
öffn* | schließ* schliess*
start* anfang* beginn* | stopp* beend*
geöffnet* offen* | geschlossen*
online | offline
hinzu* | entfern* lösch*
erlaub* zulass* | verbiet* verbot* sperr* blockier*
eingehend* eingang | ausgehend* ausgang
größer* | kleiner*
größte* | kleinste*
mehr | weniger
erste ersten erster | letzte letzten letzter
öffentlich* | privat*
oben | unten
vor | nach
links | rechts
morgens | abends
höher* höchst* | niedriger* niedrigst*
enciend* encend* prend* | apag*
abr* | cerr* cierr*
añad* agreg* | elimin* quit* borr*
permit* | bloque* deneg* prohíb* prohib*
inici* empez* | deten* parar* termin*
entrada | salida
entrante* | saliente*
antes | después depois
máxim* maxim* | mínim* minim*
mayor* | menor*
más | menos
primer* | últim*
públic* public* publiqu* | privad* privé* privat*
intern* | extern*
dentro | fuera
izquierda | derecha
arriba | abajo
allum* | éteind* éteign*
ouvr* | ferm*
ajout* | supprim* enlev* retir*
autoris* | interdi* bloqu*
démarr* | arrêt*
entrée | sortie
entrant* | sortant*
avant | après
plus | moins
augment* | diminu* rédui*
gauche | droite
monter | descendre
abr* | fech*
adicion* | remov* exclu*
lig* | deslig*
saída | entrada
maior* | menor*
mais | menos
accend* | spegn*
apr* | chiud*
aggiung* | rimuov* elimin*
permett* | blocc* viet*
uscita | entrata ingresso
prima | dopo
massim* | minim*
maggior* | minor*
più | meno
openen | sluiten
toevoeg* | verwijder*
toestaan | blokker* weiger*
ingang | uitgang
inkomend* | uitgaand*
meer | minder
eerste | laatste
öppn* åbn* åpn* | stäng* luk*
före før | efter etter
mer | mindre
större større | mindre
""".strip().splitlines()
"""One pair a line; a star stands for any ending."""
