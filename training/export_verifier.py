"""Make the verifier's shipped files from a checkpoint of its training: the same bytes on every run.

    python training/export_verifier.py --source FOLDER --checkpoint FILE [--output FOLDER] [--float]

Needs numpy, onnx, safetensors and torch (to read the checkpoint). The graph takes `input_ids` and `segments` of shape
(batch, length), without padding and without a mask, and gives `score` of shape (batch,) in [0, 1].
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from export_embedder import (
    BLOCK,
    LAYERS,
    SOURCE,
    TOKENIZER_SHA256,
    WEIGHTS_SHA256,
    Array,
    Graph,
    checked,
    gelu,
    layer,
    layer_weights,
    onnx_model,
    read_weights,
    tokenizer_json,
)
from onnx import TensorProto, helper

MODEL = "llmcache-verifier-minilm-l6"
MAX_TOKENS = 256  # both questions together


def merged(source: Path, checkpoint: Path) -> dict[str, Array]:
    """The trained weights over those they started from: the word embeddings were never changed."""
    weights = read_weights(source / "model.safetensors")
    trained = torch.load(checkpoint, weights_only=True)["model"]
    for name, value in trained.items():
        weights[name.removeprefix("encoder.") if not name.startswith(("hidden", "out")) else name] = (
            value.float().numpy()
        )
    return weights


def build(weights: Mapping[str, Array], *, is_float: bool) -> onnx.ModelProto:
    graph = Graph(is_float=is_float)
    x = _embeddings(graph, weights)
    for index in range(LAYERS):
        x = layer(graph, f"layer{index}", layer_weights(weights, index), x)
    _head(graph, weights, x)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "segments")
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    return onnx_model(graph, MODEL, inputs, output)


def _embeddings(graph: Graph, weights: Mapping[str, Array]) -> str:
    shape = graph.node("Shape", "length", "input_ids", start=1, end=2)
    zero, axis = graph.constant("zero", np.array([0])), graph.constant("first_axis", np.array([0]))
    positions = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS].astype(np.float32)
    rows = graph.node("Slice", "positions.out", graph.constant("positions.table", positions), zero, shape, axis)
    words = graph.lookup("words", "input_ids", weights["embeddings.word_embeddings.weight"])
    kinds = graph.constant("segments.table", weights["embeddings.token_type_embeddings.weight"])
    kind = graph.node("Gather", "segments.out", kinds, "segments")
    total = graph.node("Add", "embeddings.placed", words, rows)
    return graph.layer_norm(
        "embeddings.norm",
        graph.node("Add", "embeddings.sum", total, kind),
        weights["embeddings.LayerNorm.weight"],
        weights["embeddings.LayerNorm.bias"],
    )


def _head(graph: Graph, weights: Mapping[str, Array], x: str) -> None:
    """See `CrossEncoder.forward`: the first marker, and what the means of both questions have apart and in common."""
    one, axis = graph.constant("head.one", np.array(1, np.float32)), graph.constant("head.axis", np.array([2]))
    second = graph.node("Cast", "head.second", "segments", to=TensorProto.FLOAT)
    first = graph.node("Sub", "head.first", one, second)
    tokens = graph.constant("head.tokens", np.array([1]))  # the axis they lie along
    markers = graph.node("Gather", "head.markers", x, graph.constant("head.place", np.array([0])), axis=1)
    marker = graph.node("Squeeze", "head.marker", markers, tokens)
    left = _mean(graph, "head.left", x, first, (axis, tokens))
    right = _mean(graph, "head.right", x, second, (axis, tokens))
    apart = graph.node("Abs", "head.apart", graph.node("Sub", "head.difference", left, right))
    common = graph.node("Mul", "head.common", left, right)
    read = graph.node("Concat", "head.read", marker, apart, common, axis=1)
    hidden = gelu(
        graph, "head.gelu", graph.linear("head.hidden", read, weights["hidden.weight"].T, weights["hidden.bias"])
    )
    logit = graph.node("MatMul", "head.product", hidden, graph.constant("head.out", weights["out.weight"].T))
    logit = graph.node("Add", "head.logit", logit, graph.constant("head.bias", weights["out.bias"]))
    score = graph.node("Sigmoid", "head.score", logit)
    graph.node("Squeeze", "score", score, tokens)


def _mean(graph: Graph, name: str, x: str, weights: str, axes: tuple[str, str]) -> str:
    """The mean of the tokens with weight 1; `axes` are the last one and that of the tokens."""
    last, tokens = axes
    column = graph.node("Unsqueeze", f"{name}.column", weights, last)
    total = graph.node("ReduceSum", f"{name}.sum", graph.node("Mul", f"{name}.own", x, column), tokens, keepdims=0)
    count = graph.node("ReduceSum", f"{name}.count", column, tokens, keepdims=0)
    return graph.node("Div", f"{name}.mean", total, count)


def manifest(files: Mapping[str, bytes], trained: str) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    facts = {
        "format": 1,
        "verifier_id": f"{MODEL}/int8w/{digests['model.onnx'][:12]}",
        "model": f"cross-encoder, trained from {SOURCE}",
        "weights": f"int8; one float32 scale for {BLOCK} inputs of an output, and for each row of the word embedding",
        "activations": "float32",
        "max_tokens": MAX_TOKENS,
        "files": {name: {"sha256": digests[name], "bytes": len(files[name])} for name in digests},
        "source": {"model.safetensors": WEIGHTS_SHA256, "tokenizer.json": TOKENIZER_SHA256, "checkpoint": trained},
    }
    return (json.dumps(facts, indent=2) + "\n").encode("utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--checkpoint", type=Path, required=True)
    package = Path(__file__).resolve().parent.parent / "models" / "llmcache_plugins_models"
    parser.add_argument("--output", type=Path, default=package / "verifier", help="where the files go")
    parser.add_argument("--float", action="store_true", help="float32 weights: a yardstick, never shipped")
    options = parser.parse_args()
    checked(options.source / "model.safetensors", WEIGHTS_SHA256)
    tokenizer = tokenizer_json(checked(options.source / "tokenizer.json", TOKENIZER_SHA256))
    model = build(merged(options.source, options.checkpoint), is_float=options.float)
    files = {"model.onnx": model.SerializeToString(deterministic=True), "tokenizer.json": tokenizer}
    trained = hashlib.sha256(options.checkpoint.read_bytes()).hexdigest()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, content in {**files, "manifest.json": manifest(files, trained)}.items():
        (options.output / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content):,} bytes")


if __name__ == "__main__":
    main()
