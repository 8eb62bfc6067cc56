"""The figures of the model card: how near the shipped model is to the original, and how long a text takes.

    python training/measure_embedder.py [--float FOLDER]

Needs what the extra `local` brings. FOLDER is what `export_embedder.py --float --output FOLDER` made: the same graph
with float32 weights, timed in turns with the shipped one.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from time import perf_counter

import numpy as np
from llmcache_plugins_models import embedder_path
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Tokenizer

from llmcache_plugins.embedders import OnnxEmbedder

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "embedder"
TEXT = "How do I reset my router password?"  # 11 tokens with the two markers
ROUNDS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float", type=Path, metavar="FOLDER", help="the float32 model, to time beside it")
    other = parser.parse_args().float
    texts = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
    original = np.load(FOLDER / "reference.npz", allow_pickle=False)["vectors"]
    vectors = OnnxEmbedder().embed(texts)
    cosines = np.einsum("ij,ij->i", vectors, original)
    print(f"cosine to the original, {len(texts)} texts: least {cosines.min():.4f}, mean {cosines.mean():.4f}")
    pairs = np.triu_indices(len(texts), k=1)
    change = np.abs(vectors @ vectors.T - original @ original.T)[pairs]
    print(
        f"change of a pair's similarity: mean {change.mean():.4f}, 99th percentile {np.quantile(change, 0.99):.4f}, "
        f"largest {change.max():.4f}"
    )
    folders = {"int8 weights": embedder_path()} | ({} if other is None else {"float32 weights": other})
    for name, seconds in medians(folders).items():
        print(f"one thread, text of 11 tokens, {name}: median {seconds * 1000:.1f} ms of {ROUNDS}")


def medians(folders: dict[str, Path]) -> dict[str, float]:
    """Median seconds of one run of each folder's model on `TEXT`, timed in turns."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {name: InferenceSession(str(folder / "model.onnx"), options) for name, folder in folders.items()}
    ids = Tokenizer.from_file(str(embedder_path() / "tokenizer.json")).encode(TEXT).ids
    assert len(ids) == 11
    feed = {"input_ids": np.array([ids], dtype=np.int64)}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            start = perf_counter()
            session.run(None, feed)
            times[name].append(perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
