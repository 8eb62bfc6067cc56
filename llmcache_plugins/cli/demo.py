"""`llmcache demo`: serve a stream of labelled questions through the cache and say what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import quote

from llmcache_plugins.cli.questions import Question, find_data, read_questions
from llmcache_plugins.cli.summary import Served, Summary, summarise
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for, verifier_of
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.matching import Policy
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.recorded import ErrorEvent, Event, LookupEvent
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic
from llmcache_plugins.types import Outcome, Usage

__all__ = ["DEMO_PORT", "DemoOptions", "decided_by", "default_url", "run_demo", "serve"]

# The address of a model is part of every scope, so a second run finds the first one's answers only under the same port.
DEMO_PORT = 18765
Ask = Callable[[str], tuple[str, Usage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says; `latency` in seconds, `url` and `data` None for the defaults, `port` 0 for any."""

    data: Path | None = None
    url: str | None = None
    fresh: bool = False
    as_json: bool = False
    live: bool = False
    limit: int | None = None
    threshold: float | None = None
    max_error_rate: float | None = None
    latency: float = 0.15
    port: int = DEMO_PORT

    @property
    def config(self) -> CacheConfig:
        """The settings of the demo's cache; with neither of the two the defaults decide.

        Raises:
            ConfigError: one of them is out of its range.
        """
        given = {"similarity_threshold": self.threshold, "max_error_rate": self.max_error_rate}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        # An echo is no answer to a real question. And hits are to be seen, whatever the environment says of others.
        namespace = ("llmcache-demo", "live" if self.live else "loopback")
        return CacheConfig(namespace=namespace, mode="serve", **chosen)


class Listener:
    """A recorder that keeps the outcome of the lookup under way, and counts the errors."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.errors: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if isinstance(event, LookupEvent):
            self.outcome = event.outcome
        elif isinstance(event, ErrorEvent):
            self.errors[f"{event.component}: {event.error}"] += 1


def run_demo(options: DemoOptions) -> int:
    """Run it; 1 when a question failed or a part of the cache did, else 0.

    Raises:
        ConfigError, MissingExtraError: it cannot start.
    """
    path = find_data(options.data)
    questions = read_questions(path, options.limit)
    labelled = read_questions(path)
    if options.live and not os.environ.get("ANTHROPIC_API_KEY"):
        raise ConfigError("--live asks the real model: set ANTHROPIC_API_KEY first, or leave --live out")
    config = options.config
    import_module("llmcache_plugins.cli.application")  # before anything is opened: it says which extra is missing
    embedder = OnnxEmbedder()  # named, so that a missing one is an error here and not a cache of exact matches
    policy = policies_for(config, embedder, verifier=verifier_of("grey", config, embedder)).default
    url = options.url or default_url()
    listener = Listener()
    with _cache(url, embedder, config, listener, fresh=options.fresh), _application(options) as ask:
        served = _serve_with_progress(questions, ask, listener, as_json=options.as_json)
    summary = summarise(served, labelled, cache_errors=listener.errors)
    settings = {"data": path.name, "url": url, **decided_by(policy), "live": options.live}
    _print(summary, settings, as_json=options.as_json)
    return 1 if summary.has_failed else 0


def decided_by(policy: Policy) -> dict[str, object]:
    """What decides, for the report: an error budget (then there is no cosine), or a cosine (then no budget is kept)."""
    is_calibrated = policy.max_error_rate is not None
    return {
        "policy": policy.policy_id,
        "max_error_rate": policy.max_error_rate,
        "similarity_threshold": None if is_calibrated else policy.min_confidence,
    }


def default_url() -> str:
    """A file in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache)."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser().absolute()
    return "disk://" + quote(str(folder / "llmcache" / "demo.db"))


def serve(
    questions: Sequence[Question],
    ask: Ask,
    listener: Listener,
    *,
    clock: Callable[[], float] = perf_counter,
) -> Iterator[Served]:
    """Ask one question after the other; an error of the application is one failed question, not the end."""
    for question in questions:
        listener.outcome = None
        start = clock()
        try:
            _, usage = ask(question.query)
        except Exception as error:  # noqa: BLE001  # whatever the provider's client raises: it is reported by its class
            yield Served(question, listener.outcome, clock() - start, error=type(error).__name__)
        else:
            yield Served(question, listener.outcome, clock() - start, usage)


@contextlib.contextmanager
def _application(options: DemoOptions) -> Iterator[Ask]:
    from llmcache_plugins.cli.application import ChatApplication

    if options.live:
        yield ChatApplication().ask
        return
    with _loopback_server(options) as server:
        yield ChatApplication(server.base_url, "loopback").ask


def _loopback_server(options: DemoOptions) -> FakeAnthropic:
    try:
        return FakeAnthropic(port=options.port, latency=options.latency)
    except OSError:
        server = FakeAnthropic(latency=options.latency)
        print(f"port {options.port} is taken, so answers of earlier runs will not be found", file=sys.stderr)
        return server


@contextlib.contextmanager
def _cache(url: str, embedder: Embedder, config: CacheConfig, listener: Listener, *, fresh: bool) -> Iterator[None]:
    """Put a cache under LangChain for as long as the block runs."""
    from langchain_core.globals import get_llm_cache, set_llm_cache

    from llmcache_plugins import open_cache
    from llmcache_plugins.langchain import LLMCache

    if url.startswith("disk:///"):
        _make_folder(url)
    before = get_llm_cache()
    with open_cache(url, embedder=embedder, config=config, recorders=[listener]) as cache:
        if fresh:
            cache.clear()
        set_llm_cache(LLMCache(cache))
        try:
            yield
        finally:
            set_llm_cache(before)


def _make_folder(url: str) -> None:
    from urllib.parse import unquote, urlsplit

    folder = Path(unquote(urlsplit(url).path)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({type(error).__name__}); name another place: --url") from error


def _serve_with_progress(questions: Sequence[Question], ask: Ask, listener: Listener, *, as_json: bool) -> list[Served]:
    run = serve(questions, ask, listener)
    if as_json:
        return list(run)
    from llmcache_plugins.cli.report import with_progress

    return list(with_progress(run, len(questions)))


def _print(summary: Summary, settings: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"settings": settings, **summary.as_json()}, indent=2))
        return
    from llmcache_plugins.cli.report import print_report

    print_report(summary, settings)
