"""Make the default embedder from the official weights of all-MiniLM-L6-v2: the same bytes on every run.

    python training/export_embedder.py --source FOLDER [--output FOLDER] [--float]

Needs numpy, onnx and safetensors; no torch. `--float` writes the same graph with float32 weights: the yardstick for the
int8 one, never shipped.

The graph has one input, `input_ids` of shape (batch, length), and no mask: all rows of a batch have the same number of
tokens and none is padding, so padding cannot change a vector. Its output `embedding` has shape (batch, 384), unit
length.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MODEL = "all-MiniLM-L6-v2"
SOURCE = "sentence-transformers/all-MiniLM-L6-v2"
LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536
MAX_TOKENS = 256  # sentence_bert_config.json of the model; its position table would go on to 512
EPSILON = 1e-12  # layer_norm_eps of config.json
# One scale for 64 weights of an output. Least cosine to sentence-transformers over the texts of the test: 0.9992; with
# one scale for a whole output (384 or 1536 weights) it was 0.9965, and blocks of 32 gain 0.0002 for 0.7 MB more.
BLOCK = 64
OPSET, IR_VERSION = 17, 8  # LayerNormalization came with 17; every onnxruntime since 1.12 reads both

Array = NDArray[np.float32]


class Graph:
    """Collects nodes and initialisers under predictable names; `is_float` leaves the weights as they are."""

    def __init__(self, *, is_float: bool) -> None:
        self.is_float = is_float
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, name: str, x: str, weight: Array, bias: Array) -> str:
        """x @ weight + bias, for a weight of shape (inputs, outputs).

        Cast and Mul of constants, which every runtime folds when it loads the graph, rather than DequantizeLinear:
        onnxruntime fuses that with MatMul into MatMulNBits, which rounds the *activations* to int8 as well.
        """
        if self.is_float:
            matrix = self.constant(f"{name}.weight", weight)
        else:
            blocks = weight.reshape(-1, BLOCK, weight.shape[1])  # (inputs / BLOCK, BLOCK, outputs)
            floats = self.scaled(f"{name}.weight", *quantise(blocks, axis=1))
            shape = self.constant(f"{name}.weight_shape", np.array(weight.shape))
            matrix = self.node("Reshape", f"{name}.weight", floats, shape)
        product = self.node("MatMul", f"{name}.matmul", x, matrix)
        return self.node("Add", f"{name}.out", product, self.constant(f"{name}.bias", bias))

    def layer_norm(self, name: str, x: str, weight: Array, bias: Array) -> str:
        gain, shift = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        return self.node("LayerNormalization", f"{name}.out", x, gain, shift, axis=-1, epsilon=EPSILON)

    def lookup(self, name: str, ids: str, table: Array) -> str:
        """Rows of a table; int8 rows with a scale each are gathered first and made float32 after that."""
        if self.is_float:
            return self.node("Gather", f"{name}.out", self.constant(f"{name}.table", table), ids)
        levels, scales = quantise(table, axis=1)
        rows = self.node("Gather", f"{name}.rows", self.constant(f"{name}.table_int8", levels), ids)
        steps = self.node("Gather", f"{name}.steps", self.constant(f"{name}.table_scale", scales), ids)
        floats = self.node("Cast", f"{name}.float", rows, to=TensorProto.FLOAT)
        return self.node("Mul", f"{name}.out", floats, steps)

    def scaled(self, name: str, levels: NDArray[np.int8], scales: Array) -> str:
        floats = self.node("Cast", f"{name}_float", self.constant(f"{name}_int8", levels), to=TensorProto.FLOAT)
        return self.node("Mul", f"{name}_scaled", floats, self.constant(f"{name}_scale", scales))


def quantise(weight: Array, *, axis: int) -> tuple[NDArray[np.int8], Array]:
    """Symmetric int8 with one scale for all numbers along `axis`: weight = levels * scale, levels in [-127, 127]."""
    scales = (np.abs(weight).max(axis=axis, keepdims=True) / np.float32(127)).astype(np.float32)
    scales[scales == 0] = 1.0
    return np.clip(np.rint(weight / scales), -127, 127).astype(np.int8), scales


def read_weights(path: Path) -> dict[str, Array]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict: it cannot be iterated)


def build(weights: Mapping[str, Array], *, is_float: bool) -> onnx.ModelProto:
    graph = Graph(is_float=is_float)
    x = _embeddings(graph, weights)
    for index in range(LAYERS):
        x = layer(graph, f"layer{index}", layer_weights(weights, index), x)
    _pool(graph, x)
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    return onnx_model(
        graph, MODEL, [ids], helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])
    )


def onnx_model(
    graph: Graph, name: str, inputs: list[onnx.ValueInfoProto], output: onnx.ValueInfoProto
) -> onnx.ModelProto:
    made = helper.make_graph(graph.nodes, name, inputs, [output], graph.initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "llmcache-plugins-models"
    onnx.checker.check_model(model, full_check=True)
    return model


def _embeddings(graph: Graph, weights: Mapping[str, Array]) -> str:
    """Word, position and segment rows summed. The segment is always 0, so its row joins the positions."""
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    shape = graph.node("Shape", "length", "input_ids", start=1, end=2)
    zero, axis = graph.constant("zero", np.array([0])), graph.constant("first_axis", np.array([0]))
    table = graph.constant("positions.table", positions[:MAX_TOKENS].astype(np.float32))
    rows = graph.node("Slice", "positions.out", table, zero, shape, axis)
    words = graph.lookup("words", "input_ids", weights["embeddings.word_embeddings.weight"])
    total = graph.node("Add", "embeddings.sum", words, rows)
    return graph.layer_norm(
        "embeddings.norm",
        total,
        weights["embeddings.LayerNorm.weight"],
        weights["embeddings.LayerNorm.bias"],
    )


def layer_weights(weights: Mapping[str, Array], index: int) -> dict[str, Array]:
    prefix = f"encoder.layer.{index}."
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def layer(graph: Graph, name: str, weights: Mapping[str, Array], x: str, closed: str | None = None) -> str:
    """One layer of the encoder. `closed`, if any, is added to the scores of the attention: it keeps tokens apart."""
    attended = _attention(graph, f"{name}.attention", weights, x, closed)
    dense = graph.linear(
        f"{name}.attention.dense",
        attended,
        weights["attention.output.dense.weight"].T,
        weights["attention.output.dense.bias"],
    )
    x = graph.layer_norm(
        f"{name}.attention.norm",
        graph.node("Add", f"{name}.attention.sum", dense, x),
        weights["attention.output.LayerNorm.weight"],
        weights["attention.output.LayerNorm.bias"],
    )
    wide = graph.linear(f"{name}.up", x, weights["intermediate.dense.weight"].T, weights["intermediate.dense.bias"])
    narrow = graph.linear(
        f"{name}.down",
        gelu(graph, f"{name}.gelu", wide),
        weights["output.dense.weight"].T,
        weights["output.dense.bias"],
    )
    return graph.layer_norm(
        f"{name}.norm",
        graph.node("Add", f"{name}.sum", narrow, x),
        weights["output.LayerNorm.weight"],
        weights["output.LayerNorm.bias"],
    )


def _attention(graph: Graph, name: str, weights: Mapping[str, Array], x: str, closed: str | None) -> str:
    """Self-attention over all tokens. Query, key and value share one product; 1/sqrt(head width) is in the query."""
    scale = np.float32((WIDTH // HEADS) ** -0.5)
    parts = [("query", scale), ("key", np.float32(1)), ("value", np.float32(1))]
    weight = np.concatenate([weights[f"attention.self.{part}.weight"].T * by for part, by in parts], axis=1)
    bias = np.concatenate([weights[f"attention.self.{part}.bias"] * by for part, by in parts])
    joined = graph.linear(f"{name}.qkv", x, weight, bias)
    shape = graph.constant(f"{name}.split_shape", np.array([0, 0, 3 * HEADS, WIDTH // HEADS]))
    heads = graph.node("Reshape", f"{name}.heads", joined, shape)  # (batch, length, 36, 32)
    outputs = [f"{name}.{part}" for part, _ in parts]
    graph.nodes.append(helper.make_node("Split", [heads, _thirds(graph, name)], outputs, name=f"{name}.split", axis=2))
    query = graph.node("Transpose", f"{name}.query_t", outputs[0], perm=[0, 2, 1, 3])
    key = graph.node("Transpose", f"{name}.key_t", outputs[1], perm=[0, 2, 3, 1])
    value = graph.node("Transpose", f"{name}.value_t", outputs[2], perm=[0, 2, 1, 3])
    scores = graph.node("MatMul", f"{name}.scores", query, key)
    if closed is not None:
        scores = graph.node("Add", f"{name}.apart", scores, closed)
    shares = graph.node("Softmax", f"{name}.weights", scores, axis=-1)
    mixed = graph.node("MatMul", f"{name}.mixed", shares, value)
    rows = graph.node("Transpose", f"{name}.rows", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", f"{name}.out", rows, graph.constant(f"{name}.join_shape", np.array([0, 0, WIDTH])))


def _thirds(graph: Graph, name: str) -> str:
    return graph.constant(f"{name}.thirds", np.array([HEADS, HEADS, HEADS]))


def gelu(graph: Graph, name: str, x: str) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2, exact; in the form that runtimes recognise and fuse."""
    root = graph.constant(f"{name}.root", np.array(np.sqrt(2.0), np.float32))
    one, half = (
        graph.constant(f"{name}.one", np.array(1, np.float32)),
        graph.constant(f"{name}.half", np.array(0.5, np.float32)),
    )
    erf = graph.node("Erf", f"{name}.erf", graph.node("Div", f"{name}.scaled", x, root))
    product = graph.node("Mul", f"{name}.product", x, graph.node("Add", f"{name}.shifted", erf, one))
    return graph.node("Mul", f"{name}.out", product, half)


def _pool(graph: Graph, x: str) -> None:
    """Mean over the tokens, then unit length (with the floor of 1e-12 that torch.nn.functional.normalize has)."""
    mean = graph.node("ReduceMean", "pool.mean", x, axes=[1], keepdims=0)
    norm = graph.node("ReduceL2", "pool.norm", mean, axes=[1], keepdims=1)
    floor = graph.constant("pool.floor", np.array(1e-12, np.float32))
    graph.node("Div", "embedding", mean, graph.node("Max", "pool.safe_norm", norm, floor))


def tokenizer_json(original: bytes) -> bytes:
    """The tokenizer without its own padding to 128 and truncation: what does not fit must not look as if it did."""
    settings = json.loads(original)
    settings["padding"] = settings["truncation"] = None
    return json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def manifest(files: Mapping[str, bytes]) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    facts = {
        "format": 1,
        "embedder_id": f"{MODEL}/int8w/{WIDTH}/unit/{digests['model.onnx'][:12]}",
        "model": SOURCE,
        "weights": f"int8; one float32 scale for {BLOCK} inputs of an output, and for each row of the word embedding",
        "activations": "float32",
        "dimension": WIDTH,
        "max_tokens": MAX_TOKENS,
        "normalisation": "unit",
        "pooling": "mean",
        "files": {name: {"sha256": digests[name], "bytes": len(files[name])} for name in digests},
        "source": {"model.safetensors": WEIGHTS_SHA256, "tokenizer.json": TOKENIZER_SHA256},
    }
    return (json.dumps(facts, indent=2) + "\n").encode("utf-8")


def checked(path: Path, sha256: str) -> bytes:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"{path.name}: sha256 is {found}, not that of the official file, {sha256}")
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    package = Path(__file__).resolve().parent.parent / "models" / "llmcache_plugins_models"
    parser.add_argument("--output", type=Path, default=package / "embedder", help="where the files go")
    parser.add_argument("--float", action="store_true", help="float32 weights: a yardstick, never shipped")
    options = parser.parse_args()
    checked(options.source / "model.safetensors", WEIGHTS_SHA256)
    tokenizer = tokenizer_json(checked(options.source / "tokenizer.json", TOKENIZER_SHA256))
    model = build(read_weights(options.source / "model.safetensors"), is_float=options.float)
    files = {"model.onnx": model.SerializeToString(deterministic=True), "tokenizer.json": tokenizer}
    options.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.output / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content):,} bytes")
    if not options.float:
        (options.output / "manifest.json").write_bytes(manifest(files))


if __name__ == "__main__":
    main()
