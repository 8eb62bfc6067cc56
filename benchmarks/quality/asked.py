"""How often the verifier is asked: of the look-ups of a stream that no exact match answers."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality.material import Material
from llmcache_plugins.evaluation import LabelledRequest, Progress, open_replay_cache, replay_stream
from llmcache_plugins.types import FloatArray, Hit, JsonValue

__all__ = ["asked_of_stream"]


class _Counting:
    """A verifier that counts how often it is called, once for all candidates of a look-up."""

    is_local = True

    def __init__(self, material: Material) -> None:
        self._verifier = material.verifier
        self.calls = 0

    @property
    def verifier_id(self) -> str:
        assert self._verifier is not None
        return self._verifier.verifier_id

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        assert self._verifier is not None
        self.calls += 1
        return self._verifier.verify(pairs)


def asked_of_stream(rows: Sequence[LabelledRequest], material: Material, progress: Progress) -> JsonValue:
    """[look-ups that asked, look-ups that neither an exact match nor a known wording answered]."""
    if material.verifier is None:
        return [0, len(rows)]
    counting = _Counting(material)
    with open_replay_cache(material.embedder, rows=len(rows), verifier=counting) as cache:
        outcomes = [one.outcome for one in replay_stream(cache, [row.request for row in rows], progress)]
    reached = sum(not isinstance(outcome, Hit) or outcome.kind == "semantic" for outcome in outcomes)
    return [counting.calls, reached]
