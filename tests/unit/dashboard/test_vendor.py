"""The files of others are what the page about them says."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import llmcache_plugins.dashboard as dashboard

FOLDER = Path(dashboard.__file__).parent / "vendor"


def test_they_are_unchanged_and_come_with_their_licence() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", text, flags=re.MULTILINE))
    found = {path.name for path in FOLDER.iterdir() if path.suffix in (".js", ".css")}
    assert found == set(listed)
    for name, digest in listed.items():
        assert sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (FOLDER / "uPlot.LICENSE").read_text(encoding="utf-8")
