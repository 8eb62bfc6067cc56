"""The built wheels away from the source: a bare install, and one with the extra `local`. Run by `make test-bare`.

Makes both wheels and two virtual environments in a temporary folder; prints what it checked, exits 1 at the first
surprise.
"""

from __future__ import annotations

import subprocess
import tempfile
import venv
from pathlib import Path

from distributions import build

ROOT = Path(__file__).parent.parent

BARE = """
import importlib, logging, pkgutil, sys
logging.basicConfig(level=logging.WARNING)
import llmcache_plugins
from llmcache_plugins import MissingExtraError, open_cache

plugins = {"langchain": "langchain", "llama_index": "llama-index", "anthropic": "anthropic"}  # package, extra
may_need = (*(f"llmcache_plugins.{plugin}" for plugin in plugins), "llmcache_plugins.cli.")
may_need += ("llmcache_plugins.stores.redis",)
may_need += tuple(f"llmcache_plugins.telemetry.{name}" for name in ("prometheus", "opentelemetry", "sketch"))
for module in pkgutil.walk_packages(llmcache_plugins.__path__, "llmcache_plugins.", onerror=lambda name: None):
    if module.name.endswith(("__main__", "store_contract")):  # a command; a test suite, which needs pytest
        continue
    try:
        importlib.import_module(module.name)
    except MissingExtraError as error:
        assert module.name.startswith(may_need), module.name
        assert "pip install 'llmcache-plugins[" in str(error), error
for plugin, extra in plugins.items():
    try:
        importlib.import_module(f"llmcache_plugins.{plugin}")
    except MissingExtraError as error:
        assert f"pip install 'llmcache-plugins[{extra}]'" in str(error), error
    else:
        raise SystemExit(f"{plugin} imported without what it needs")

from llmcache_plugins.embedders import OnnxEmbedder, SentenceTransformerEmbedder
for make, extra in ((OnnxEmbedder, "local"), (lambda: SentenceTransformerEmbedder("x"), "sentence-transformers")):
    try:
        make()
    except MissingExtraError as error:
        assert f"pip install 'llmcache-plugins[{extra}]'" in str(error), error
    else:
        raise SystemExit(f"{extra} is not missing here")

try:
    open_cache("redis://127.0.0.1")
except MissingExtraError as error:
    assert "pip install 'llmcache-plugins[redis]'" in str(error), error
else:
    raise SystemExit("a cache on a server was opened without what it needs")

with open_cache() as cache:  # without an embedder: exact and normalised, said once
    assert cache.get_or_generate("What is BGP?", lambda: "a protocol") == "a protocol"
    assert cache.lookup("what is BGP").kind == "normalised"
print("bare install: every module imports, every missing extra says its pip line")
"""

LOCAL = """
from llmcache_plugins import open_cache
with open_cache(similarity_threshold=0.85) as cache:
    cache.update("How do I reset my password?", "Use the link.")
    hit = cache.lookup("How can I reset my password?")
    assert hit.kind == "semantic", hit
    assert cache.lookup("How do I bake bread?").reason == "below_threshold"
print("extra local: a reworded question hits, similarity", round(hit.similarity, 3))
"""


def call(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0 and options.get("check", True) is not False:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")
    return done


def environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheels = folder / "wheels"
        wheels.mkdir()
        wheel = build(wheels)["llmcache_plugins"]

        bare = environment(folder / "bare")
        call(bare, "-m", "pip", "install", "--quiet", wheel)
        call(bare, "-m", "pip", "check")
        print(call(bare, "-c", BARE, cwd=folder).stdout, end="")
        data = ROOT / "examples" / "data" / "questions.jsonl"
        command = call(bare.parent / "llmcache", "demo", "--data", data, cwd=folder, check=False)
        assert command.returncode == 2, (command.returncode, command.stderr)
        assert "pip install 'llmcache-plugins[" in command.stderr, command.stderr
        print("bare install: `llmcache demo` names its pip line and exits with 2")

        doctor = call(bare.parent / "llmcache", "doctor", cwd=folder)
        assert "pip install 'llmcache-plugins[cli]'" in doctor.stdout, doctor.stdout
        print("bare install: `llmcache doctor` runs and says what is missing")

        local = environment(folder / "local")
        call(
            local,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--find-links",
            wheels,
            f"llmcache-plugins[local] @ file://{wheel}",
        )
        call(local, "-m", "pip", "check")
        print(call(local, "-c", LOCAL, cwd=folder).stdout, end="")


if __name__ == "__main__":
    main()
