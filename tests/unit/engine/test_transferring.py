"""Entries from one cache to another: what arrives, what stays away, and what is said of it."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import (
    Answer,
    ConfigError,
    Hit,
    Request,
    Selector,
    SemanticCache,
    StoreUnavailable,
    TierConfig,
    open_cache,
)
from llmcache_plugins.engine.drivers import run
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.transfer import TransferProgress, TransferReport

TEXTS = [f"question {number}" for number in range(7)]
Opener = Any  # a function that opens a cache


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opened(clock: FakeClock) -> Iterator[Opener]:
    """Opens caches of one clock, and closes them."""
    with ExitStack() as stack:

        def opened(url: str | None = "memory://", **settings: Any) -> SemanticCache:
            settings = {"embedder": None, "clock": clock, "maintenance": "manual", **settings}
            return stack.enter_context(closing(open_cache(url, **settings)))

        yield opened


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., TransferReport]:
    """Calls a verb of a cache, or its awaited twin."""

    def call(cache: SemanticCache, verb: str, *args: Any, **settings: Any) -> TransferReport:
        if request.param == "sync":
            found: TransferReport = getattr(cache, verb)(*args, **settings)
            return found
        return asyncio.run(getattr(cache, f"a{verb}")(*args, **settings))

    return call


def filled(cache: SemanticCache, texts: list[str] = TEXTS, **fields: Any) -> SemanticCache:
    for text in texts:
        assert cache.update(Request(text, **fields), f"answer to {text}").stored
    return cache


def found(cache: SemanticCache, texts: list[str] = TEXTS, **fields: Any) -> list[str]:
    """The texts that the cache has an answer to."""
    return [text for text in texts if isinstance(cache.lookup(Request(text, **fields)), Hit)]


def exported(cache: SemanticCache, **settings: Any) -> io.BytesIO:
    stream = io.BytesIO()
    assert cache.export_to(stream, **settings).is_whole
    stream.seek(0)
    return stream


def counted(report: TransferReport) -> dict[str, Any]:
    """What is not zero in it, but for the time."""
    fields = report.as_json()
    for name in ("seconds", "is_whole", "is_complete", "damage"):
        del fields[name]
    return {name: value for name, value in fields.items() if value}


# ---------------------------------------------------------------- what arrives
def test_a_file_brings_everything(opened: Opener, tmp_path: Path, call: Callable[..., TransferReport]) -> None:
    source, target = filled(opened(embedder=FakeEmbedder())), opened(f"disk://{tmp_path}/cache.db")
    source.lookup("something else")  # embeds what is stored
    path = tmp_path / "export.jsonl.gz"
    report = call(source, "export_to", path)
    assert counted(report) == {"read": 7, "stored": 7, "vectors": 7}
    assert report.is_whole
    report = call(target, "import_from", path)
    assert counted(report) == {"read": 7, "stored": 7, "vectors": 7}
    assert report.is_whole
    assert found(target) == TEXTS


def test_a_copy_needs_no_file(opened: Opener, call: Callable[..., TransferReport]) -> None:
    source, target = filled(opened()), opened()
    assert counted(call(source, "copy_to", target)) == {"read": 7, "stored": 7}
    assert found(target) == TEXTS


def test_all_that_is_known_of_an_entry_arrives(opened: Opener, clock: FakeClock) -> None:
    source, target = opened(tolerance={"temperature": 0.2}), opened(tolerance={"temperature": 0.2})
    request = Request(
        "Is it up?",
        model="m",
        params={"temperature": 0.5},
        namespace=("acme",),
        tags=("device:rtr-001",),
        query_type="status",
        volatility="dynamic",
        label="v1:device:status:rtr-001:a3f2:none",
    )
    source.update(request, Answer({"text": "yes"}, finish_reason="end_turn", generation_seconds=1.5, tags=("doc:1",)))
    source.invalidate(tags=["doc:1"], mode="lazy")
    clock.advance(1.0)
    target.import_from(exported(source))
    (there,), (here,) = (c._parts.tiers[0].store.select(Selector(), limit=9).rows for c in (source, target))
    assert here.entry == there.entry
    assert here.entry.stale_at == clock.now() - 1.0
    assert (here.tier, here.placed_at) == (there.tier, there.placed_at)
    assert here.entry.expires_at == there.entry.expires_at


def test_vectors_may_stay_behind(opened: Opener, call: Callable[..., TransferReport]) -> None:
    source = filled(opened(embedder=FakeEmbedder()))
    source.lookup("something else")
    stream = exported(source, vectors=False)
    assert b"float32" not in stream.getvalue()
    for settings, file in (({}, stream), ({"vectors": False}, exported(source))):
        embedder = FakeEmbedder()
        target = opened(embedder=embedder)
        assert call(target, "import_from", file, **settings).vectors == 0
        assert target._parts.tiers[0].store.select(Selector(), limit=1).rows[0].entry.embedder_id is None
        scope = target.identify("question 1").scope
        assert len(target._parts.tiers[0].store.census(scope, embedder.embedder_id, limit=99).pending) == 7
        target.lookup("something else")
        assert target._parts.tiers[0].store.census(scope, embedder.embedder_id, limit=99).pending == ()


def test_reports_of_wrong_matches_arrive_too(opened: Opener) -> None:
    """A pair that users reported as wrong must not match again, wherever its entries go."""
    texts = {"what is bgp": "bgp", "explain bgp": "bgp"}
    settings = {"similarity_threshold": 0.9, "verifier": None}
    source = opened(embedder=FakeEmbedder(texts), **settings)
    source.update("what is bgp", "a protocol")
    hit = source.lookup("explain bgp")
    assert isinstance(hit, Hit)
    source.report_wrong(hit)
    source.update("what is bgp", "a protocol")
    assert not isinstance(source.lookup("explain bgp"), Hit)
    target = opened(embedder=FakeEmbedder(texts), **settings)
    source.copy_to(target)
    assert isinstance(target.lookup("what is bgp"), Hit)
    assert not isinstance(target.lookup("explain bgp"), Hit)


def test_a_file_of_another_program_gets_in(opened: Opener, clock: FakeClock) -> None:
    """With nothing but the fields that docs/transfer.md says must be there."""
    target = opened(embedder=FakeEmbedder({"What is BGP?": "bgp", "explain bgp": "bgp"}), similarity_threshold=0.9)
    identity = target.identify("What is BGP?")
    header = {"kind": "header", "format": "llmcache-export", "version": 1, "key_version": 1, "exported_at": clock.now()}
    entry = {
        "kind": "entry",
        "scope": identity.scope,
        "key": identity.key,
        "normalised_key": "",
        "namespace": [],
        "text": "What is BGP?",
        "answer_json": '"A routing protocol."',
        "created_at": int(clock.now()),
        "expires_at": None,
    }
    end = {"kind": "end", "entries": 1}
    stream = io.BytesIO("\r\n".join(json.dumps(line) for line in (header, entry, end)).encode())
    assert target.import_from(stream).is_whole
    for text in ("What is BGP?", "explain bgp"):
        hit = target.lookup(text)
        assert isinstance(hit, Hit), text
        assert hit.answer == "A routing protocol."


# ---------------------------------------------------------------- what is there already
def test_a_second_import_changes_nothing(opened: Opener, call: Callable[..., TransferReport]) -> None:
    source, target = filled(opened()), opened()
    stream = exported(source)
    call(target, "import_from", stream)
    found(target)
    stream.seek(0)
    assert counted(call(target, "import_from", stream)) == {"read": 7, "kept": 7}
    rows = target._parts.tiers[0].store.select(Selector(), limit=9).rows
    assert {stored.access_count for stored in rows} == {1}, "what was read counts on"


@pytest.mark.parametrize(
    ("existing", "is_newer", "counts"),
    [
        ("newer", True, {"stored": 7, "replaced": 7}),
        ("newer", False, {"kept": 7}),
        ("keep", True, {"kept": 7}),
        ("replace", False, {"stored": 7, "replaced": 7}),
    ],
)
def test_which_of_two_answers_stays(
    opened: Opener, clock: FakeClock, existing: str, is_newer: bool, counts: dict[str, int]
) -> None:
    source, target = opened(), opened()
    order = [source, target] if not is_newer else [target, source]
    for cache in order:
        filled(cache)
        clock.advance(10.0)
    assert counted(source.copy_to(target, existing=existing)) == {"read": 7, **counts}


def test_what_has_expired_there_is_replaced(opened: Opener, clock: FakeClock) -> None:
    source, target = opened(), opened(ttl=5.0)
    filled(source)
    clock.advance(1.0)
    filled(target)
    clock.advance(5.0)
    assert counted(source.copy_to(target, existing="keep")) == {"read": 7, "stored": 7, "replaced": 7}


def test_an_interrupted_import_is_run_again(opened: Opener, clock: FakeClock) -> None:
    texts = [f"text {number}" for number in range(500)]
    stream = exported(filled(opened(), texts))
    store = FaultyStore(MemoryStore())
    target = opened(None, tiers=_tiers(store))
    puts = iter(range(333))

    def fail_at_last() -> None:
        if next(puts, None) is None:
            raise StoreUnavailable("gone")

    store.before(["put"], fail_at_last)
    report = target.import_from(stream)
    assert (report.stopped, report.stored, report.is_complete) == ("StoreUnavailable", 333, False)
    assert not report.is_whole
    assert "stopped by: StoreUnavailable" in str(report)
    store.heal()
    stream.seek(0)
    assert counted(target.import_from(stream)) == {"read": 500, "stored": 167, "kept": 333}
    assert found(target, texts) == texts


# ---------------------------------------------------------------- what stays away
def test_what_has_expired_stays_behind(opened: Opener, clock: FakeClock) -> None:
    source, target = opened(), opened()
    filled(source, TEXTS[:3])
    for text in TEXTS[3:]:
        source.update(text, "answer", ttl=10.0)
    stream = exported(source)
    clock.advance(10.0)
    assert counted(target.import_from(stream)) == {"read": 7, "stored": 3, "expired": 4}
    assert counted(source.copy_to(opened())) == {"read": 7, "stored": 3, "expired": 4}


def test_namespaces_on_both_sides(opened: Opener, call: Callable[..., TransferReport]) -> None:
    source = opened()
    for tenant in ("a", "b", "ab"):
        filled(source, namespace=("acme", tenant))
    target = opened()
    assert counted(call(source, "copy_to", target, namespace=("acme", "a"))) == {"read": 7, "stored": 7}
    assert found(target, namespace=("acme", "a")) == TEXTS
    assert found(target, namespace=("acme", "ab")) == []
    target = opened()
    report = call(target, "import_from", exported(source), namespace=("acme", "b"))
    assert counted(report) == {"read": 21, "stored": 7, "elsewhere": 14}
    assert found(target, namespace=("acme", "b")) == TEXTS


def test_only_what_is_below_the_caches_own_namespace_leaves_or_enters(opened: Opener) -> None:
    source = opened()
    filled(source, namespace=("acme",))
    filled(source, namespace=("other",))
    assert source.copy_to(opened(namespace="acme")).elsewhere == 7
    own = filled(opened(namespace="acme"), namespace=("app",))
    report = own.copy_to(opened())
    assert counted(report) == {"read": 7, "stored": 7}
    assert counted(own.copy_to(opened(namespace="other"))) == {"read": 7, "elsewhere": 7}


def test_no_namespace_can_be_changed_on_the_way(opened: Opener) -> None:
    with pytest.raises(TypeError):
        opened().import_from(io.BytesIO(), into="acme")


# ---------------------------------------------------------------- invalidations
def test_what_was_invalidated_since_the_export_stays_away(opened: Opener, clock: FakeClock) -> None:
    cache = opened()
    filled(cache, TEXTS[:3], tags=("a",))
    filled(cache, TEXTS[3:], tags=("b",))
    stream = exported(cache)
    clock.advance(1.0)
    cache.invalidate(tags=["a"])
    assert counted(cache.import_from(stream)) == {"read": 7, "kept": 4, "invalidated": 3}
    assert found(cache) == TEXTS[3:]
    stream.seek(0)
    assert counted(cache.import_from(stream, bring_back=True)) == {"read": 7, "stored": 3, "kept": 4}
    assert found(cache) == TEXTS


def test_what_is_invalidated_while_it_is_imported_stays_away(opened: Opener, clock: FakeClock) -> None:
    stream = exported(filled(opened(), tags=("a",)))
    store = FaultyStore(MemoryStore())
    target = opened(None, tiers=_tiers(store))
    calls = iter(range(100))

    def invalidate_at_fourth() -> None:
        if next(calls) == 3:
            store.inner.invalidate(Selector(tags=("a",)), clock.now(), is_lazy=False, limit=99)

    store.before(["put"], invalidate_at_fourth)
    assert counted(target.import_from(stream)) == {"read": 7, "stored": 3, "invalidated": 4}
    assert found(target) == []


@pytest.mark.parametrize("mode", ["now", "lazy"])
@pytest.mark.parametrize("through", ["file", "copy"])
def test_what_is_invalidated_while_it_is_exported_is_invalidated_there_too(
    opened: Opener, clock: FakeClock, mode: str, through: str
) -> None:
    source, target = opened(), opened()
    texts = [f"text {number}" for number in range(450)]
    for number, text in enumerate(texts):
        source.update(Request(text, tags=("even",) if number % 2 == 0 else ("odd",)), "answer")
    clock.advance(1.0)
    pages: list[int] = []

    def invalidate_after_the_first_page(progress: TransferProgress) -> None:
        pages.append(progress.done)
        if len(pages) == 1:
            source.invalidate(tags=["even"], mode=mode, reason="CHG-1")

    stream = io.BytesIO()
    if through == "file":
        assert source.export_to(stream, progress=invalidate_after_the_first_page).invalidations == 1
        stream.seek(0)
        clock.advance(1.0)
        target.update(Request("text 0", tags=("even",)), "a newer answer")
        report = target.import_from(stream)
    else:
        report = source.copy_to(target, progress=invalidate_after_the_first_page)
    assert (report.invalidations, report.is_whole) == (1, True)
    assert report.removed == (99 if through == "file" else 100), "those of the first page"
    select = target._parts.tiers[0].store.select
    assert len(select(Selector(tags=("even",), is_stale=True), limit=999).rows) == (125 if mode == "lazy" else 0)
    rows = select(Selector(tags=("even",), is_stale=False), limit=999).rows
    assert [stored.entry.answer for stored in rows] == (["a newer answer"] if through == "file" else [])
    assert len(found(target, texts[1::2])) == 225


def test_a_transfer_removes_nothing_that_it_did_not_bring(opened: Opener, clock: FakeClock) -> None:
    """Who empties a cache when its entries have moved on means that cache, not the one they moved to."""
    source, target = opened(), filled(opened(), ["own"])
    clock.advance(1.0)
    filled(source)
    report = source.copy_to(target, progress=lambda at: source.invalidate(everything=True) and None)
    assert counted(report) == {"read": 7, "stored": 7, "removed": 7, "invalidations": 1}
    assert found(target, [*TEXTS, "own"]) == ["own"]


def test_what_an_interrupted_run_brought_is_removed_by_the_next(opened: Opener, clock: FakeClock) -> None:
    source, stream = filled(opened(), tags=("t",)), io.BytesIO()
    source.export_to(stream, progress=lambda at: source.invalidate(tags=["t"]) and None)
    lines = stream.getvalue().splitlines(keepends=True)
    target = opened()
    assert target.import_from(io.BytesIO(b"".join(lines[:5]))).stored == 4
    stream.seek(0)
    assert counted(target.import_from(stream)) == {
        "read": 7, "stored": 3, "kept": 4, "removed": 7, "invalidations": 1
    }  # fmt: skip
    assert found(target) == []


# ---------------------------------------------------------------- epochs
def bump(cache: SemanticCache, *namespace: str) -> None:
    run(cache._epochs.bump_flow(namespace, cache._clock.now()), cache._perform)


def test_an_epoch_goes_along_into_an_empty_cache(
    opened: Opener, clock: FakeClock, tmp_path: Path, call: Callable[..., TransferReport]
) -> None:
    source = opened()
    filled(source, ["old"])
    clock.advance(1.0)
    bump(source)
    clock.advance(1.0)
    filled(source)
    target, beside = opened(f"disk://{tmp_path}/c.db"), opened(f"disk://{tmp_path}/c.db")
    assert found(beside, ["question 1"]) == []
    stream = exported(source)
    report = call(target, "import_from", stream)
    assert counted(report) == {"read": 7, "stored": 7}
    assert found(target, [*TEXTS, "old"]) == TEXTS
    assert found(beside, TEXTS) == TEXTS, "who has the cache open hears of it"


def test_what_its_own_cache_would_not_find_stays_behind(opened: Opener, clock: FakeClock) -> None:
    source = filled(opened(), ["old"])
    clock.advance(1.0)
    bump(source)
    filled(source)
    assert counted(source.export_to(io.BytesIO())) == {"read": 8, "stored": 7, "outdated": 1}


def test_entries_of_another_epoch_are_not_stored_in_vain(opened: Opener, clock: FakeClock) -> None:
    source = opened()
    bump(source)
    filled(source)
    filled(source, namespace=("b",))
    target = filled(opened(), ["own"])
    report = source.copy_to(target)
    assert counted(report) == {"read": 14, "unreachable": 14}
    assert not report.is_whole
    assert "another epoch" in str(report)
    assert found(target, ["own"]) == ["own"], "what is there is not lost"


def test_a_backup_comes_back_after_everything_was_invalidated(opened: Opener, clock: FakeClock) -> None:
    cache = filled(opened())
    stream = exported(cache)
    clock.advance(1.0)
    cache.invalidate(everything=True)
    bump(cache)
    assert found(cache) == []
    assert counted(cache.import_from(stream, bring_back=True)) == {"read": 7, "stored": 7}
    assert found(cache) == TEXTS


def test_an_epoch_of_one_namespace_concerns_no_other(opened: Opener, clock: FakeClock) -> None:
    source = opened()
    bump(source, "a")
    filled(source, namespace=("a",))
    filled(source, namespace=("b",))
    target = filled(opened(), ["own"], namespace=("b",))
    assert counted(source.copy_to(target)) == {"read": 14, "stored": 14}
    assert found(target, namespace=("a",)) == TEXTS
    assert found(target, [*TEXTS, "own"], namespace=("b",)) == [*TEXTS, "own"]


def test_a_dry_run_takes_no_epoch_over(opened: Opener) -> None:
    source = opened()
    bump(source)
    filled(source)
    target = opened()
    assert source.copy_to(target, dry_run=True).stored == 7
    assert target._parts.tiers[0].store.notes() == {}


# ---------------------------------------------------------------- limits
def test_what_does_not_fit_is_said(opened: Opener) -> None:
    texts = [f"text {number}" for number in range(50)]
    source = filled(opened(), texts)
    target = opened(max_entries=20)
    report = source.copy_to(target)
    assert counted(report) == {"read": 50, "stored": 50, "evicted": 30}
    assert found(target, texts) == texts[30:], "the newest stay"
    assert "30 evicted" in str(report)


def test_what_is_too_large_is_refused(opened: Opener) -> None:
    source = filled(opened())
    source.update("large", "x" * 50_000)
    report = source.copy_to(opened(max_bytes=40_000))
    assert counted(report) == {"read": 8, "stored": 7, "refused": 1}
    assert not report.is_whole


# ---------------------------------------------------------------- how
def test_a_dry_run_stores_nothing(opened: Opener, clock: FakeClock, call: Callable[..., TransferReport]) -> None:
    source, target = filled(opened()), filled(opened(), TEXTS[:2])
    report = call(target, "import_from", exported(source), existing="replace", dry_run=True)
    assert counted(report) == {"read": 7, "stored": 7, "replaced": 2, "is_dry_run": True}
    assert "would be stored" in str(report)
    assert found(target) == TEXTS[:2]
    assert counted(call(source, "copy_to", target, dry_run=True)) == {
        "read": 7, "stored": 5, "kept": 2, "is_dry_run": True
    }  # fmt: skip


def test_progress_is_told_page_by_page(opened: Opener, call: Callable[..., TransferReport]) -> None:
    source = filled(opened(), [f"text {number}" for number in range(450)])
    told: list[TransferProgress] = []
    call(source, "export_to", io.BytesIO(), progress=told.append)
    assert [(at.done, at.total, at.stored) for at in told] == [(200, 450, 200), (400, 450, 400), (450, 450, 450)]
    told.clear()
    call(opened(), "import_from", exported(source, namespace="none"), progress=told.append)
    assert told == []


def test_a_bar_is_shown_where_there_is_a_terminal(opened: Opener, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    filled(opened()).export_to(io.BytesIO(), progress=True)
    assert capsys.readouterr().out == ""


def test_keys_of_another_version_are_refused(opened: Opener) -> None:
    lines = exported(filled(opened())).getvalue().splitlines(keepends=True)
    header = json.loads(lines[0]) | {"key_version": 2, "product": "llmcache-plugins 9.0"}
    changed = io.BytesIO(json.dumps(header).encode() + b"\n" + b"".join(lines[1:]))
    target = opened()
    with pytest.raises(ConfigError, match=r"keys of version 2, .* makes version 1: .*\(llmcache-plugins 9\.0\)"):
        target.import_from(changed)
    assert target.stats().entries == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"existing": "newest"}, "existing must be one of newer, replace, keep, not 'newest'"),
        ({"vectors": 1}, "vectors must be True or False"),
        ({"dry_run": None}, "dry_run must be True or False"),
        ({"progress": "yes"}, "progress must be True, False or callable"),
        ({"namespace": ("a", "")}, "namespace must be"),
    ],
)
def test_wrong_arguments_are_refused(opened: Opener, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        opened().copy_to(opened(), **settings)


def test_a_cache_is_not_copied_onto_itself(opened: Opener, tmp_path: Path, call: Callable[..., TransferReport]) -> None:
    """With `existing="replace"` it would never end: what is stored anew is read again."""
    for url in ("memory://", f"disk://{tmp_path}/c.db"):
        one = filled(opened(url))
        other = one if url == "memory://" else opened(url)
        with pytest.raises(ConfigError, match="same store"):
            call(one, "copy_to", other, existing="replace")
    with pytest.raises(ConfigError, match="to a cache, not to str"):
        one.copy_to("memory://")


# ---------------------------------------------------------------- what fails
def test_a_stored_entry_that_is_damaged_is_counted(opened: Opener, tmp_path: Path) -> None:
    cache = filled(opened(f"disk://{tmp_path}/c.db"))
    with closing(sqlite3.connect(tmp_path / "c.db")) as file, file:
        file.execute("UPDATE entries SET body = x'00' WHERE id = 3")
    report = cache.export_to(io.BytesIO())
    assert (report.stored, report.damaged, report.is_whole) == (6, 1, False)


def _tiers(store: FaultyStore) -> Any:
    return [TierConfig("only", store=store)]


def test_a_broken_store_is_spared_or_raised(
    opened: Opener, tmp_path: Path, call: Callable[..., TransferReport]
) -> None:
    store = FaultyStore(MemoryStore())
    source = filled(opened(None, tiers=_tiers(store)))
    path = tmp_path / "export.jsonl"
    store.fail(["select"])
    report = call(source, "export_to", path)
    assert (report.stopped, report.is_whole) == ("StoreUnavailable", False)
    assert list(tmp_path.iterdir()) == [], "no half of an export has its name"
    assert source.stats().errors
    strict = opened(None, tiers=_tiers(store), fail_open=False)
    with pytest.raises(StoreUnavailable):
        call(strict, "export_to", path)
    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_export_leaves_nothing(opened: Opener, tmp_path: Path) -> None:
    source = filled(opened(), [f"text {number}" for number in range(900)])
    task = asyncio.ensure_future(source.aexport_to(tmp_path / "x.jsonl", progress=lambda at: task.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240  # nothing else runs on this loop


async def test_an_event_loop_is_not_held_up(opened: Opener) -> None:
    source, target = filled(opened(), [f"text {number}" for number in range(1000)]), opened()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await source.acopy_to(target)
    counting.cancel()
    assert turns >= 5, "a turn for each page"


def test_a_closed_cache_says_so(opened: Opener, tmp_path: Path) -> None:
    stream = exported(filled(opened()))
    cache = opened(f"disk://{tmp_path}/c.db")
    cache.close()
    assert cache.import_from(stream).stopped == "StoreUnavailable"
    assert cache.export_to(io.BytesIO()).stopped == "StoreUnavailable"
