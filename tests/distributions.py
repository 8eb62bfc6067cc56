"""Builds both distributions, and checks what is in them: `python tests/distributions.py FOLDER` (`make dist`).

A wheel made from the sdist has to be the one made from here, byte for byte, and nothing may be in it that a user has no
use for.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.message import Message
from pathlib import Path

__all__ = ["build"]

ROOT = Path(__file__).parent.parent
SOURCES = {"llmcache_plugins": ROOT, "llmcache_plugins_models": ROOT / "models"}
LARGEST = {"llmcache_plugins": 2_800_000, "llmcache_plugins_models": 26_000_000}  # bytes of a wheel
LICENCES = {
    "llmcache_plugins": {"LICENSE", "NOTICE", "llmcache_plugins/matching/lexicon/LICENSE.WordNet"},
    "llmcache_plugins_models": {"LICENSE", "NOTICE"},
}
_KINDS = {
    ".py",
    ".typed",
    ".json",
    ".npz",
    ".lua",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".onnx",
    ".txt",
    ".md",
    ".WordNet",
    ".LICENSE",
}


def build(folder: Path) -> dict[str, Path]:
    """Wheels and sdists of both in `folder`, checked; the wheels by package."""
    wheels = {}
    for package, source in SOURCES.items():
        wheel, sdist = _built(source, folder, package)
        _check_wheel(wheel, package)
        with tempfile.TemporaryDirectory() as temporary:
            with tarfile.open(sdist) as packed:
                packed.extractall(temporary, filter="data")
            (unpacked,) = Path(temporary).iterdir()
            again, _ = _built(unpacked, Path(temporary) / "again", package)
            assert again.read_bytes() == wheel.read_bytes(), f"the sdist of {package} makes another wheel"
        wheels[package] = wheel
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {sdist.name} makes the same wheel")
    return wheels


def _built(source: Path, folder: Path, package: str) -> tuple[Path, Path]:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    environment = {"SOURCE_DATE_EPOCH": "1700000000"} | os.environ
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob(f"{package}-*.whl"), folder.glob(f"{package}-*.tar.gz")
    return wheel, sdist


def _check_wheel(wheel: Path, package: str) -> None:
    size = wheel.stat().st_size
    assert size < LARGEST[package], f"{wheel.name} has grown to {size:,} bytes"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        info = f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"
        metadata = email.message_from_bytes(packed.read(f"{info}/METADATA"))
    inside = [name for name in names if name.startswith(f"{package}/")]
    strangers = [name for name in names if name not in inside and not name.startswith(f"{info}/")]
    strangers += [name for name in inside if Path(name).suffix not in _KINDS or "__pycache__" in name]
    assert not strangers, f"{wheel.name} holds {strangers}"
    assert f"{package}/py.typed" in names, f"{wheel.name} has no py.typed"
    licences = {name.removeprefix(f"{info}/licenses/") for name in names if name.startswith(f"{info}/licenses/")}
    assert licences == LICENCES[package], f"{wheel.name} holds the licences {sorted(licences)}"
    _check_metadata(metadata, wheel.name)


def _check_metadata(metadata: Message, name: str) -> None:
    assert metadata["License-Expression"] == "Apache-2.0", name
    assert metadata["Requires-Python"] == ">=3.11", name
    assert metadata["Description-Content-Type"] == "text/markdown", name
    assert str(metadata.get_payload()).startswith("# "), f"{name} has no description"
    tried = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert tried <= set(metadata.get_all("Classifier", [])), (
        f"{name} does not name the versions of Python it is tried on"
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]))
