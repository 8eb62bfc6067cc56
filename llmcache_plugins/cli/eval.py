"""`llmcache eval FILE...`: replay labelled questions through the public look-ups and say what was right and wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for, verifier_of
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.evaluation import (
    FileScores,
    LabelledFile,
    PreparedEmbedder,
    Progress,
    evaluate,
    open_replay_cache,
    read_file,
    texts_to_embed,
)
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import JsonValue

__all__ = ["EvalOptions", "run_eval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What was asked for on the command line; None leaves a setting at its default."""

    files: Sequence[Path]
    as_json: bool = False
    max_error_rate: float | None = None
    similarity_threshold: float | None = None
    use_guards: bool = True
    exact_only: bool = False
    embedder: str = "default"

    @property
    def settings(self) -> dict[str, Any]:
        chosen = {"max_error_rate": self.max_error_rate, "similarity_threshold": self.similarity_threshold}
        return {**{name: value for name, value in chosen.items() if value is not None}, "use_guards": self.use_guards}


def run_eval(
    options: EvalOptions, *, make_embedder: Callable[[], Embedder] = OnnxEmbedder, write: Callable[[str], Any] = print
) -> int:
    """Evaluate the files and print the scores; the exit code.

    Raises:
        ConfigError: a file is missing, empty or malformed, or a setting is out of range.
        MissingExtraError: the default embedder is not installed (`exact_only` does without), or rich is not (`as_json`
            does without).
    """
    files = dict(zip(_names(options.files), [read_file(path) for path in options.files], strict=True))
    CacheConfig(**options.settings)  # a value out of range is said before anything is embedded
    show = None if options.as_json else _tables()
    embedder = _embedder(options, make_embedder)
    with _progress() as progress:
        if isinstance(embedder, PreparedEmbedder):
            embedder.prepare(texts_to_embed([r for file in files.values() for r in file.requests]), progress)
        scores = {name: _scores_of(file, embedder, options, progress) for name, file in files.items()}
    config = _config_of(options, embedder)
    if show is None:
        content = {"files": {name: one.as_json() for name, one in scores.items()}, "config": config}
        write(json.dumps(content))  # ASCII: any terminal and any reader takes it
    else:
        show(scores, config)
    return 0


def _embedder(options: EvalOptions, make_embedder: Callable[[], Embedder]) -> Embedder | None:
    if options.exact_only:
        return None
    if options.embedder == "lexical":
        return LexicalMatcher()  # as it is: it decides by a score of its own, and its vectors cost nothing
    return PreparedEmbedder(make_embedder(), threads=os.cpu_count() or 1)


def _scores_of(file: LabelledFile, embedder: Embedder | None, options: EvalOptions, progress: Progress) -> FileScores:
    with open_replay_cache(embedder, rows=len(file), **options.settings) as cache:
        return evaluate(file, cache, progress)


def _names(paths: Sequence[Path]) -> list[str]:
    """What the files are called in the output: their names, and their paths where two have one name."""
    names = [path.name for path in paths]
    return [str(path) if names.count(path.name) > 1 else path.name for path in paths]


def _config_of(options: EvalOptions, embedder: Embedder | None) -> dict[str, JsonValue]:
    config = CacheConfig(**options.settings)
    names = ("max_error_rate", "similarity_threshold", "use_guards", "max_candidates")
    settings = {name: getattr(config, name) for name in names}
    if config.similarity_threshold is not None:
        settings["max_error_rate"] = None  # a cosine decides, and keeps no budget
    return {
        **settings,
        "exact_only": options.exact_only,
        "embedder_id": None if embedder is None else embedder.embedder_id,
        "policy": None if embedder is None else _policy_id(config, embedder),
    }


def _policy_id(config: CacheConfig, embedder: Embedder) -> str:
    verifier = verifier_of("grey", config, embedder)
    return policies_for(config, embedder, verifier=verifier).default.policy_id


def _tables() -> Callable[[Mapping[str, FileScores], Mapping[str, JsonValue]], None]:
    from llmcache_plugins.cli.eval_report import print_scores  # needs rich, which --json does without

    return print_scores


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on stderr when that is a terminal and rich is installed."""
    if sys.stderr.isatty():
        try:
            from llmcache_plugins.cli.eval_report import progress_bar
        except MissingExtraError:
            pass
        else:
            with progress_bar() as progress:
                yield progress
            return
    yield lambda stage, done, total: None
