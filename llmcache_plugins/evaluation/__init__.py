"""Measuring a cache on labelled questions: read a file, replay it through the public look-ups, score the outcome.

file = read_file("pairs.jsonl")
embedder = PreparedEmbedder(OnnxEmbedder())
embedder.prepare(texts_to_embed(file.requests))
with open_replay_cache(embedder, rows=len(file)) as cache:
    print(evaluate(file, cache).as_json()["recall"])
"""

from llmcache_plugins.evaluation.evaluate import FileScores, evaluate
from llmcache_plugins.evaluation.intervals import Interval, Rate
from llmcache_plugins.evaluation.replay import Served, open_replay_cache, replay_pairs, replay_stream, texts_to_embed
from llmcache_plugins.evaluation.rows import (
    FileKind,
    LabelledFile,
    LabelledPair,
    LabelledRequest,
    read_file,
    request_of,
)
from llmcache_plugins.evaluation.scores import PairCounts, PairScores, StreamScores, score_pairs, score_stream
from llmcache_plugins.evaluation.vectors import PreparedEmbedder, Progress, VectorFile

__all__ = [
    "FileKind",
    "FileScores",
    "Interval",
    "LabelledFile",
    "LabelledPair",
    "LabelledRequest",
    "PairCounts",
    "PairScores",
    "PreparedEmbedder",
    "Progress",
    "Rate",
    "Served",
    "StreamScores",
    "VectorFile",
    "evaluate",
    "open_replay_cache",
    "read_file",
    "replay_pairs",
    "replay_stream",
    "request_of",
    "score_pairs",
    "score_stream",
    "texts_to_embed",
]
