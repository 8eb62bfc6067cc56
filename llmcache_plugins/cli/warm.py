"""`llmcache warm`: ask a model what users are going to ask, and store the answers in the cache in a file."""

from __future__ import annotations

import asyncio
import csv
import importlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting
from llmcache_plugins.cli.loading import loaded
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.factory import open_cache
from llmcache_plugins.types import Namespace, Usage
from llmcache_plugins.warming import Budget, Wanted, WarmReport, from_topology, predictive, read_log, top_questions

__all__ = ["WarmOptions", "run_warm"]

_MILLION = 1_000_000
_SHOWN = 20  # questions of a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmOptions:
    """What was asked for on the command line.

    Args:
        url: the cache.
        questions: a file of questions; like the three that follow, None for none.
        log: a file of questions that were asked, of which the `top` most frequent are taken, with `now` those of this
            hour and weekday.
        templates: a file of templates, filled with what `entities` holds.
        expiring: seconds within which an answer that was read ends.
        generate: `module:name` of what answers; `model` a chat model of LangChain, with `system` as its prompt.
        concurrency: calls at a time.
        rate: calls a second.
        budget: calls; `budget_tokens` tokens, `budget_money` money at `price_in` and `price_out` a million tokens.
        namespace: the cache's own.
        ask_fresh: also what a look-up would find.
        resume: the name of a run to go on with.
        dry_run: ask nothing.
        as_json: print one JSON object and nothing else.
    """

    url: str = field(repr=False)  # it may hold a password
    questions: Path | None = None
    log: Path | None = None
    top: int = 100
    now: bool = False
    templates: Path | None = None
    entities: Path | None = None
    expiring: float | None = None
    generate: str | None = None
    model: str | None = None
    system: str | None = field(default=None, repr=False)
    concurrency: int = 4
    rate: float | None = None
    budget: int | None = None
    budget_tokens: int | None = None
    budget_money: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    namespace: Namespace = ()
    ask_fresh: bool = False
    resume: str | None = None
    dry_run: bool = False
    as_json: bool = False


def run_warm(options: WarmOptions, say: Callable[[str], None] = print) -> int:
    """Run it; 1 when something failed or a limit ended it.

    Raises:
        ConfigError: the options do not go together, or a file or a name of theirs is not right.
        StoreError: the file cannot be read or written.
    """
    _check(options)
    generate = _generate(options)
    settings: dict[str, Any] = {"namespace": options.namespace} if options.namespace else {}
    with open_cache(options.url, **settings) as cache:
        wanted = _questions(options, cache, generate)
        report = _warmed(cache, wanted, generate, options)
        if options.as_json:
            say(json.dumps({"questions": len(wanted), **report.as_json()}))
        else:
            _say(report, wanted, options, say)
    return 1 if report.failed or report.stopped else 0


def _check(options: WarmOptions) -> None:
    why = "only a cache in a file or on a server outlives this command"
    check_lasting(options.url, why, must_exist=options.expiring is not None)
    if not any((options.questions, options.log, options.templates, options.expiring)):
        raise ConfigError("say what to ask: --questions, --log, --templates or --expiring")
    if bool(options.templates) != bool(options.entities):
        raise ConfigError("--templates and --entities go together")
    if options.now and not options.log:
        raise ConfigError("--now goes with --log")
    if bool(options.generate) == bool(options.model) and not (options.dry_run and not options.generate):
        raise ConfigError("say who is asked: --generate module:name or --model provider:name (one of them)")
    if options.system is not None and not options.model:
        raise ConfigError("--system goes with --model; a chain of --generate has its own prompt")
    prices = (options.price_in, options.price_out)
    if options.budget_money is not None and None in prices:
        raise ConfigError("--budget-money needs --price-in and --price-out")


# ---------------------------------------------------------------- who is asked
def _generate(options: WarmOptions) -> Any:
    if options.generate:
        return _loaded(options.generate)
    if options.model:
        return _chat_model(options.model, options.system)
    return lambda: None  # a dry run that asks nobody


def _loaded(name: str) -> Any:
    found = loaded(name, "--generate")
    if "langchain_core" in sys.modules:
        importlib.import_module("llmcache_plugins.langchain")  # it says how LangChain's models are asked
    return found


def _chat_model(name: str, system: str | None) -> Any:
    from llmcache_plugins.langchain import Warmer  # says what to install when LangChain is not there

    try:
        from langchain.chat_models import init_chat_model

        model = init_chat_model(name)
    except ImportError as error:
        raise ConfigError(
            f"--model {name} needs a package: pip install langchain {_package_of(name, error)}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"--model {name}: LangChain does not know it; say provider:name") from error
    if system is None:
        return model
    return Warmer(model, make_input=lambda question: [("system", system), ("human", question)])


def _package_of(name: str, error: ImportError) -> str:
    return (error.name or f"langchain_{name.partition(':')[0]}").partition(".")[0].replace("_", "-")


# ---------------------------------------------------------------- what is asked
def _questions(options: WarmOptions, cache: SemanticCache, generate: Any) -> list[Wanted]:
    """Everything that was named, in the order of the options."""
    wanted: list[Wanted] = []
    if options.questions:
        wanted += [Wanted(row.question, source="questions") for row in read_log(options.questions)]
    if options.log:
        rows = read_log(options.log)
        wanted += (
            predictive(rows, datetime.now().astimezone(), options.top)
            if options.now
            else (top_questions(rows, options.top))
        )
    if options.templates and options.entities:
        templates = [row.question for row in read_log(options.templates)]
        wanted += from_topology(templates, _entities(options.entities))
    if options.expiring:
        wanted += cache.expiring(options.expiring, generate).questions
    # Each source has priorities of its own kind: what was named first is asked first.
    return [Wanted(one.request, float(-place), one.source) for place, one in enumerate(wanted)]


def _entities(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                return [{name: value for name, value in row.items() if name and value} for row in csv.DictReader(file)]
            found = json.load(file)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {why(error)}") from error
    is_rows = isinstance(found, list) and all(isinstance(row, dict) for row in found)
    if not is_rows and not (isinstance(found, dict) and all(isinstance(names, list) for names in found.values())):
        raise ConfigError(f'{path} must hold {{"device": ["rtr-001", ...]}} or rows, [{{"device": "rtr-001", ...}}]')
    return found


# ---------------------------------------------------------------- the run
def _warmed(cache: SemanticCache, wanted: list[Wanted], generate: Any, options: WarmOptions) -> WarmReport:
    settings: dict[str, Any] = {
        "concurrency": options.concurrency,
        "rate": options.rate,
        "budget": Budget(calls=options.budget, tokens=options.budget_tokens, money=options.budget_money),
        "cost_of": _cost_of(options.price_in, options.price_out),
        "skip_fresh": not options.ask_fresh,
        "fresh_for": 0.0 if options.ask_fresh or options.expiring is None else options.expiring,
        "resume": options.resume,
        "progress": not options.as_json and sys.stderr.isatty(),
        "dry_run": options.dry_run,
    }
    if inspect.iscoroutinefunction(generate) or inspect.iscoroutinefunction(type(generate).__call__):
        return asyncio.run(cache.awarm(wanted, generate, **settings))
    return cache.warm(wanted, generate, **settings)


def _cost_of(price_in: float | None, price_out: float | None) -> Callable[[Usage], float] | None:
    if price_in is None and price_out is None:
        return None
    into, out = price_in or 0.0, price_out or 0.0

    def cost_of(usage: Usage) -> float:
        read = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
        return (read * into + usage.output_tokens * out) / _MILLION

    return cost_of


def _say(report: WarmReport, wanted: list[Wanted], options: WarmOptions, say: Callable[[str], None]) -> None:
    if not options.dry_run:
        say(str(report))
        return
    say(f"{report.total:,} questions, {report.skipped:,} of them fresh: {report.remaining:,} would be asked")
    for one in wanted[:_SHOWN]:
        say(f"  {one.source:12} {one.text}")
    if len(wanted) > _SHOWN:
        say(f"  and {len(wanted) - _SHOWN:,} more")
