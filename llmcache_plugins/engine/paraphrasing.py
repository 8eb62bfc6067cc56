"""Questions that mean the same as one whose answer is on its way."""

from __future__ import annotations

import numpy as np

from llmcache_plugins.engine.flight_steps import Follow, Running
from llmcache_plugins.engine.reporting import read_reports
from llmcache_plugins.engine.rules import Flow, Rules, Troubles
from llmcache_plugins.engine.singleflight import Flight
from llmcache_plugins.engine.steps import Embed
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.matching import decide
from llmcache_plugins.types import Candidate, Entry, FloatArray, Identity, Request

__all__ = ["follow_paraphrase"]


def follow_paraphrase(request: Request, identity: Identity, rules: Rules, now: float) -> Flow[Flight | None]:
    """A flight of the same scope whose question means the same, surely enough without asking anybody. The caller counts
    as waiting for it, and looks again when it has landed: what is served is decided then, and not here.

    Texts are embedded only when there is a flight to compare with; that of a question that is on its way has been
    looked up just now, so an embedding cache has its vector.
    """
    policy = None if rules.embedder_id is None else rules.policy_for(request)
    flights: tuple[Flight, ...] = () if policy is None else (yield Running(identity.scope, identity.key))
    if not flights or policy is None:
        return None
    troubles = Troubles(rules.fail_open)
    try:
        vectors = yield Embed((request.text, *(flight.text for flight in flights)))
    except EmbedderError as error:
        troubles.spare(error)
        return None
    candidates = _ranked(flights, vectors[1:] @ vectors[0])
    match = decide(request.text, candidates, policy=policy, guards=rules.guards, near_misses=0).match
    if match is None:
        return None
    entry = match.candidate.entry
    reports = yield from read_reports(identity.scope, rules, now, troubles)
    if reports is None or reports.forbid(request.text, entry.text):
        return None
    flight = next(flight for flight in flights if flight.key == entry.key)
    return flight if (yield Follow(flight)) else None


def _ranked(flights: tuple[Flight, ...], similarities: FloatArray) -> list[Candidate]:
    """The questions on their way as candidates, best first."""
    return [
        Candidate(
            Entry(flights[at].scope, flights[at].key, "", (), flights[at].text, "null", 0.0, None),
            float(min(similarities[at], 1.0)),
        )
        for at in np.argsort(-similarities, kind="stable")
    ]
