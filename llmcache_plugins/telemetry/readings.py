"""The numbers of a cache as metrics have them: one table, so that Prometheus and OpenTelemetry cannot differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from llmcache_plugins.counters import CacheStats, GroupStats, LookupCounts, StoreStats, TierStats
from llmcache_plugins.telemetry.fields import printable
from llmcache_plugins.types import HitKind, MissReason, Usage

__all__ = ["Reading", "readings"]

Unit: TypeAlias = Literal["", "seconds", "bytes", "ratio"]
Row: TypeAlias = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric at one moment.

    Args:
        name: with dots between its words, `"tier.entries"`; neither prefix nor unit is in it.
        help: one line.
        labels: their names.
        rows: a value for each label, and the number.
        unit: base unit of the numbers; `"ratio"` is in [0, 1].
        is_counter: it only grows while the process lives; else it goes up and down.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    unit: Unit = ""
    is_counter: bool = True


def readings(stats: CacheStats, *, namespaces: bool = False) -> tuple[Reading, ...]:
    """Everything but the latencies, which are histograms: always the same metrics in the same order.

    Args:
        namespaces: also lookups by namespace: up to 257 of them, and their names are in the metrics.
    """
    by_namespace = {"/".join(name): counts for name, counts in stats.namespaces.items()}
    named = [Reading(*_OF_NAMESPACES, _by_outcome(by_namespace))] if namespaces else []
    places = _places(stats.stores, stats.tiers)
    found = (
        *_lookups(stats),
        *named,
        *_models(stats),
        *_verdicts(stats),
        *_rollout(stats),
        *_whole(stats),
        *places,
    )
    return tuple(
        replace(one, rows=tuple((tuple(map(printable, labels)), n) for labels, n in one.rows)) for one in found
    )


_OF_NAMESPACES = ("namespace.lookups", "Lookups by namespace.", ("namespace", "outcome"))


def _lookups(stats: CacheStats) -> tuple[Reading, ...]:
    # Zeros too: a hit rate of two counters is unknown, not 0, where the one of the hits is not there yet.
    hits = {**dict.fromkeys(get_args(HitKind), 0), **stats.hits}
    misses = {**dict.fromkeys((reason.value for reason in MissReason), 0), **stats.misses}
    ended = (
        *((("hit", kind), number) for kind, number in hits.items()),
        *((("miss", reason), number) for reason, number in misses.items()),
        (("bypass", ""), stats.bypasses),
    )
    updates = ((("stored", ""), stats.updates), *((("refused", why), n) for why, n in stats.refusals.items()))
    return (
        Reading("lookups", "Lookups: how they ended, by kind of hit and reason of miss.", ("outcome", "reason"), ended),
        Reading(
            "query_type.lookups",
            "Lookups by type of question.",
            ("query_type", "outcome"),
            _by_outcome(stats.query_types, "hit miss"),
        ),
        Reading("updates", "Answers that were to be stored.", ("outcome", "reason"), updates),
        Reading("errors", "Failures that callers were spared, by part.", ("component",), _rows(stats.errors)),
        Reading(
            "time_saved", "What models would have taken for the hits.", (), (((), stats.seconds_saved),), "seconds"
        ),
    )


def _models(stats: CacheStats) -> tuple[Reading, ...]:
    used = stats.models.items()
    spared = tuple(row for model, use in used for row in _tokens(model, use.saved))
    taken = tuple(row for model, use in used for row in _tokens(model, use.spent))
    return (
        Reading("model.calls", "Calls of models.", ("model",), tuple(((model,), use.calls) for model, use in used)),
        Reading(
            "model.calls_saved", "Calls of models that hits spared.", ("model",), tuple(((m,), u.hits) for m, u in used)
        ),
        Reading("model.tokens", "Tokens of the calls of models.", ("model", "type"), taken),
        Reading("model.tokens_saved", "Tokens of the calls that hits spared.", ("model", "type"), spared),
    )


def _verdicts(stats: CacheStats) -> tuple[Reading, ...]:
    validated = ((("accepted",), stats.validated - stats.rejected), (("rejected",), stats.rejected))
    return (
        Reading("validations", "Matches that validators were asked about.", ("outcome",), validated),
        Reading("judge.questions", "What came of the judge.", ("outcome",), _rows(stats.judged)),
        Reading("judge.cost", "Money that the judge has cost.", (), (((), stats.judge_cost),)),
        Reading("resolver.questions", "What came of the resolver of follow-ups.", ("outcome",), _rows(stats.resolved)),
        Reading("reports", "Answers that users reported as wrong.", (), (((), stats.reported),)),
        Reading("invalidations", "Entries that were removed or marked stale.", (), (((), stats.invalidated),)),
        Reading(
            "warnings", "Warnings of capacity and evictions.", ("kind",), _rows(_from_0(_WARNINGS, stats.warnings))
        ),
    )


_WARNINGS = ("tier", "memory", "evictions", "server_evictions")


def _whole(stats: CacheStats) -> tuple[Reading, ...]:
    """Of the cache as one; a number that is not known now has no row, for a 0 would look like a counter that began
    anew."""
    stores = (*stats.stores, *stats.stores_down)
    up = tuple(((store,), float(store in stats.stores)) for store in stores)
    gone, full = (() if one is None else (((), one),) for one in (stats.evictions, stats.utilisation))
    left_alone = _rows(_from_0(stores, stats.left_alone))
    return (
        Reading("evictions", "Entries that left the cache for want of room.", (), gone),
        Reading("utilisation", "How much of the capacity of all tiers is taken.", (), full, "ratio", is_counter=False),
        Reading("store.up", "Whether a store can be asked: 1, or 0.", ("store",), up, is_counter=False),
        Reading("left_alone", "Calls of a part not made, for it failed just before.", ("component",), left_alone),
    )


def _from_0(names: Iterable[str], table: Mapping[str, int]) -> dict[str, int]:
    """With a 0 for what has not happened: the increase of a counter that was not there before is unknown."""
    return {**dict.fromkeys(names, 0), **table}


def _rollout(stats: CacheStats) -> tuple[Reading, ...]:
    groups, control = stats.groups.items(), stats.groups.get("control", GroupStats())
    asked = tuple(
        ((group, outcome), number)
        for group, one in groups
        for outcome, number in (("hit", one.hits), ("withheld", one.withheld), ("miss", one.misses - one.withheld))
    )
    compared = (("same",), control.same), (("different",), control.different), (("unclear",), control.unclear)
    return (
        Reading("rollout.requests", "Requests of the groups of a roll-out.", ("group", "outcome"), asked),
        Reading("rollout.comparisons", "Fresh answers compared with withheld ones.", ("outcome",), compared),
        Reading("rollout.steps", "Steps of a staged roll-out, up and back.", ("reason",), _rows(stats.stages)),
    )


def _places(stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> tuple[Reading, ...]:
    def store(name: str, help: str, rows: Iterable[float], unit: Unit = "", *, is_counter: bool = True) -> Reading:
        labelled = tuple(((label,), number) for label, number in zip(stores, rows, strict=True))
        return Reading(f"store.{name}", help, ("store",), labelled, unit, is_counter)

    def tier(name: str, help: str, rows: Iterable[float], unit: Unit = "") -> Reading:
        labelled = tuple(((label,), number) for label, number in zip(tiers, rows, strict=True))
        return Reading(f"tier.{name}", help, ("tier",), labelled, unit, is_counter=False)

    held, placed = stores.values(), tiers.items()
    asked = _by_outcome({label: LookupCounts(one.hits, one.misses) for label, one in placed}, "hit miss")
    moved = tuple(
        ((label, direction), number)
        for label, one in placed
        for direction, number in (("up", one.promotions), ("down", one.demotions))
    )
    return (
        store("entries", "Entries of a store.", [one.entries for one in held], is_counter=False),
        store("size", "What a limit on bytes counts.", [one.size_bytes for one in held], "bytes", is_counter=False),
        store("evictions", "Entries that left for want of room.", [one.evictions for one in held]),
        store("expirations", "Entries whose time was over.", [one.expirations for one in held]),
        store("damaged", "Entries that could not be read.", [one.damaged for one in held]),
        tier("entries", "Entries placed in a tier.", [one.entries for _, one in placed]),
        tier("size", "What those entries take.", [one.size_bytes for _, one in placed], "bytes"),
        tier("utilisation", "How much of the capacity is taken.", [one.utilisation for _, one in placed], "ratio"),
        Reading("tier.lookups", "Lookups by tier: found there, or not.", ("tier", "outcome"), asked),
        Reading("tier.moves", "Entries that moved to another tier, from this one.", ("tier", "direction"), moved),
    )


def _rows(table: Mapping[str, float]) -> tuple[Row, ...]:
    return tuple(((label,), number) for label, number in table.items())


def _by_outcome(table: Mapping[str, LookupCounts], outcomes: str = "hit miss bypass") -> tuple[Row, ...]:
    return tuple(
        ((label, outcome), number)
        for label, counts in table.items()
        for outcome, number in (("hit", counts.hits), ("miss", counts.misses), ("bypass", counts.bypasses))
        if outcome in outcomes.split()
    )


def _tokens(model: str, usage: Usage) -> tuple[Row, ...]:
    counted = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_creation": usage.cache_creation_input_tokens,
        "cache_read": usage.cache_read_input_tokens,
    }
    return tuple(((model, kind), number) for kind, number in counted.items())
