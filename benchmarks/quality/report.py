"""The tables of docs/quality.md, put between its markers; the prose around them is written by hand. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quality import followups
from benchmarks.quality.adaptive import adaptive_blocks
from benchmarks.quality.guard_sets import GUARD_SETS, with_set
from benchmarks.quality.measure import FOW, MINIMAL, NATURAL
from benchmarks.quality.pairs import ABLATION, ALONE, BUDGETS, CHAIN, LEXICAL, UNVERIFIED, UNWEIGHED
from benchmarks.quality.peers import FIXED
from benchmarks.quality.split import PARTS
from benchmarks.quality.streams import DELTAS, ERROR_RATES
from benchmarks.quality.targets import Target, targets_of
from benchmarks.report import table
from llmcache_plugins.evaluation import Rate

__all__ = ["blocks_of"]

Json = Mapping[str, Any]
_GUARDED = "cosine 0.95 and guards"
_PEERS = [peer.name for peer in FIXED]
_PAIR_METHODS = [
    "exact only",
    "exact and normalised",
    *[f"cosine {cosine:.2f}" for cosine in (0.80, 0.85, 0.90, 0.93, 0.95, 0.97, 0.99)],
    *_PEERS,
    LEXICAL,
    _GUARDED,
    UNVERIFIED,
    CHAIN,
]
_CURVES = ("cosine", "cosine and guards", LEXICAL, UNVERIFIED, CHAIN)
_PARTS = (CHAIN, UNVERIFIED, *ABLATION, "cosine and guards", "cosine")
_STREAM_METHODS = (
    "exact and normalised",
    "cosine 0.900",
    "cosine 0.950",
    *_PEERS,
    *[f"vCache {delta:g}" for delta in DELTAS],
    LEXICAL,
    _GUARDED,
    UNVERIFIED,
    CHAIN,
    *[f"{CHAIN} {rate:g}" for rate in ERROR_RATES],
)


def blocks_of(results: Json) -> dict[str, str]:
    """Name of a marker -> what belongs there."""
    return {
        "about": _about(results["about"]),
        "targets": _targets(targets_of(results)),
        "natural": _methods(results["pairs"][NATURAL]["methods"]),
        "natural-best": _best(results["pairs"][NATURAL]["curves"]),
        "languages": _methods(results["pairs"]["natural pairs, all languages"]["methods"]),
        "minimal": _minimal(results["minimal"]["methods"]),
        "minimal-best": _minimal_best(results["minimal"]["at_most"]),
        "families": _families(results["minimal"]["methods"]),
        "fow": _methods(results["pairs"][FOW]["methods"]),
        "fow-best": _best(results["pairs"][FOW]["curves"]),
        "ablation": _ablation(results),
        "judge": _judge(results["judge"]),
        "conversations": _conversations(results["conversations"]),
        "conversation-kinds": _kinds(results["conversations"][CHAIN]),
        **followups.blocks_of(results["followups"]),
        "guards": _guards(results["guards"]),
        "guard-aim": _guard_aim(results["guard aim"]),
        "guard-sets": _guard_sets(results["pairs"], results["streams"]["report"]["scored"]),
        "blind": _blind(results["blind"]),
        "patterns": _patterns(results["patterns"]),
        "streams-report": _streams(results["streams"]["report"]),
        "streams-whole": _streams(results["streams"]["whole"]),
        "means": _means(results["streams"]),
        **adaptive_blocks(results["adaptive"]),
        "reliability": _reliability(results["reliability"]),
        "timing": _timing(results["timing"]),
    }


def _about(about: Json) -> str:
    rows = ", ".join(f"{name.replace('stream_', '')} {count:,}" for name, count in about["rows"].items())
    return "\n".join(
        (
            f"- embedder: `{about['embedder_id']}`",
            f"- guards: version {about['guards_version']}; {_calibration(about)}",
            f"- policy: {about['policy']}, judged from a cosine of "
            f"{about['floor']:g}, served from a confidence of {about['min_confidence']:.4g}{_records(about)}; "
            f"{_verifier(about)}",
            f"- the chain's confidence and the public look-up disagree on {about['disagreements']} rows",
            f"- data: sha256 `{about['data_hash'][:16]}`; rows of the report part: {rows}",
        )
    )


def _records(about: Json) -> str:
    least = about.get("min_confidence_for_records")
    return "" if least is None else f" (stored questions for records: {least:.4g})"


def _verifier(about: Json) -> str:
    if about["verifier"] is None:
        return "no verifier"
    return f"verifier `{about['verifier']}`, asked from {about['grey_from']:.3g} up to {about['sure_from']:.3g}"


def _calibration(about: Json) -> str:
    if about["calibration"] is None:
        return "no calibration"
    return (
        f"calibration `{about['calibration']}`, fitted behind guards of version {about['calibration_guards_version']}"
    )


def _targets(targets: Sequence[Target]) -> str:
    aims = [target for target in targets if target.limit is not None]
    reached = sum(target.is_reached for target in aims)
    rows = [
        [
            target.what,
            _limit(target),
            _figure(target, target.measured) + ("" if target.rate is None else f" {_interval(target.rate)}"),
            "-" if target.limit is None else "reached" if target.is_reached else "**missed**",
        ]
        for target in targets
    ]
    summary = f"{reached} of {len(aims)} aims are reached, {len(aims) - reached} missed."
    return f"{summary}\n\n{table(('aim', 'limit', 'measured', 'verdict'), rows)}"


def _limit(target: Target) -> str:
    if target.limit is None:
        return "-"
    return f"{'at most' if target.is_most else 'at least'} {_figure(target, target.limit)}"


def _figure(target: Target, value: float) -> str:
    return f"{value:.3g} {target.unit}" if target.unit else f"{100 * value:.3g} %"


def _interval(rate: Rate) -> str:
    interval = rate.interval
    return f"({rate.count} of {rate.total}; {100 * interval.low:.2g} - {100 * interval.high:.3g} %)"


def _cell(scores: Json, name: str) -> str:
    """A rate and its interval, in percent."""
    count, total = scores["fractions"][name]
    return _share(Rate(count, total))


def _share(rate: Rate) -> str:
    if not rate.total:
        return "-"
    return f"{100 * rate.value:.1f} ({100 * rate.interval.low:.1f} - {100 * rate.interval.high:.1f})"


def _methods(methods: Json) -> str:
    rates = ("recall", "wrong_hit_rate", "error_rate", "precision")
    head = ("method", "hits / label 1", "wrong hits / label 0", "wrong hits / all", "precision")
    rows = [[_bold(name), *(_cell(methods[name], rate) for rate in rates)] for name in _PAIR_METHODS if name in methods]
    return table(head, rows)


def _bold(method: str) -> str:
    return f"**{method}**" if method == CHAIN else method


def _best(curves: Json) -> str:
    head = ("score", "area", *(f"at {100 * most:g} % wrong" for most in BUDGETS))
    rows = []
    for name in _CURVES:
        cells = []
        for most in BUDGETS:
            right, positives, _, _ = curves[name]["best"][f"{most:g}"]["counts"]
            cells.append(_share(Rate(right, positives)))
        rows.append([_bold(name), f"{curves[name]['area']:.3f}", *cells])
    return table(head, rows)


def _ablation(results: Json) -> str:
    """Hits at 1 % wrong by what decides, each part left out in turn; on streams where it can be had as a setting."""
    head = ("what decides", *(f"{name}: hits at 1 % wrong" for name in (NATURAL, MINIMAL, FOW)), "mean hits, streams")
    streams = {**results["streams"]["report"]["scored"], "cosine and guards": None, "cosine": None}
    rows = []
    for name in _PARTS:
        if results["about"]["verifier"] is None and name in (UNVERIFIED, UNWEIGHED, ALONE):
            continue
        cells = []
        for part in (NATURAL, MINIMAL, FOW):
            right, positives, _, _ = results["pairs"][part]["curves"][name]["best"]["0.01"]["counts"]
            cells.append(_share(Rate(right, positives)))
        stream = streams.get(name)
        rows.append([_bold(name), *cells, f"{100 * stream['mean_hit_rate']:.1f}" if stream else "-"])
    return table(head, rows)


def _judge(judge: Json) -> str:
    """With a judge that is always right in the grey zone."""
    head = ("set", "hits", "wrong", "judged / look-ups")
    rows = [
        [name, _cell(one, "recall"), _cell(one, "wrong_hit_rate"), _share(Rate(*one["asked"]))]
        for name, one in judge["pairs"].items()
    ]
    rows += [
        [name.removeprefix("stream_"), _cell(one, "hit_rate"), _cell(one, "error_rate"), _share(Rate(*one["asked"]))]
        for name, one in judge["streams"].items()
    ]
    return table(head, rows)


def _patterns(patterns: Json) -> str:
    """Questions made from few patterns, with their answer stored and without."""
    columns = ("present_right", "present_wrong", "absent_wrong")
    rows = [
        [_bold(name), *(_share(Rate(counts[column], patterns["asked"])) for column in columns)]
        for name, counts in patterns["methods"].items()
    ]
    return table(("method", "stored: right", "stored: wrong", "not stored: wrong"), rows)


def _minimal(methods: Json) -> str:
    head = ("method", "mean over families of wrong hits / label 0", "readable controls hit")
    rows = [
        [_bold(name), f"{100 * methods[name]['mean_wrong_hit_rate']:.1f}", _cell(methods[name]["readable"], "recall")]
        for name in _PAIR_METHODS
        if name in methods
    ]
    return table(head, rows)


def _minimal_best(at_most: Json) -> str:
    head = ("score", *(f"mean wrong at most {100 * most:g} %" for most in BUDGETS))
    rows = []
    for name in _CURVES:
        cells = []
        for most in BUDGETS:
            found = at_most[name].get(f"{most:g}")
            cells.append(f"{100 * found['right'] / found['positives']:.1f}" if found else "-")
        rows.append([_bold(name), *cells])
    return table(head, rows)


def _families(methods: Json) -> str:
    shown = ("cosine 0.90", "cosine 0.95", _GUARDED, CHAIN)
    names = [name for name, one in methods[CHAIN]["families"].items() if one["fractions"]["wrong_hit_rate"][1]]
    rows = [
        [
            name,
            str(methods[CHAIN]["families"][name]["fractions"]["wrong_hit_rate"][1]),
            *(_cell(methods[method]["families"][name], "wrong_hit_rate") for method in shown),
        ]
        for name in names
    ]
    return table(("family", "rows", *shown), rows)


def _conversations(methods: Json) -> str:
    head = ("method", "hits / label 1 of equal context", "hits / label 1", "wrong hits / label 0", "precision")
    rows = [
        [
            _bold(name),
            _cell(methods[name]["equal_context"], "recall"),
            *(_cell(methods[name], rate) for rate in ("recall", "wrong_hit_rate", "precision")),
        ]
        for name in _PAIR_METHODS
        if name in methods
    ]
    return table(head, rows)


def _kinds(chain: Json) -> str:
    groups = {**chain["by_kind"], **{f"ambiguous: {name}": one for name, one in chain.get("ambiguous", {}).items()}}
    rows = [
        [name, f"{one['rows']:,}", _cell(one, "recall"), _cell(one, "wrong_hit_rate")] for name, one in groups.items()
    ]
    return table(("kind", "rows", "hits / label 1", "wrong hits / label 0"), rows)


def _guards(guards: Json) -> str:
    natural, minimal = guards["natural"], guards["minimal"]
    head = (
        "guard",
        "minimal, label 0",
        "minimal, label 1",
        "natural, label 0",
        "natural, label 1",
        "alone, label 0 / 1",
    )
    rows = []
    for name in natural["guards"]:
        cells = [_veto(part, name, label) for part in (minimal, natural) for label in ("label 0", "label 1")]
        alone = [sum(part["guards"][name][f"alone {label}"] for part in (minimal, natural)) for label in (0, 1)]
        rows.append([name, *cells, f"{alone[0]} / {alone[1]}" if name != "all" else ""])
    return table(head, rows)


def _guard_aim(aim: Json) -> str:
    """Each part of the data, all of them, and apart what may be refused."""
    columns = {
        "all paraphrases": aim["whole"],
        **{f"{part} part": aim["parts"][part] for part in PARTS},
        "values may differ, report part": aim["other values"],
    }
    rows = [[name, *(_veto(one, name, "label 1", 2) for one in columns.values())] for name in aim["whole"]["guards"]]
    return table(("guard", *columns), rows)


def _guard_sets(pairs: Json, streams: Json) -> str:
    """Each set of guards behind a cosine of 0.95, and none and all of them."""
    rates = ("recall", "wrong_hit_rate", "precision")
    shown = ("hits / label 1", "wrong / label 0", "precision")
    head = ("guards", *(f"{name}: {what}" for name in ("natural", "minimal") for what in shown))
    methods = {"none": "cosine 0.95", **{title: with_set(title) for title in GUARD_SETS}, "all": _GUARDED}
    rows = []
    for title, method in methods.items():
        cells = [_cell(pairs[name]["methods"][method], rate) for name in (NATURAL, MINIMAL) for rate in rates]
        stream = streams["cosine 0.950" if title == "none" else method]
        means = [f"{100 * stream[name]:.2f}" for name in ("mean_hit_rate", "worst_error_rate")]
        rows.append([title, *cells, *means])
    return table((*head, "streams: mean hits", "streams: worst error"), rows)


def _blind(blind: Json) -> str:
    head = ("set", "wrong hits / look-alikes", "hits / rewordings")
    rows = [[name, _counted(one, "wrong_hit_rate"), _counted(one, "recall")] for name, one in blind.items()]
    wrong = [
        f"- {row}: stored `{stored}`, asked `{asked}`" for one in blind.values() for row, stored, asked in one["wrong"]
    ]
    return "\n".join(
        [table(head, rows), "", "Served wrongly:" if wrong else "None is served wrongly.", "", *wrong]
    ).rstrip()


def _counted(scores: Json, name: str) -> str:
    count, total = scores["fractions"][name]
    return f"{count} of {total} = {_share(Rate(count, total))}"


def _veto(part: Json, guard: str, label: str, digits: int = 1) -> str:
    count, total = part["guards"][guard][label], part["near"][label]
    return f"{count} of {total} = {100 * count / max(1, total):.{digits}f} %"


def _streams(streams: Json) -> str:
    """Ours beside the one cosine: hit rate, variants and error rate of each stream."""
    cosine = f"cosine {streams['one_cosine']['threshold']:.3f}"
    head = ("stream", "requests", "hits", "variants hit", "wrong", "unjudged", f"{cosine}: hits", "wrong")
    rows = []
    for name, methods in streams["all"].items():
        ours = methods[CHAIN]
        theirs = methods.get(cosine, methods["exact and normalised"])
        cells = [_cell(ours, rate) for rate in ("hit_rate", "variant_hit_rate", "error_rate", "unjudged_rate")]
        rows.append([name, f"{ours['rows']:,}", *cells, *(_cell(theirs, rate) for rate in ("hit_rate", "error_rate"))])
    return table(head, rows)


def _means(streams: Json) -> str:
    """Mean hit rate and worst error rate over the scored streams, report part and whole."""
    rows = []
    for method in _STREAM_METHODS:
        cells = []
        for part in ("report", "whole"):
            one = streams[part]["scored"].get(method)
            cells += (
                [f"{100 * one['mean_hit_rate']:.1f}", f"{100 * one['worst_error_rate']:.2f}"] if one else ["-", "-"]
            )
        rows.append([_bold(method), *cells])
    for part in ("report", "whole"):
        found = streams[part]["one_cosine"]
        here = [f"{100 * found['mean_hit_rate']:.1f}", "at most 1"]
        cells = [*here, "-", "-"] if part == "report" else ["-", "-", *here]
        rows.append([f"one cosine for all, {part}: {found['threshold']:.3f}", *cells])
    head = ("method", "mean hits, report", "worst error, report", "mean hits, whole", "worst error, whole")
    return table(head, rows)


def _reliability(reliability: Json) -> str:
    rows = [[name, f"{one['pairs']:,}", f"{one['ece']:.3f}"] for name, one in reliability.items()]
    return table(("pairs", "judged", "expected calibration error"), rows)


def _timing(timing: Json) -> str:
    embedding = timing["embedding median"]
    rows = [
        [what, f"{timing[count]:,}", *(f"{timing[key] * 1000:.3f} ms, {timing[key] / embedding:.2f}" for key in keys)]
        for what, count, keys in (
            ("every look-up", "lookups", ("mean", "median", "p95")),
            (
                "look-ups with a candidate near enough to be judged",
                "asked",
                ("asked mean", "asked median", "asked p95"),
            ),
        )
    ]
    rows.append(["one embedding of a question", f"{timing['embedded']:,}", "", f"{embedding * 1000:.3f} ms, 1.00", ""])
    found = table(("", "count", "mean, times one embedding", "median", "p95"), rows)
    if timing.get("kept"):
        return f"{found}\n\nTimed in an earlier run, with the same guards, calibration and data."
    return found
