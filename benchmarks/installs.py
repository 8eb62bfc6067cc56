"""What each extra brings along: `python -m benchmarks.installs`.

Builds the wheels, installs each extra in an environment of its own, and writes the table of docs/installing.md. Some
minutes, and two gigabytes on the disk meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from benchmarks.progress import progress
from benchmarks.report import table, with_blocks

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
_EXTRAS = (
    "",
    "langchain",
    "llama-index",
    "anthropic",
    "redis",
    "local",
    "cli",
    "encryption",
    "prometheus",
    "demo",
    "all",
)


def main() -> None:
    """Measure all of them."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary, progress() as say:
        folder = Path(temporary)
        for source in (ROOT, ROOT / "models"):
            _run(
                sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(source), "-w", str(folder / "wheels")
            )
        wheel = next((folder / "wheels").glob("llmcache_plugins-*.whl"))
        for done, extra in enumerate(_EXTRAS):
            say(extra or "no extra", done, len(_EXTRAS))
            rows.append([f"`[{extra}]`" if extra else "none", *_installed(folder / (extra or "none"), wheel, extra)])
    document = ROOT / "docs" / "installing.md"
    head = ("extra", "packages", "on the disk")
    document.write_text(
        with_blocks(document.read_text(encoding="utf-8"), {"sizes": table(head, rows)}), encoding="utf-8"
    )
    print(f"written: {document}")


def _installed(folder: Path, wheel: Path, extra: str) -> Iterator[str]:
    """How many packages with ours, and how large they are."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    before = _files(folder)
    what = f"llmcache-plugins[{extra}] @ file://{wheel}" if extra else str(wheel)
    _run(python, "-m", "pip", "install", "--quiet", "--no-compile", "--find-links", str(wheel.parent), what)
    after = _files(folder)
    packages = sum(path.name == "METADATA" for path in after.keys() - before.keys())
    yield str(packages)
    yield f"{sum(after[path] for path in after.keys() - before.keys()) / 1e6:,.0f} MB"


def _files(folder: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
