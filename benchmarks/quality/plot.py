"""The pictures of docs/quality.md. The one module here that needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: there is no screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.quality.adaptive import plot_adaptive
from benchmarks.quality.measure import FOW, MINIMAL, NATURAL
from benchmarks.quality.pairs import ABLATION, CHAIN, LEXICAL, UNVERIFIED
from benchmarks.quality.streams import COSINES, DELTAS, ERROR_RATES
from llmcache_plugins.evaluation import Rate

__all__ = ["PLOTS", "plot_all"]

PLOTS = ("quality-curves.png", "quality-streams.png", "quality-families.png", "quality-reliability.png")
Json = Mapping[str, Any]
_COLOURS = {
    "cosine": "#9a9a9a",
    "cosine and guards": "#d9822b",
    "cosine 0.90": "#9a9a9a",
    "cosine 0.95 and guards": "#d9822b",
    LEXICAL: "#4c9f70",
    UNVERIFIED: "#7fb3d5",
    CHAIN: "#1b6ca8",
    "vCache": "#8e5ea2",
}


def plot_all(results: Json, folder: Path) -> None:
    """Write every picture of `PLOTS` into the folder, and that of the adaptive policy."""
    drawn = (
        _curves(results["pairs"]),
        _streams(results["streams"]["report"]),
        _families(results["minimal"]["methods"]),
        _reliability(results["reliability"]),
    )
    for name, figure in zip(PLOTS, drawn, strict=True):
        figure.savefig(folder / name, dpi=100)
        plt.close(figure)
    plot_adaptive(results["adaptive"], folder)


def _finish(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)


def _curves(pairs: Json) -> Any:
    """Precision over hit rate above, wrong hits over hit rate below, for three sets of pairs."""
    figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    for column, name in enumerate((NATURAL, MINIMAL, FOW)):
        for score, curve in pairs[name]["curves"].items():
            if not curve["points"] or score in ABLATION:
                continue
            hits, precision, wrong = zip(*curve["points"], strict=True)
            label = f"{score}: area {curve['area']:.3f}"
            axes[0][column].plot(hits, precision, label=label, color=_COLOURS[score])
            axes[1][column].plot(hits, [max(one, 1e-4) for one in wrong], color=_COLOURS[score])
        axes[0][column].legend(fontsize=7)
        axes[1][column].set_yscale("log")
        axes[1][column].axhline(0.01, color="#c0392b", linewidth=0.8, linestyle="--")
        _finish(axes[0][column], name, "hit rate on label 1", "precision")
        _finish(axes[1][column], "", "hit rate on label 1", "wrong hits / label 0 (dashed: 1 %)")
    return figure


def _streams(streams: Json) -> Any:
    """Error rate over hit rate for each stream, one point for each setting."""
    names = list(streams["all"])
    rows = (len(names) + 3) // 4
    figure, axes = plt.subplots(rows, 4, figsize=(14, 3.2 * rows), layout="constrained", squeeze=False)
    settings = {
        "cosine": [f"cosine {cosine:.3f}" for cosine in COSINES],
        "vCache": [f"vCache {delta:g}" for delta in DELTAS],
        CHAIN: [f"{CHAIN} {rate:g}" for rate in ERROR_RATES],
    }
    for place, name in enumerate(names):
        here = axes[place // 4][place % 4]
        methods = streams["all"][name]
        for label, keys in settings.items():
            points = [(methods[key]["hit_rate"], methods[key]["error_rate"]) for key in keys if key in methods]
            hits, errors = zip(*points, strict=True)
            marker = "." if label == "cosine" else "o"
            here.plot(
                hits, [100 * one for one in errors], marker=marker, markersize=4, label=label, color=_COLOURS[label]
            )
        chosen = methods[CHAIN]
        here.plot(chosen["hit_rate"], 100 * chosen["error_rate"], "*", markersize=12, color=_COLOURS[CHAIN])
        here.axhline(1.0, color="#c0392b", linewidth=0.8, linestyle="--")
        here.set_ylim(-0.2, 6)
        _finish(here, name, "hits / requests", "wrong hits / requests, %")
    for place in range(len(names), rows * 4):
        axes[place // 4][place % 4].axis("off")
    axes[0][0].legend(fontsize=7)
    return figure


def _families(methods: Json) -> Any:
    """Bars of the wrong-hit rate of each family."""
    shown = ("cosine 0.90", "cosine 0.95 and guards", CHAIN)
    families = [name for name, one in methods[CHAIN]["families"].items() if one["fractions"]["wrong_hit_rate"][1]]
    figure, axes = plt.subplots(figsize=(13, 4.5), layout="constrained")
    for place, method in enumerate(shown):
        found = [methods[method]["families"][name] for name in families]
        heights = [100 * one["wrong_hit_rate"] for one in found]
        ends = [Rate(*one["fractions"]["wrong_hit_rate"]).interval for one in found]
        errors = [
            [max(0.0, height - 100 * end.low) for height, end in zip(heights, ends, strict=True)],
            [max(0.0, 100 * end.high - height) for height, end in zip(heights, ends, strict=True)],
        ]
        spots = [at + (place - 1) * 0.28 for at in range(len(families))]
        axes.bar(spots, heights, 0.27, yerr=errors, label=method, color=_COLOURS[method], error_kw={"linewidth": 0.7})
    axes.set_xticks(range(len(families)), families, fontsize=8, rotation=30, ha="right")
    axes.legend(fontsize=8)
    _finish(axes, f"{MINIMAL}: wrong hits by family", "", "wrong hits / label 0, %")
    return figure


def _reliability(reliability: Json) -> Any:
    """Share that is right over confidence, in ten bins of equal size, for three sets of pairs."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), layout="constrained")
    for here, name in zip(axes, (NATURAL, MINIMAL, FOW), strict=True):
        found = reliability[name]
        here.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=0.8, linestyle="--")
        if found["bins"]:
            sure, right, _ = zip(*found["bins"], strict=True)
            here.plot(sure, right, marker="o", color=_COLOURS[CHAIN])
        title = f"{name}: error {found['ece']:.3f}, {found['pairs']:,} pairs"
        _finish(here, title, "confidence", "share that is right")
    return figure
