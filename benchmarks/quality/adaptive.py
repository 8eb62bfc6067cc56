"""The adaptive policy on whole streams, in order and from an empty cache, with simulated answers: requests of one class
have the same answer.

    python -m benchmarks.quality.adaptive --data DIR [--cache DIR]

measures this alone, and puts its tables and its picture into docs/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.quality.pairs import CHAIN
from benchmarks.quality.scored import PreparedVerifier
from benchmarks.quality.streams import SCORED, Stream, pooled, replay_verified
from llmcache_plugins.evaluation import (
    LabelledRequest,
    PreparedEmbedder,
    Progress,
    Rate,
    StreamScores,
    open_replay_cache,
    score_stream,
)
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Hit, JsonValue

__all__ = [
    "ADAPTIVE",
    "BUDGETS",
    "COSINE",
    "PICTURE",
    "VERIFIED",
    "adaptive_blocks",
    "plot_adaptive",
    "replay",
    "run_adaptive",
]

BUDGETS = (0.01, 0.02, 0.05)
ADAPTIVE, COSINE, VERIFIED = "adaptive", "adaptive, cosine alone", "vCache"
_METHODS = (VERIFIED, CHAIN, COSINE, ADAPTIVE)
_COLOURS = {VERIFIED: "#8e5ea2", CHAIN: "#9a9a9a", COSINE: "#d9822b", ADAPTIVE: "#1b6ca8"}
_NO_LABELS = ("querylog",)  # every class there is known by its text only, so that no hit is wrong
_SEED = 1
_DOCS = Path(__file__).parent.parent.parent / "docs"
PICTURE = "adaptive.png"

Json = Mapping[str, Any]


class _Uncalibrated:
    """The same vectors under a name that no calibration knows."""

    def __init__(self, embedder: PreparedEmbedder) -> None:
        self._embedder = embedder
        self.fits, self.embed = embedder.fits, embedder.embed

    @property
    def embedder_id(self) -> str:
        return f"{self._embedder.embedder_id}/uncalibrated"


def replay(
    rows: Sequence[LabelledRequest], embedder: Embedder, progress: Progress, *, seed: int = _SEED, **settings: Any
) -> tuple[list[int | None], dict[str, JsonValue]]:
    """What was served, by row, and what the policy says of itself at the end.

    Args:
        seed: of the coin that chooses what is checked.
    """
    served: list[int | None] = []
    ours = {
        "policy": "adaptive",
        "embedding_cache_entries": 0,
        "answers_agree": lambda fresh, stored: False,
        **settings,
    }
    if ours["policy"] != "adaptive":
        del ours["answers_agree"]
    with open_replay_cache(embedder, rows=len(rows), **ours) as cache:
        if cache._shadowing is not None:
            cache._shadowing.toss_with(Random(seed))
        for number, row in enumerate(rows):
            request = replace(row.request, namespace=("stream",))
            outcome = cache.lookup(request)
            if isinstance(outcome, Hit):
                served.append(int(outcome.answer["row"]))
            else:
                served.append(None)
                cache.update(request, {"content": row.label, "row": number})  # the answer is the class
                cache.finish_checks()
            progress("replaying", number + 1, len(rows))
        stats = cache.stats()
    learnt = stats.adaptive[0] if stats.adaptive else None
    if learnt is None:
        return served, {"checked": 0}
    return served, {"checked": learnt.checked, "at most": learnt.wrong_at_most, "allowed": learnt.wrong_allowed}


def run_adaptive(
    streams: Mapping[str, Sequence[LabelledRequest]],
    embedder: PreparedEmbedder,
    verifier: PreparedVerifier | None,
    progress: Callable[[str], Progress],
    *,
    budgets: Sequence[float] = BUDGETS,
) -> dict[str, JsonValue]:
    """Budget -> method -> scores of each stream, with the share of checks; means over the scored streams.

    Args:
        streams: name -> its rows, whole and in order.
    """
    found: dict[str, JsonValue] = {}
    for budget in budgets:
        scores: dict[str, dict[str, StreamScores]] = {method: {} for method in _METHODS}
        checks: dict[str, dict[str, JsonValue]] = {method: {} for method in _METHODS}
        for name, rows in streams.items():
            told = progress(f"adaptive {budget:g}: {name}")
            for method in _METHODS:
                served, said = _served(method, rows, embedder, verifier, budget, told)
                scores[method][name] = score_stream(rows, served)
                checks[method][name] = said
        found[f"{budget:g}"] = {method: _told(scores[method], checks[method]) for method in _METHODS}
    return found


def _served(
    method: str,
    rows: Sequence[LabelledRequest],
    embedder: PreparedEmbedder,
    verifier: PreparedVerifier | None,
    budget: float,
    progress: Progress,
) -> tuple[list[int | None], dict[str, JsonValue]]:
    if method == VERIFIED:
        has_messages = len({row.request.context is None for row in rows}) > 1 or rows[0].request.context is not None
        return replay_verified(Stream.of(rows, embedder, last_turn_alone=has_messages), budget), {}
    if method == CHAIN:
        return replay(rows, embedder, progress, policy="calibrated", verifier=verifier, max_error_rate=budget)
    if method == COSINE:
        return replay(rows, _Uncalibrated(embedder), progress, verifier=None, max_error_rate=budget)
    return replay(rows, embedder, progress, verifier=verifier, max_error_rate=budget)


def _told(scores: Mapping[str, StreamScores], checks: Mapping[str, Json]) -> dict[str, JsonValue]:
    judged = pooled(scores)
    return {
        "streams": {name: {**one.as_json(), "checks": dict(checks[name])} for name, one in scores.items()},
        "mean_hit_rate": sum(one.hits / one.requests for one in judged.values()) / max(1, len(judged)),
        "worst_error_rate": max((one.wrong / one.requests for one in judged.values()), default=0.0),
    }


# ---------------------------------------------------------------- tables
def adaptive_blocks(results: Json) -> dict[str, str]:
    """Name of a marker -> the table that belongs there."""
    return {"adaptive-means": _means(results), "adaptive-streams": _streams(results)}


def _means(results: Json) -> str:
    head = ("method", *(f"{100 * float(budget):g} %: mean hits / worst error / checks" for budget in results))
    rows = []
    for method in _METHODS:
        cells = []
        for methods in results.values():
            one = methods[method]
            told = [one["streams"][name] for name in one["streams"] if name.startswith(SCORED)]
            checked = [stream["checks"].get("checked", 0) / stream["rows"] for stream in told]
            share = "-" if method == VERIFIED else f"{100 * sum(checked) / max(1, len(checked)):.1f}"
            cells.append(f"{100 * one['mean_hit_rate']:.1f} / {100 * one['worst_error_rate']:.2f} / {share}")
        rows.append([method, *cells])
    return _table(head, rows)


def _streams(results: Json) -> str:
    head = (
        "stream",
        "requests",
        *(f"{100 * float(b):g} %: {what}" for b in results for what in ("hits", "wrong", "checks")),
    )
    first = next(iter(results.values()))[ADAPTIVE]["streams"]
    rows = []
    for name, stream in first.items():
        cells = [name, f"{stream['rows']:,}"]
        for methods in results.values():
            one = methods[ADAPTIVE]["streams"][name]
            cells += [
                f"{100 * _rate(one, 'hit_rate').value:.1f}",
                "-" if name in _NO_LABELS else _share(_rate(one, "error_rate")),
                f"{100 * one['checks']['checked'] / one['rows']:.1f}",
            ]
        rows.append(cells)
    return _table(head, rows)


def _rate(scores: Json, name: str) -> Rate:
    return Rate(*scores["fractions"][name])


def _share(rate: Rate) -> str:
    return f"{100 * rate.value:.2f} ({100 * rate.interval.low:.2f} - {100 * rate.interval.high:.2f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from benchmarks.report import table

    return table(head, rows)


# ---------------------------------------------------------------- picture
def plot_adaptive(results: Json, folder: Path) -> None:
    """Error rate over hit rate, a point for each stream and method; one panel for each budget."""
    import matplotlib

    matplotlib.use("Agg")  # before pyplot: there is no screen
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(14, 4.6), layout="constrained", squeeze=False)
    for here, (budget, methods) in zip(axes[0], results.items(), strict=True):
        for method in _METHODS:
            told = [one for name, one in methods[method]["streams"].items() if name not in _NO_LABELS]
            hits = [100 * _rate(one, "hit_rate").value for one in told]
            wrong = [100 * _rate(one, "error_rate").value for one in told]
            mean = methods[method]["mean_hit_rate"]
            here.plot(hits, wrong, "o", markersize=5, color=_COLOURS[method], label=f"{method}: mean {mean:.1%}")
        here.axhline(100 * float(budget), color="#c0392b", linewidth=0.9, linestyle="--")
        here.set_title(f"error budget {100 * float(budget):g} %", fontsize=10)
        here.set_xlabel("hits / requests, %", fontsize=8)
        here.set_ylabel("wrong hits / requests, %", fontsize=8)
        here.tick_params(labelsize=8)
        here.grid(alpha=0.25)
        here.legend(fontsize=7)
    figure.savefig(folder / PICTURE, dpi=100)
    plt.close(figure)


# ---------------------------------------------------------------- alone
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and renew this part of docs/quality.json and what is made from it; all else stays as it is."""
    from benchmarks.quality.command import _model, _reporter, _slim
    from benchmarks.quality.material import load

    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.adaptive", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="the labelled files")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "llmcache-quality", metavar="DIR")
    parser.add_argument("--output", type=Path, default=_DOCS, metavar="DIR", help="where to write (docs)")
    options = parser.parse_args(arguments)
    report = _reporter()
    material = load(options.data, options.cache, _model(), report("vectors"), threads=os.cpu_count() or 1)
    streams = {name.removeprefix("stream_"): file.stream for name, file in material.whole.items()}
    renew(_slim(run_adaptive(streams, material.embedder, material.verifier, report)), options.output)
    return 0


def renew(results: Json, folder: Path) -> None:
    """Write these results into quality.json, quality.md and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {**json.loads((_DOCS / "quality.json").read_text(encoding="utf-8")), "adaptive": results}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(part)}" for name, part in parts.items())
    (folder / "quality.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    document = (_DOCS / "quality.md").read_text(encoding="utf-8")
    for name, block in adaptive_blocks(results).items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = document.split(begin)
        document = f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"
    (folder / "quality.md").write_text(document, encoding="utf-8")
    plot_adaptive(results, folder)


if __name__ == "__main__":
    sys.exit(main())
