"""`llmcache explain TEXT --store URL`: what a cache would do with this question now, and why. Nothing is served."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.cli.showing import one_line, show
from llmcache_plugins.engine import Explanation
from llmcache_plugins.engine.explanation import CandidateReport
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_cache
from llmcache_plugins.report import Section
from llmcache_plugins.types import MissReason, Namespace, Request

__all__ = ["ExplainOptions", "notes_on", "run_explain"]

_SCOPE = (
    "only what was stored with this provider, model, namespace and nothing else is seen: a framework's calls have "
    "parameters, prompts and turns too, and in that process cache.explain(...) sees them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What was asked for on the command line; None leaves a setting at its default, and `store` to LLMCACHE_URL."""

    text: str = field(repr=False)
    store: str | None = field(default=None, repr=False)  # it may hold a password
    namespace: Namespace = ()
    provider: str = ""
    model: str = ""
    max_error_rate: float | None = None
    similarity_threshold: float | None = None
    lexical: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError("the text is empty: put a question between quotation marks")

    @property
    def settings(self) -> dict[str, Any]:
        chosen = {"max_error_rate": self.max_error_rate, "similarity_threshold": self.similarity_threshold}
        return {name: value for name, value in chosen.items() if value is not None}


def run_explain(options: ExplainOptions, say: Callable[[str], None] = print, **parts: Any) -> int:
    """Explain one question.

    Args:
        parts: more arguments of `open_cache`, an embedder for example.

    Raises:
        ConfigError: there is no URL, or it is of no cache in a file that is there or on a server; or a setting is out
            of range; or what is stored is sealed, and the key is not here.
        StoreError, EmbedderError: the cache cannot be asked.
    """
    url = named_or_variable(options.store, "--store")
    check_lasting(url, "only a cache in a file or on a server can be asked from outside")
    if options.lexical:
        from llmcache_plugins.matching.lexical import LexicalMatcher

        parts["embedder"] = LexicalMatcher()
    request = Request(options.text, provider=options.provider, model=options.model, namespace=options.namespace)
    with open_cache(url, fail_open=False, maintenance="manual", **options.settings, **parts) as cache:
        check_key(cache)
        found = cache.explain(request)
    if options.as_json:
        say(json.dumps(_as_json(found)))
    else:
        show(list(_sections(found)), say)
    return 0


def _as_json(found: Explanation) -> dict[str, Any]:
    content = asdict(found)
    if content["policy"] is not None:
        content["policy"] = {name: _finite(value) for name, value in content["policy"].items()}
    for candidate in content["candidates"]:
        candidate["reason"] = None if candidate["reason"] is None else str(candidate["reason"])
    return {"is_hit": found.is_hit, **content}


def notes_on(found: Explanation) -> tuple[str, ...]:
    """What the policy that is shown does not tell by itself."""
    if found.policy is not None and any(
        one.reason is MissReason.BELOW_THRESHOLD and one.similarity >= found.policy.floor for one in found.candidates
    ):
        return ("a question that may ask for records is judged with more care: its cosine has to be higher",)
    return ()


def _finite(value: Any) -> Any:
    """JSON has no infinity: a threshold that nothing reaches is null."""
    return None if value == float("inf") else value


def _sections(found: Explanation) -> Iterator[Section]:
    outcome = f"{found.outcome}{': ' + found.detail if found.detail else ''}"
    rows = [
        ("asked", one_line(found.asked)),
        ("outcome", outcome),
        *([("matched", one_line(found.matched))] if found.matched is not None else []),
        *([("confidence", f"{found.confidence:.3f}")] if found.is_hit else []),
        ("exact", found.exact or "no"),
        ("normalised", "no" if found.normalised is None else one_line(found.normalised)),
        ("query type", found.query_type),
        ("policy", str(found.policy or "exact and normalised matches only")),
        ("embedder", found.embedder_id or "none: pip install 'llmcache-plugins[local]'"),
        *([("stored by", found.node_id)] if found.node_id else []),
    ]
    scope = () if found.is_hit or found.candidates else (_SCOPE,)
    yield Section("What this cache would do", rows, notes=(*scope, *notes_on(found)))
    if found.candidates:
        yield Section(
            "Nearest stored questions",
            [
                (one_line(one.question), f"{one.similarity:.3f}", f"{one.confidence:.3f}", _fate(one))
                for one in found.candidates
            ],
            head=("question", "cosine", "confidence", "outcome"),
            notes=[line for one in found.candidates for line in _said_of(one)],
        )


def _fate(one: CandidateReport) -> str:
    return "may be served" if one.reason is None else one.reason.value


def _said_of(one: CandidateReport) -> Iterator[str]:
    """What the guards and the verifier say about it; silence is not told."""
    about = one_line(one.question, 30)
    for verdict in one.verdicts:
        if verdict.verdict != "silent":
            yield f"{about}: {verdict.guard}: {verdict.verdict} {one_line(verdict.detail)}".rstrip()
    if one.verifier_score is not None:
        yield f"{about}: verifier: {one.verifier_score:.3f}"
