"""Turns that stand alone and follow-ups: what the test on a last turn says of labelled conversations, and what the
cache serves over other histories by it, and with a resolver.

    python -m benchmarks.quality.followups --data DATA [--part choose]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from timeit import repeat
from typing import Any

from benchmarks.quality.material import same_context
from benchmarks.quality.split import PARTS, data_files, split, write_rows
from benchmarks.report import table
from llmcache_plugins.engine.dialogue import dialogue_of, turns_to_resolve
from llmcache_plugins.evaluation import (
    LabelledPair,
    LabelledRequest,
    PreparedEmbedder,
    Progress,
    Rate,
    VectorFile,
    open_replay_cache,
    read_file,
    replay_stream,
    score_pairs,
    score_stream,
)
from llmcache_plugins.policies.standing_alone import stands_alone
from llmcache_plugins.protocols import Verifier
from llmcache_plugins.types import Hit, JsonValue, Request

__all__ = ["SETTINGS", "blocks_of", "followups"]

SETTINGS = ("default", "standalone_turns", "resolver")
# Which last turns of a kind are what: on the sides named, the question is whole by its words, or it leans on a history.
WHOLE = {"standalone_rewrite": "b", "rewrite_in_context": "b", "greeting_prefix": "ab", "same_system_paraphrase": "ab"}
LEANING = {"missing_history": "ab", "same_question_other_history": "ab", "context_swap": "ab"}
# Histories of which a right decision keeps or leaves out the whole.
IRRELEVANT = ("greeting_prefix", "irrelevant_history")
DECIDING = ("context_swap", "missing_history", "same_question_other_history", "detail_swap", "intent_flip")
_SPACE = "llmcache-follow-ups"
_TIMED = 200
Json = Mapping[str, Any]


# ---------------------------------------------------------------- measuring
def followups(
    pairs: Sequence[LabelledPair],
    streams: Mapping[str, Sequence[LabelledRequest]],
    embedder: PreparedEmbedder,
    progress: Callable[[str], Progress],
    *,
    verifier: Verifier | None = None,
) -> dict[str, JsonValue]:
    """Everything of this section.

    Args:
        pairs: labelled conversations.
        streams: part -> requests of a stream of conversations.
        verifier: of the caches that are tried.
    """
    known = rewrites(pairs)
    settings = {name: {"verifier": verifier, **_settings(name, known)} for name in SETTINGS}
    replayed = {
        name: _replayed(pairs, embedder, progress(f"follow-ups, {name}"), given) for name, given in settings.items()
    }
    equal = [same_context(row) for row in pairs]
    return {
        "turns": _turns(pairs),
        "histories": _histories(pairs),
        "microseconds": _microseconds(pairs),
        "conversations": {
            name: {
                **score_pairs(pairs, hits).as_json(),
                "equal_context": score_pairs(
                    [row for row, is_equal in zip(pairs, equal, strict=True) if is_equal],
                    [hit for hit, is_equal in zip(hits, equal, strict=True) if is_equal],
                ).all.as_json(),
            }
            for name, hits in replayed.items()
        },
        "streams": {
            part: {
                name: _streamed(rows, embedder, progress(f"follow-ups, stream, {part}, {name}"), given)
                for name, given in settings.items()
            }
            for part, rows in streams.items()
        },
        "rewrites": len(known),
    }


def rewrites(pairs: Sequence[LabelledPair]) -> dict[tuple[str, ...], str]:
    """What people wrote for a follow-up as a question by itself, by the turns that it was the last of. A rewrite stays
    what it is."""
    known: dict[tuple[str, ...], str] = {}
    for row in pairs:
        if row.kind in ("standalone_rewrite", "rewrite_in_context"):
            known.setdefault(_turns_of(row.a), row.b.text)
        if row.kind == "rewrite_in_context":
            known.setdefault(_turns_of(row.b), row.b.text)
    return known


def _turns_of(request: Request) -> tuple[str, ...]:
    dialogue = dialogue_of(request.context)
    return (*(text or "" for _, text in dialogue.said), request.text) if dialogue else (request.text,)


def _turns(pairs: Sequence[LabelledPair]) -> dict[str, JsonValue]:
    """The test on the last turn's words alone: of each kind's turns, each text once, how many are said to be whole."""
    found: dict[str, JsonValue] = {}
    for wanted, kinds in (("whole", WHOLE), ("leaning", LEANING)):
        groups: dict[str, dict[str, bool]] = {}
        for row in pairs:
            for side in kinds.get(row.kind, ""):
                text = (row.a if side == "a" else row.b).text
                groups.setdefault(f"{row.kind}, {row.source}", {})[text] = stands_alone(text)
        found[wanted] = {name: [sum(texts.values()), len(texts)] for name, texts in sorted(groups.items())}
    return found


def _histories(pairs: Sequence[LabelledPair]) -> dict[str, JsonValue]:
    """The whole decision, history and all: of how many rows both sides are matched as first turns, or are ones."""
    groups: dict[str, list[int]] = {}
    for row in pairs:
        if row.kind in (*IRRELEVANT, *DECIDING):
            counts = groups.setdefault(f"{row.kind}, {row.source}", [0, 0])
            counts[0] += _is_matched_alone(row.a) and _is_matched_alone(row.b)
            counts[1] += 1
    return dict(sorted(groups.items()))


def _is_matched_alone(request: Request) -> bool:
    dialogue = dialogue_of(request.context)
    if dialogue is None or not dialogue.said:
        return stands_alone(request.text)
    return dialogue.is_plain and request.exact_only is None and turns_to_resolve(request) is None


def _microseconds(pairs: Sequence[LabelledPair]) -> float:
    texts = [row.b.text for row in pairs][:_TIMED]
    seconds = min(repeat(lambda: [stands_alone(text) for text in texts], number=1, repeat=20))
    return seconds / max(1, len(texts)) * 1e6


def _settings(name: str, known: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    if name == "resolver":
        return {"resolver": lambda turns: known.get(tuple(turn["content"] for turn in turns))}
    return {"standalone_turns": name == "standalone_turns"}


def _replayed(
    pairs: Sequence[LabelledPair],
    embedder: PreparedEmbedder,
    progress: Progress,
    settings: Mapping[str, Any],
) -> list[bool]:
    """Whether the second request of each pair is answered with what was stored for the first, which was looked up
    before, as in service: that is when a resolver is asked."""
    hits: list[bool] = []
    with open_replay_cache(embedder, rows=len(pairs), **settings) as cache:
        for number, row in enumerate(pairs):
            space = (_SPACE, str(number))
            first = replace(row.a, namespace=space)
            cache.lookup(first)
            cache.update(first, number)
            hits.append(isinstance(cache.lookup(replace(row.b, namespace=space)), Hit))
            cache.clear(space)
            progress("replaying", number + 1, len(pairs))
    return hits


def _streamed(
    rows: Sequence[LabelledRequest],
    embedder: PreparedEmbedder,
    progress: Progress,
    settings: Mapping[str, Any],
) -> dict[str, JsonValue]:
    with open_replay_cache(embedder, rows=len(rows), **settings) as cache:
        served = replay_stream(cache, [row.request for row in rows], progress)
    return score_stream(rows, [one.row for one in served]).as_json()


# ---------------------------------------------------------------- telling
def blocks_of(results: Json) -> dict[str, str]:
    """Name of a marker of docs/quality.md -> what belongs there."""
    return {
        "followups-turns": _turns_table(results),
        "followups-histories": _histories_table(results["histories"]),
        "followups-served": _served_table(results["conversations"]),
        "followups-streams": _streams_table(results["streams"]),
    }


def _turns_table(results: Json) -> str:
    turns = results["turns"]
    rows = []
    for wanted, kinds in turns.items():
        rows += [[name, "yes" if wanted == "whole" else "no", *_counted(counts)] for name, counts in kinds.items()]
    right, wholes = _sum(turns["whole"])
    wrong, leaning = _sum(turns["leaning"])
    told = (
        f"Of {wholes} whole questions {right} are known as such ({_share(right, wholes)}), of {leaning} that lean "
        f"{wrong} are taken for whole ones ({_share(wrong, leaning)}); precision {_share(right, right + wrong)}. One "
        f"turn takes {results['microseconds']:.0f} microseconds."
    )
    return f"{table(('kind, source', 'whole', 'texts', 'said to stand alone'), rows)}\n\n{told}"


def _histories_table(histories: Json) -> str:
    rows = [
        [name, "yes" if name.startswith(IRRELEVANT) else "no", *_counted(counts)] for name, counts in histories.items()
    ]
    return table(("kind, source", "may be shared", "rows", "would be shared"), rows)


def _served_table(conversations: Json) -> str:
    head = ("setting", "hits / label 1 of equal context", "hits / label 1", "wrong hits / label 0", "precision")
    rows = [
        [
            name,
            _cell(one["equal_context"], "recall"),
            *(_cell(one, rate) for rate in ("recall", "wrong_hit_rate", "precision")),
        ]
        for name, one in conversations.items()
    ]
    kinds = sorted({kind for one in conversations.values() for kind in one["by_kind"]})
    by_kind = []
    for kind in kinds:
        found = [one["by_kind"][kind]["fractions"] for one in conversations.values()]
        rate = "recall" if found[0]["recall"][1] else "wrong_hit_rate"
        label = "1" if rate == "recall" else "0"
        by_kind.append([kind, label, str(found[0][rate][1]), *(str(one[rate][0]) for one in found)])
    return f"{table(head, rows)}\n\n{table(('hits by kind', 'label', 'rows', *conversations), by_kind)}"


def _streams_table(streams: Json) -> str:
    rows = [
        [f"{part}, {name}", *(_cell(one, rate) for rate in ("hit_rate", "variant_hit_rate", "error_rate"))]
        for part, settings in streams.items()
        for name, one in settings.items()
    ]
    return table(("stream of conversations", "hits", "variants hit", "wrong"), rows)


def _counted(counts: Sequence[int]) -> list[str]:
    return [str(counts[1]), f"{counts[0]} = {_share(*counts)}"]


def _sum(groups: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    return sum(counts[0] for counts in groups.values()), sum(counts[1] for counts in groups.values())


def _cell(scores: Json, name: str) -> str:
    return _share(*scores["fractions"][name])


def _share(count: int, total: int) -> str:
    if not total:
        return "-"
    rate = Rate(count, total)
    return f"{100 * rate.value:.1f} % ({100 * rate.interval.low:.1f} - {100 * rate.interval.high:.1f})"


# ---------------------------------------------------------------- alone
def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of some parts of the data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.followups", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the labelled files")
    parser.add_argument("--part", nargs="+", default=["fit", "choose"], choices=PARTS, help="(%(default)s)")
    default = Path(tempfile.gettempdir()) / "llmcache-quality"
    parser.add_argument("--cache", type=Path, default=default, metavar="DIR", help="vectors (%(default)s)")
    options = parser.parse_args(arguments)
    from llmcache_plugins.embedders import OnnxEmbedder

    parts = split(data_files(options.data))
    embedder = PreparedEmbedder(OnnxEmbedder(), file=VectorFile(options.cache / "vectors"), threads=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name in ("conversations_dev", "stream_conversations_dev"):
            path = Path(folder) / f"{name}.jsonl.gz"
            write_rows(path, [row for part in options.part for row in parts[part][name]])
            files[name] = read_file(path)
    pairs, stream = files["conversations_dev"].pairs, files["stream_conversations_dev"].stream
    found = followups(pairs, {", ".join(options.part): stream}, embedder, _said)
    print("\n\n".join(f"{name}\n{block}" for name, block in blocks_of(found).items()))
    return 0


def _said(step: str) -> Progress:
    print(step, file=sys.stderr, flush=True)
    return lambda stage, done, total: None


if __name__ == "__main__":
    sys.exit(main())
