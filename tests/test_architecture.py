"""Imports point one way, and optional packages stay where they are needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import llmcache_plugins

ROOT = Path(llmcache_plugins.__file__).parent
PACKAGE = "llmcache_plugins"

BASE = {"types", "errors", "paths", "quality", "selection", "rollout", "ab_test", "counters", "recorded", "protocols"}
INNER = BASE | {"keys", "policies", "matching", "config"}
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "paths": {"errors"},
    "quality": {"types", "errors"},
    "selection": {"types", "errors"},
    "rollout": {"errors"},
    "ab_test": {"types", "errors", "rollout"},
    "counters": {"types"},
    "recorded": {"types", "errors", "quality", "ab_test", "rollout", "counters"},
    "protocols": {"types", "errors", "quality", "selection", "counters", "recorded"},
    "config": BASE,
    "keys": BASE,
    "policies": BASE,
    "matching": BASE,
    "stores": BASE | {"policies"},
    "onnx_model": {"types", "errors"},
    "embedders": BASE | {"onnx_model"},
    "verifiers": BASE | {"onnx_model"},
    "judges": BASE,
    "events": BASE | {"policies"},
    "telemetry": BASE | {"analysis"},
    "warming": INNER,
    "transfer": INNER,
    "analysis": BASE | {"config"},
    "money": BASE,
    "report": BASE | {"money", "analysis"},
    "engine": INNER | {"warming", "analysis", "transfer", "report", "money"},
    "stack": INNER | {"engine", "stores"},
    "deciding": INNER | {"verifiers"},
    "checking": INNER | {"engine"},
    "factory": INNER | {"checking", "deciding", "engine", "events", "stack", "embedders", "judges", "telemetry"},
    "evaluation": INNER | {"engine", "factory", "deciding"},
    "logs": INNER | {"evaluation", "analysis", "stores"},
    "dashboard": INNER | {"engine", "report", "money", "stores", "telemetry"},
    "canonical": BASE | {"keys"},
    "langchain": INNER | {"engine", "factory", "warming", "canonical", "judges"},
    "llama_index": INNER | {"engine", "factory", "warming", "canonical"},
    "anthropic": INNER | {"engine", "factory", "canonical", "judges"},
}
ANYTHING = {"testing", "cli", ""}  # "" is the package's own __init__
NOBODY_IMPORTS = {"langchain", "llama_index", "anthropic", "dashboard", "cli", "testing"}

# Third-party packages, and the parts that may import them; all but numpy are optional.
OPTIONAL = {
    "numpy": {
        "types",
        "protocols",
        "matching",
        "stores",
        "onnx_model",
        "embedders",
        "verifiers",
        "engine",
        "evaluation",
        "transfer",
        "testing",
        "cli",
    },
    "langchain_core": {"langchain", "cli"},
    "langchain": {"cli", "langchain"},
    "langgraph": {"langchain"},
    "llama_index": {"llama_index"},
    "llama_index_instrumentation": {"llama_index"},
    "anthropic": {"anthropic"},
    "httpx": {"anthropic"},  # comes with anthropic 0.x
    "httpx2": {"anthropic"},  # comes with anthropic 1.x and later
    "pydantic": {"langchain", "llama_index", "anthropic"},  # comes with each of the frameworks
    "langchain_anthropic": {"cli"},
    "onnxruntime": {"onnx_model", "cli"},
    "tokenizers": {"onnx_model", "cli"},
    "llmcache_plugins_models": {"onnx_model", "cli"},
    "sentence_transformers": {"embedders", "cli"},
    "redis": {"stores"},
    "cryptography": {"stores"},
    "prometheus_client": {"telemetry"},
    "opentelemetry": {"telemetry"},
    "ddsketch": {"telemetry"},
    "typer": {"cli"},
    "rich": {"cli", "warming", "transfer"},
    "apscheduler": {"warming"},
    "matplotlib": {"cli"},
    "pytest": {"testing"},
}


def part_of(module: str) -> str:
    """`llmcache_plugins.stores.disk` -> `stores`."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def imports_of(path: Path) -> set[str]:
    """Every module that the file imports, anywhere in it, but for imports that only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            assert node.module is not None
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == PACKAGE else {node.module}
            )
    return found


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inward(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py").removeprefix("__init__")
    for module in imports_of(path):
        if module.split(".")[0] != PACKAGE:
            continue
        target = part_of(module)
        if target == own or own in ANYTHING:
            continue
        assert own in MAY_IMPORT, f"{own} is not in the table: where does it stand?"
        assert target in MAY_IMPORT[own], f"{path.name}: {own} may not import {target}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_third_party_packages_stay_in_their_parts(path: Path) -> None:
    import sys

    own = path.relative_to(ROOT).parts[0].removesuffix(".py").removeprefix("__init__")
    for module in imports_of(path):
        top = module.split(".")[0]
        if top == PACKAGE or top in sys.stdlib_module_names:
            continue
        assert top in OPTIONAL, f"{path.name} imports {top}, which nobody agreed on"
        assert own in OPTIONAL[top], f"{path.name}: {own} may not import {top}"


def test_nobody_imports_the_outermost_parts() -> None:
    for path in FILES:
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        targets = {part_of(module) for module in imports_of(path) if module.split(".")[0] == PACKAGE}
        allowed = {own} | ({"testing", "langchain", "dashboard"} if own == "cli" else set())
        assert not (targets & NOBODY_IMPORTS) - allowed, path


def test_p21_nothing_imports_pickle() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    for path in FILES:
        assert not {module.split(".")[0] for module in imports_of(path)} & forbidden, path
