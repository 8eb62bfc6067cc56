"""The tiered cache against a plain model of it, by random steps: nothing is lost by a move, every entry is where it
should be, the best match of all tiers wins, and the counters add up."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmcache_plugins import Hit, Miss, SemanticCache, TierConfig, open_cache
from llmcache_plugins.testing import FakeClock, FakeEmbedder

NAMES = ("top", "middle", "bottom")
SIZES = {"top": 2, "middle": 3}
PROMOTE_AT = {"middle": 3, "bottom": 2}
RESIDENCY = {"top": 10.0, "middle": 25.0}
GROUP = tuple(f"member {letter}" for letter in "abcd")
ALONE = tuple(f"alone {letter}" for letter in "efghijkl")
QUESTIONS = st.sampled_from(GROUP + ALONE)


@dataclass
class Kept:
    answer: int
    stored: int  # which of all writes it was
    expires_at: float | None
    seen: float
    tier: str
    order: int  # grows with writes and moves; the tiers are first in, first out
    reads: int = 0
    served: int = 0


class TieredModel(RuleBasedStateMachine):
    """The cache under test beside a dict that does the same, slowly."""

    copies: str | None = None
    bottom = "memory://"

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.embedder = FakeEmbedder(dict.fromkeys(GROUP, "group"), similarity=0.9)
        self.folder = tempfile.TemporaryDirectory()
        tiers = [
            TierConfig("top", store=self.copies, max_entries=2, residency=RESIDENCY["top"], eviction="fifo"),
            TierConfig("middle", max_entries=3, residency=RESIDENCY["middle"], eviction="fifo", promote_at=3),
            TierConfig("bottom", store=self.store(), eviction="fifo", promote_at=2, volatilities=("static",)),
        ]
        self.cache: SemanticCache = open_cache(
            tiers=tiers,
            embedder=self.embedder,
            clock=self.clock,
            maintenance="manual",
            similarity_threshold=0.6,
            use_guards=False,
            ttl=None,
            sweep_interval=None,
            single_flight_timeout=0.001,  # an update after an invalidation needs no lookup before it
        )
        self.kept: dict[str, Kept] = {}
        self.numbers = 0
        self.asked = 0
        self.hits = dict.fromkeys(NAMES, 0)
        self.misses = 0
        self.moved = {"up": dict.fromkeys(NAMES, 0), "down": dict.fromkeys(NAMES, 0)}

    def store(self) -> str:
        return self.bottom.replace("FOLDER", self.folder.name)

    def teardown(self) -> None:
        self.cache.close()
        self.folder.cleanup()

    # ------------------------------------------------------------------------------------------------------ the model
    def next(self) -> int:
        self.numbers += 1
        return self.numbers

    def is_live(self, question: str) -> bool:
        kept = self.kept.get(question)
        return kept is not None and (kept.expires_at is None or kept.expires_at > self.clock.now())

    def move(self, kept: Kept, tier: str, way: str) -> None:
        self.moved[way][kept.tier] += 1
        kept.tier, kept.order, kept.seen = tier, self.next(), self.clock.now()
        if way == "down":
            kept.reads = 0

    def settle(self) -> None:
        """What is too much moves down."""
        for tier, below in itertools.pairwise(NAMES):
            inside = sorted((k for k in self.kept.values() if k.tier == tier), key=lambda k: k.order)
            for kept in inside[: max(0, len(inside) - SIZES[tier])]:
                self.move(kept, below, "down")

    def read(self, kept: Kept) -> None:
        self.hits[kept.tier] += 1
        kept.reads, kept.served, kept.seen = kept.reads + 1, kept.served + 1, self.clock.now()
        if kept.reads >= PROMOTE_AT.get(kept.tier, 10**9):
            self.move(kept, NAMES[NAMES.index(kept.tier) - 1], "up")
            self.settle()

    # ------------------------------------------------------------------------------------------------------ the steps
    @rule(question=QUESTIONS, ttl=st.sampled_from([None, 20.0]))
    def update(self, question: str, ttl: float | None) -> None:
        number = self.next()
        outcome = self.cache.update(question, number, ttl=ttl)
        if outcome.reason == "invalidated":  # the answer to the miss of an earlier time; this is that of today
            outcome = self.cache.update(question, number, ttl=ttl)
        assert outcome.stored
        now = self.clock.now()
        self.kept[question] = Kept(number, number, None if ttl is None else now + ttl, now, "middle", number)
        self.settle()

    @rule(question=QUESTIONS)
    def lookup(self, question: str) -> None:
        if question in GROUP and not self.is_live(question):
            return  # another of its group would answer; see `ask_in_other_words`
        outcome = self.cache.lookup(question)
        if not self.is_live(question):
            assert isinstance(outcome, Miss)
            self.misses += 1
            return
        kept = self.kept[question]
        assert isinstance(outcome, Hit)
        assert (outcome.kind, outcome.answer, outcome.tier) == ("exact", kept.answer, kept.tier)
        assert outcome.access_count == kept.served + 1
        self.read(kept)

    @precondition(lambda self: any(self.is_live(question) for question in GROUP))
    @rule()
    def ask_in_other_words(self) -> None:
        self.asked += 1
        asked = f"wording {self.asked}"
        self.embedder.groups[asked] = "group"
        live = [question for question in GROUP if self.is_live(question)]
        vectors = self.embedder.embed([asked, *live])
        similarities = dict(zip(live, (vectors[1:] @ vectors[0]).tolist(), strict=True))
        outcome = self.cache.lookup(asked)
        assert isinstance(outcome, Hit)
        assert outcome.kind == "semantic"
        assert similarities[outcome.matched_question] > max(similarities.values()) - 1e-5
        kept = self.kept[outcome.matched_question]
        assert (outcome.answer, outcome.tier) == (kept.answer, kept.tier)
        self.read(kept)

    @rule(question=QUESTIONS)
    def invalidate(self, question: str) -> None:
        key = self.cache.identify(question).key
        count = self.cache.invalidate(key=key).count
        assert count == (question in self.kept)
        self.kept.pop(question, None)
        self.clock.advance(1)

    @rule(seconds=st.sampled_from([1.0, 6.0, 12.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def maintain(self) -> None:
        assert self.cache.maintain().failed == ()
        self.kept = {question: kept for question, kept in self.kept.items() if self.is_live(question)}
        for tier in ("middle", "top"):
            idle = [k for k in self.kept.values() if k.tier == tier and k.seen < self.clock.now() - RESIDENCY[tier]]
            for kept in sorted(idle, key=lambda k: k.stored):
                self.move(kept, NAMES[NAMES.index(tier) + 1], "down")
        self.settle()

    # -------------------------------------------------------------------------------------------------- what must hold
    @invariant()
    def tiers_hold_what_they_should(self) -> None:
        tiers = self.cache.stats().tiers
        assert {name: tier.entries for name, tier in tiers.items()} == {
            name: sum(kept.tier == name for kept in self.kept.values()) for name in NAMES
        }
        assert all(tiers[name].entries <= SIZES[name] for name in SIZES)

    @invariant()
    def counters_add_up(self) -> None:
        stats = self.cache.stats()
        assert {name: tier.hits for name, tier in stats.tiers.items()} == self.hits
        assert stats.hit_count == sum(self.hits.values())
        assert stats.miss_count == self.misses == stats.tiers["bottom"].misses
        assert stats.tiers["top"].misses == self.misses + self.hits["middle"] + self.hits["bottom"]
        assert {name: tier.promotions for name, tier in stats.tiers.items()} == self.moved["up"]
        assert {name: tier.demotions for name, tier in stats.tiers.items()} == self.moved["down"]
        assert stats.tiers["bottom"].evictions == 0
        assert stats.errors == {}


class CopiedModel(TieredModel):
    """The same with copies of what is in the first tier."""

    copies = "memory://"


class FileModel(CopiedModel):
    """The same over a file."""

    bottom = "disk://FOLDER/cache.db"


@pytest.mark.parametrize(("model", "examples"), [(TieredModel, 30), (CopiedModel, 30), (FileModel, 10)])
def test_tiered_cache_does_what_the_model_does(model: type[TieredModel], examples: int) -> None:
    case = type(model.__name__, (model.TestCase,), {})
    case.settings = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    case("runTest").runTest()
