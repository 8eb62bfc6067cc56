"""`llmcache tune PAIRS`: the setting that suits a user's own labelled pairs; `--from-log FILE`: pairs worth a label."""

from __future__ import annotations

import gzip
import json
import math
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcache_plugins.cli.plot_file import check_plot
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.evaluation import LabelledFile, PreparedEmbedder, Progress, read_file, texts_to_embed
from llmcache_plugins.evaluation.tune import Setting, Tuning, tune
from llmcache_plugins.evaluation.tune_log import propose, read_log
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import JsonValue

__all__ = ["TuneOptions", "run_proposals", "run_tune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """What was asked for on the command line."""

    pairs: Sequence[Path]
    as_json: bool = False
    plot: Path | None = None
    cost_per_call: float = 0.01
    max_error_rate: float = 0.01
    lexical: bool = False


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What a run found, with what the reader needs to know of its input: how many `pairs` counted, and how many rows
    were left out because they are `unlabelled` or `ambiguous`."""

    tuning: Tuning
    pairs: int
    unlabelled: int
    ambiguous: int
    options: TuneOptions

    @property
    def names(self) -> list[str]:
        return [path.name for path in self.options.pairs]

    @property
    def code(self) -> str | None:
        """What to paste; None without a recommendation."""
        found = self.tuning.recommendation
        return None if found is None else code_for(found.trial.setting, lexical=self.options.lexical)

    def as_json(self) -> dict[str, JsonValue]:
        cost = self.options.cost_per_call
        found = self.tuning.recommendation
        return {
            "files": self.names,
            "rows": self.pairs,
            "unlabelled": self.unlabelled,
            "ambiguous": self.ambiguous,
            "max_error_rate": self.tuning.max_error_rate,
            "cost_per_call": cost,
            "settings": [trial.as_json(cost) for trial in self.tuning.trials],
            "recommended": None
            if found is None
            else {
                **found.trial.as_json(cost),
                "is_sure": found.is_sure,
                "pairs_needed": found.pairs_needed,
                "held_out": found.held_out.as_json(),
                "code": self.code,
            },
        }


def run_tune(
    options: TuneOptions,
    *,
    make_embedder: Callable[[], Embedder] = OnnxEmbedder,
    write: Callable[[str], Any] = print,
) -> int:
    """Try every setting on the pairs and print what they did; the exit code.

    Raises:
        ConfigError: a file is missing or malformed or has too few labels, a number is out of range, or the plot
            cannot be written.
        MissingExtraError: an optional package that this needs is not installed.
    """
    if not 0 <= options.cost_per_call < math.inf:
        raise ConfigError(f"cost per call must be a finite number of at least 0, not {options.cost_per_call}")
    if options.plot is not None:
        from llmcache_plugins.cli.tune_plot import save_plot  # before the work, so that its absence is said at once

        check_plot(options.plot)
    if not options.as_json:
        from llmcache_plugins.cli.tune_report import print_tuning
    files, unlabelled = zip(*map(_read, options.pairs), strict=True)
    pairs = [pair for file in files for pair in file.pairs]
    embedder = LexicalMatcher() if options.lexical else PreparedEmbedder(make_embedder(), threads=os.cpu_count() or 1)
    with _progress(is_shown=not options.as_json) as progress:
        if isinstance(embedder, PreparedEmbedder):
            embedder.prepare(texts_to_embed([request for file in files for request in file.requests]), progress)
        tuning = tune(pairs, embedder, max_error_rate=options.max_error_rate, progress=progress)
    ambiguous = sum(bool(pair.ambiguous) for pair in pairs)
    report = TuneReport(tuning, len(pairs) - ambiguous, sum(unlabelled), ambiguous, options)
    if options.as_json:
        write(json.dumps(report.as_json()))  # ASCII: any terminal and any reader takes it
    else:
        print_tuning(report)
    if options.plot is not None:  # last: what was found out is not lost when it cannot be drawn
        save_plot(tuning, options.plot)
    return 0


def run_proposals(log: Path, top: int, *, write: Callable[[str], Any] = print) -> int:
    """Print the pairs of a near-miss log that are most worth a label, as JSON lines; the exit code."""
    found = read_log(log)
    proposals = propose(found.misses, top)
    for number, miss in enumerate(proposals, start=1):
        write(json.dumps({"id": str(number), **miss.as_row()}))
    unreadable = (
        f", {found.unreadable} lines passed over: they hold no near miss, or a number out of range"
        if found.unreadable
        else ""
    )
    print(
        f"{len(proposals)} of {len(found.misses)} pairs in {found.lines} near misses{unreadable}. Write 1 for null "
        'where the answer to "a" is right for "b", else 0; then: llmcache tune FILE',
        file=sys.stderr,
    )
    return 0


def code_for(setting: Setting, *, lexical: bool) -> str:
    """The Python that opens a cache of this setting: one line, and for the matcher its import."""
    arguments = [f"{name}={value}" for name, value in setting.arguments.items()]
    if not lexical:
        return f"cache = open_cache({', '.join(arguments)})"
    start = "from llmcache_plugins.matching.lexical import LexicalMatcher\n"
    return f"{start}cache = open_cache({', '.join(['embedder=LexicalMatcher()', *arguments])})"


@contextmanager
def _progress(*, is_shown: bool) -> Iterator[Progress]:
    """A bar on stderr when that is a terminal; `--json` does without, for it needs no rich."""
    if is_shown and sys.stderr.isatty():
        from llmcache_plugins.cli.eval_report import progress_bar

        with progress_bar() as progress:
            yield progress
    else:
        yield lambda stage, done, total: None


def _read(path: Path) -> tuple[LabelledFile, int]:
    """The labelled pairs of a file, and how many of its rows have no label yet."""
    lines, unlabelled = _without_unlabelled(path)
    if not unlabelled:
        file = read_file(path)
    elif not any(line.strip() for line in lines):
        raise ConfigError(f"{path}: none of the {unlabelled} rows has a label yet; write 1 or 0 in place of null")
    else:
        # The blank lines in place of the rows that are left out keep the numbers of the others right.
        with tempfile.TemporaryDirectory() as folder:
            labelled = Path(folder) / path.name.removesuffix(".gz")
            labelled.write_text("\n".join(lines), encoding="utf-8")
            try:
                file = read_file(labelled)
            except ConfigError as error:
                raise ConfigError(str(error).replace(str(labelled), str(path))) from None
    if file.kind == "stream":
        raise ConfigError(f"{path} is a stream; tune reads pairs: rows of a, b and label")
    return file, unlabelled


def _without_unlabelled(path: Path) -> tuple[list[str], int]:
    """The lines of a file, those whose label is null blank; anything that is wrong with it is left to `read_file`."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return [], 0
    lines = text.split("\n")
    kept = ["" if _is_unlabelled(line) else line for line in lines]
    return kept, sum(line != other for line, other in zip(lines, kept, strict=True))


def _is_unlabelled(line: str) -> bool:
    try:
        row = json.loads(line) if '"label"' in line else None
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "label" in row and row["label"] is None
