"""`llmcache compare TEXT TEXT...`: how near questions are to each other, and whether one would be answered for another.

Each pair is asked of a cache in memory that holds the first and is asked the second: the code that decides is the
cache's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from llmcache_plugins.cli.explain import notes_on
from llmcache_plugins.cli.showing import one_line, show
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.engine import Explanation, SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_cache
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies.profile import RuleProfiler
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.report import Section
from llmcache_plugins.types import Profile, Request, Verdict

__all__ = ["CompareOptions", "run_compare"]

_MOST = 20  # texts: 190 pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What was asked for on the command line; None leaves a setting at its default.

    Args:
        texts: two or more, at most 20; each is compared with each.
        lexical: by the LexicalMatcher in place of the default embedder.

    Raises:
        ConfigError: too few or too many texts, or one without a word.
    """

    texts: Sequence[str] = field(repr=False)
    max_error_rate: float | None = None
    similarity_threshold: float | None = None
    lexical: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if not 2 <= len(self.texts) <= _MOST:
            raise ConfigError(f"give 2 to {_MOST} texts, not {len(self.texts)}")
        if not all(text.strip() for text in self.texts):
            raise ConfigError("a text is empty: put each between quotation marks")

    @property
    def settings(self) -> dict[str, Any]:
        chosen = {"max_error_rate": self.max_error_rate, "similarity_threshold": self.similarity_threshold}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Compared:
    """The first text as it is stored and the second as it is asked; `similarity` is their cosine."""

    stored: int
    asked: int
    similarity: float
    verdicts: tuple[Verdict, ...]
    explanation: Explanation

    @property
    def confidence(self) -> float:
        """0 where it was not worked out: too far away, or vetoed."""
        if self.explanation.is_hit or not self.explanation.candidates:
            return self.explanation.confidence
        return self.explanation.candidates[0].confidence

    def as_json(self) -> dict[str, Any]:
        return {
            "stored": self.stored,
            "asked": self.asked,
            "similarity": round(self.similarity, 6),
            "confidence": self.confidence,
            "would_match": self.explanation.is_hit,
            "outcome": self.explanation.outcome,
            "guards": [{"guard": v.guard, "verdict": v.verdict, "detail": v.detail} for v in self.verdicts],
        }


def run_compare(
    options: CompareOptions,
    say: Callable[[str], None] = print,
    *,
    make_embedder: Callable[[], Embedder] = OnnxEmbedder,
) -> int:
    """Compare each text with each and print what came of it.

    Raises:
        ConfigError: a setting is out of range.
        MissingExtraError: the default embedder is not installed (`lexical` does without).
        EmbedderError: it does not work.
    """
    embedder = LexicalMatcher() if options.lexical else make_embedder()
    profiler = RuleProfiler(query_type_of)
    profiles = [profiler(Request(text)) for text in options.texts]
    with open_cache("memory://", embedder=embedder, fail_open=False, maintenance="manual", **options.settings) as cache:
        pairs = list(_compared(cache, options.texts, embedder))
    if options.as_json:
        say(json.dumps(_as_json(options, profiles, pairs)))
    else:
        show(list(_sections(options, profiles, pairs)), say)
    return 0


def _compared(cache: SemanticCache, texts: Sequence[str], embedder: Embedder) -> Iterator[Compared]:
    vectors = embedder.embed(texts)
    for stored, asked in combinations(range(len(texts)), 2):
        alone = (f"{stored}-{asked}",)  # a namespace each: no third text may be nearer
        cache.update(Request(texts[stored], namespace=alone), "-")
        yield Compared(
            stored,
            asked,
            float(vectors[stored] @ vectors[asked]),
            judge(texts[asked], texts[stored]),
            cache.explain(Request(texts[asked], namespace=alone)),
        )


def _as_json(options: CompareOptions, profiles: Sequence[Profile], pairs: Sequence[Compared]) -> dict[str, Any]:
    first = pairs[0].explanation
    return {
        "embedder_id": first.embedder_id,
        "policy": None if first.policy is None else first.policy.policy_id,
        "texts": [
            {"text": text, "query_type": one.query_type, "volatility": one.volatility, "tags": list(one.tags)}
            for text, one in zip(options.texts, profiles, strict=True)
        ],
        "pairs": [pair.as_json() for pair in pairs],
    }


def _sections(options: CompareOptions, profiles: Sequence[Profile], pairs: Sequence[Compared]) -> Iterator[Section]:
    yield Section(
        "Texts",
        [
            (f"{number}  {one_line(text)}", one.query_type, one.volatility or "-", ", ".join(one.tags) or "-")
            for number, (text, one) in enumerate(zip(options.texts, profiles, strict=True), 1)
        ],
        head=("", "query type", "volatility", "tags"),
    )
    policies = {str(pair.explanation.policy) for pair in pairs if pair.explanation.policy is not None}
    yield Section(
        "Would one be answered with the other's answer?",
        [
            (
                f"{pair.asked + 1} asked, {pair.stored + 1} stored",
                f"{pair.similarity:.3f}",
                f"{pair.confidence:.3f}",
                "yes" if pair.explanation.is_hit else "no",
                pair.explanation.outcome,
            )
            for pair in pairs
        ],
        head=("", "cosine", "confidence", "match", "outcome"),
        notes=[*sorted(policies), *sorted({note for pair in pairs for note in notes_on(pair.explanation)})],
    )
    said = [
        (f"{pair.asked + 1}, {pair.stored + 1}", verdict.guard, verdict.verdict, one_line(verdict.detail))
        for pair in pairs
        for verdict in pair.verdicts
        if verdict.verdict != "silent"
    ]
    if said:
        yield Section("What the guards say (all others are silent)", said, head=("", "guard", "verdict", "of"))
