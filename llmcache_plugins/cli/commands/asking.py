"""The arguments of `llmcache compare` and `llmcache explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import (
    BudgetOption,
    JsonOption,
    LexicalOption,
    NamespaceOption,
    StoreOption,
    ThresholdOption,
)
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["COMPARE", "EXPLAIN"]


def _read_compare(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="2 to 20; each is compared with each")],
    max_error_rate: BudgetOption = None,
    similarity_threshold: ThresholdOption = None,
    lexical: LexicalOption = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.compare import CompareOptions, run_compare

    options = CompareOptions(
        texts=texts,
        max_error_rate=max_error_rate,
        similarity_threshold=similarity_threshold,
        lexical=lexical,
        as_json=as_json,
    )
    return lambda: run_compare(options)


COMPARE = Command(
    name="compare",
    read=_read_compare,
    summary="say how near questions are, and whether one would be answered for another",
    description="Cosine, query type, what each guard says, and what a cache decides that holds the first text of a "
    "pair and is asked the second. Nothing is stored.",
    example='llmcache compare "show BGP status" "display BGP state"',
)


def _read_explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="the question")],
    store: StoreOption = None,
    namespace: NamespaceOption = None,
    provider: Annotated[str, typer.Option("--provider", metavar="NAME", help="as the request has it")] = "",
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="as the request has it")] = "",
    max_error_rate: BudgetOption = None,
    similarity_threshold: ThresholdOption = None,
    lexical: LexicalOption = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.explain import ExplainOptions, run_explain

    options = ExplainOptions(
        text=text,
        store=store,
        namespace=namespace or (),
        provider=provider,
        model=model,
        max_error_rate=max_error_rate,
        similarity_threshold=similarity_threshold,
        lexical=lexical,
        as_json=as_json,
    )
    return lambda: run_explain(options)


EXPLAIN = Command(
    name="explain",
    read=_read_explain,
    summary="say what a cache would do with a question now, and why",
    description="Every candidate with its cosine, its confidence and what the guards say. Nothing is counted, stored "
    "or served. What a framework stored lies under its whole call: cache.explain(...) in that process sees it.",
    example='llmcache explain "show BGP status" --store disk:///a.db',
)
