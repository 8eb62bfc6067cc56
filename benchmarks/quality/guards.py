"""What each guard vetoes, and rightly or not, among pairs that are near enough to be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.quality.curves import Scores
from llmcache_plugins.evaluation import LabelledPair
from llmcache_plugins.matching.guards import DEFAULT_GUARDS, judge
from llmcache_plugins.types import Verdict

__all__ = ["JUDGED", "NEAR", "Judged", "guard_vetoes", "has_other_values", "is_paraphrase", "judged"]

NEAR = 0.80
JUDGED = 0.75  # hardly any pair that is further apart is ever served: a veto there changes nothing
# Sources whose rewordings leave values out or change them, which a guard may well refuse: patients' questions and what
# somebody made of them (mqp, rqe), and commands in the words of several people (nl2bash).
_VALUES_DIFFER = ("mqp", "rqe", "nl2bash")


def is_paraphrase(row: LabelledPair) -> bool:
    """Labelled the same, and nothing is known of its source that a guard could rightly object to."""
    return row.label == 1 and not row.ambiguous and not _may_differ(row)


def has_other_values(row: LabelledPair) -> bool:
    """Labelled the same, although a value may well differ."""
    return row.label == 1 and not row.ambiguous and _may_differ(row)


def _may_differ(row: LabelledPair) -> bool:
    return row.kind == "paraphrase_numdiff" or row.source.startswith(_VALUES_DIFFER)


def _is_clear(row: LabelledPair) -> bool:
    return not row.ambiguous


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair that is near enough to be judged, and the guards that veto it."""

    row: LabelledPair = field(repr=False)
    similarity: float
    conflicts: tuple[Verdict, ...]


def judged(
    rows: Sequence[LabelledPair], similarity: Scores, near: float, keep: Callable[[LabelledPair], bool] = _is_clear
) -> Iterator[Judged]:
    """The pairs of a cosine of `near` and above that are to be kept, in their order.

    Args:
        similarity: cosine of each row, -1 where a text does not fit the embedder.
    """
    for row, cosine in zip(rows, similarity.tolist(), strict=True):
        if cosine >= near and keep(row):
            verdicts = judge(row.b.text, row.a.text)
            yield Judged(row, cosine, tuple(one for one in verdicts if one.verdict == "conflict"))


def guard_vetoes(pairs: Iterable[Judged]) -> dict[str, Any]:
    """Guard -> how many pairs of either label it vetoes, and how many it vetoes alone; `all` for all guards together,
    `near` for how many pairs there are."""
    seen, vetoed, alone = Counter[int](), Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for pair in pairs:
        label, found = pair.row.label, [verdict.guard for verdict in pair.conflicts]
        seen[label] += 1
        vetoed.update((guard, label) for guard in found)
        vetoed[("all", label)] += bool(found)
        if len(found) == 1:
            alone[(found[0], label)] += 1
    names = [guard.name for guard in DEFAULT_GUARDS]
    guards = {
        name: {
            "label 0": vetoed[(name, 0)],
            "label 1": vetoed[(name, 1)],
            "alone 0": alone[(name, 0)],
            "alone 1": alone[(name, 1)],
        }
        for name in [*names, "all"]
    }
    return {"near": {"label 0": seen[0], "label 1": seen[1]}, "guards": guards}
