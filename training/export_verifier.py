"""Make the verifier's shipped files from a checkpoint of its training: the same bytes on every run.

    python training/export_verifier.py --source FOLDER --checkpoint FILE [--output FOLDER] [--float]

Needs what training needs. The graph takes `input_ids` and `segments` of shape (batch, length): the tokens of the first
question and behind them those of the second, each with its own markers, and 0 or 1 for each. No padding, no mask. It
gives `score` of shape (batch,) in [0, 1].
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
from verifier_model import ALONE

MODEL = "llmcache-verifier-minilm-l6"
MAX_TOKENS = 256  # both questions together


def merged(source: Path, checkpoint: Path) -> dict[str, Array]:
    """The trained weights over those they started from: the word embeddings were never changed."""
    weights = read_weights(source / "model.safetensors")
    trained = torch.load(checkpoint, weights_only=True)["model"]
    for name, value in trained.items():
        weights[name.removeprefix("encoder.")] = value.float().numpy()
    return weights


def build(weights: Mapping[str, Array], *, is_float: bool) -> onnx.ModelProto:
    graph = Graph(is_float=is_float)
    second = graph.node("Cast", "second", "segments", to=TensorProto.FLOAT)
    first = graph.node("Sub", "first", graph.constant("one", np.array(1, np.float32)), second)
    tokens = graph.constant("tokens", np.array([1]))  # the axis they lie along
    places = _places(graph, first, second, tokens)
    x = _embeddings(graph, weights, places)
    closed = _closed(graph, second, tokens)
    for index in range(ALONE):
        x = layer(graph, f"layer{index}", layer_weights(weights, index), x, closed)
    sides = graph.constant("sides.table", weights["side.weight"])
    x = graph.node("Add", "together", x, graph.node("Gather", "sides", sides, "segments"))
    for index in range(ALONE, LAYERS):
        x = layer(graph, f"layer{index}", layer_weights(weights, index), x)
    _head(graph, weights, x, _Sides(first, second, places, tokens))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "segments")
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    return onnx_model(graph, MODEL, inputs, output)


class _Sides(NamedTuple):
    """Names of values: 1.0 for the tokens of a question, else 0.0, and each token's place in its own question."""

    first: str
    second: str
    places: str
    tokens: str


def _places(graph: Graph, first: str, second: str, tokens: str) -> str:
    """The place of each token in its own question."""
    length = graph.node("ReduceSum", "places.first", first, tokens, keepdims=1)
    zero, step = graph.constant("places.zero", np.array(0)), graph.constant("places.step", np.array(1))
    end = graph.node("Squeeze", "places.end", graph.node("Shape", "places.shape", "input_ids", start=1, end=2))
    counted = graph.node(
        "Cast", "places.counted", graph.node("Range", "places.all", zero, end, step), to=TensorProto.FLOAT
    )
    before = graph.node("Mul", "places.before", second, length)
    return graph.node("Cast", "places", graph.node("Sub", "places.own", counted, before), to=TensorProto.INT64)


def _closed(graph: Graph, second: str, tokens: str) -> str:
    """(batch, 1, length, length): 0 between tokens of one question, and so little between the two that attention never
    sees it."""
    last = graph.constant("closed.last", np.array([2]))
    column = graph.node("Unsqueeze", "closed.column", second, last)
    row = graph.node("Unsqueeze", "closed.row", second, tokens)
    differs = graph.node("Abs", "closed.differs", graph.node("Sub", "closed.difference", column, row))
    low = graph.node("Mul", "closed.low", differs, graph.constant("closed.by", np.array(-1e4, np.float32)))
    return graph.node("Unsqueeze", "closed", low, tokens)


def _embeddings(graph: Graph, weights: Mapping[str, Array], places: str) -> str:
    """As the embedder has them: the segment it knows is always 0, and its row joins the positions."""
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    table = graph.constant("positions.table", positions[:MAX_TOKENS].astype(np.float32))
    rows = graph.node("Gather", "positions.out", table, places)
    words = graph.lookup("words", "input_ids", weights["embeddings.word_embeddings.weight"])
    return graph.layer_norm(
        "embeddings.norm",
        graph.node("Add", "embeddings.sum", words, rows),
        weights["embeddings.LayerNorm.weight"],
        weights["embeddings.LayerNorm.bias"],
    )


def _head(graph: Graph, weights: Mapping[str, Array], x: str, sides: _Sides) -> None:
    """See `CrossEncoder.forward`: both first markers, what the means have apart and in common, and their cosine."""
    axis = graph.constant("head.axis", np.array([2]))
    zero = graph.constant("head.zero", np.array(0))
    is_first = graph.node(
        "Cast", "head.begins", graph.node("Equal", "head.equal", sides.places, zero), to=TensorProto.FLOAT
    )
    axes = axis, sides.tokens
    left_mark = _mean(graph, "head.left_mark", x, graph.node("Mul", "head.left_first", is_first, sides.first), axes)
    right_mark = _mean(graph, "head.right_mark", x, graph.node("Mul", "head.right_first", is_first, sides.second), axes)
    left = _mean(graph, "head.left", x, sides.first, axes)
    right = _mean(graph, "head.right", x, sides.second, axes)
    apart = graph.node("Abs", "head.apart", graph.node("Sub", "head.difference", left, right))
    common = graph.node("Mul", "head.common", left, right)
    read = graph.node("Concat", "head.read", left_mark, right_mark, apart, common, axis=1)
    hidden = gelu(
        graph, "head.gelu", graph.linear("head.hidden", read, weights["hidden.weight"].T, weights["hidden.bias"])
    )
    more = graph.node("MatMul", "head.product", hidden, graph.constant("head.out", weights["out.weight"].T))
    dot = graph.node("ReduceSum", "head.dot", common, sides.tokens, keepdims=1)
    lengths = [
        graph.node("ReduceL2", f"head.length.{name}", value, axes=[1], keepdims=1)
        for name, value in (("left", left), ("right", right))
    ]
    cosine = graph.node("Div", "head.cosine", dot, graph.node("Mul", "head.lengths", *lengths))
    slope, start = (np.array([value], np.float32) for value in weights["cosine"])
    line = graph.node("Mul", "head.line", cosine, graph.constant("head.slope", slope))
    line = graph.node("Add", "head.line_from", line, graph.constant("head.start", start + weights["out.bias"]))
    logit = graph.node("Add", "head.logit", line, more)
    graph.node("Squeeze", "score", graph.node("Sigmoid", "head.score", logit), sides.tokens)


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
