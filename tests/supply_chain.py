"""What the package brings with it: `make audit` and `make sbom`.

    supply_chain.py audit PYTHON   licences, versions that go together, known vulnerabilities of what is installed there
    supply_chain.py sbom PYTHON    dist/sbom.cdx.json of it (CycloneDX), held against pyproject.toml

PYTHON is the interpreter of an environment with the runtime extras; the tools (pip-audit, cyclonedx-bom) stand in the
one that runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "dist" / "sbom.cdx.json"
OURS = {"llmcache-plugins", "llmcache-plugins-models"}
# What may be shipped beside an Apache-2.0 package: permissive licences, and MPL-2.0, which binds its own files alone.
ALLOWED = (
    r"0BSD|AFL-?[\d.]*|Academic Free License.*|AFL|Apache[- ]2\.0|Apache Software License|Apache License.*"
    r"|BSD|BSD License|3-Clause BSD License|BSD-[23]-Clause|CC0-1\.0|CNRI-Python|ISC|ISC License.*|ISCL|MIT|MIT License"
    r"|MIT-0|MIT-CMU|MPL-2\.0|Mozilla Public License 2\.0.*|PSF-2\.0|PSFL"
    r"|Python Software Foundation License|Unlicense|Zlib"
)
_SAID = """
import importlib.metadata, json
rows = []
for found in importlib.metadata.distributions():
    about = found.metadata
    classes = [one.split(" :: ")[-1] for one in about.get_all("Classifier") or [] if one.startswith("License ::")]
    rows.append([found.name, found.version, about.get("License-Expression") or "", about.get("License") or "", classes])
print(json.dumps(rows))
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def refused(expression: str, text: str, classes: Iterable[str]) -> str | None:
    """What of a package's licences is not on the list; None when all is. The expression counts before the words."""
    said = [expression] if expression else [*classes] or [text.split("\n")[0]]
    named = [one.strip() for line in said for one in re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", line)]
    named = [one for one in named if one and one != "MPL 2.0"]  # what the classifier of MPL-2.0 has in brackets
    if not named:
        return "no licence"
    return next((one for one in named if not re.fullmatch(ALLOWED, one)), None)


def licences(python: str) -> list[str]:
    """What is wrong with the licences of an environment."""
    rows = json.loads(subprocess.check_output([python, "-c", _SAID], text=True))
    found = {name: refused(expression, text, classes) for name, _, expression, text, classes in rows}
    return [f"{name}: {why} is not on the list of licences" for name, why in sorted(found.items()) if why]


def judged(dependencies: Iterable[Mapping[str, Any]]) -> tuple[list[str], str | None]:
    """Vulnerabilities in pip-audit's words, and why nothing is known; some that nobody knows count as vulnerable."""
    rows = [row for row in dependencies if normal(row["name"]) not in OURS]
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    if len(skipped) == len(rows):
        return [], "the vulnerability service knows none of the packages: it was not reached"
    wrong = [f"{row['name']} {row['version']}: {one['id']}" for row in rows for one in row.get("vulns", ())]
    return [*wrong, *(f"{name}: not audited" for name in skipped)], None


def vulnerabilities(python: str) -> tuple[list[str], str | None]:
    frozen = subprocess.check_output([python, "-m", "pip", "list", "--format=freeze"], text=True)
    kept = [line for line in frozen.splitlines() if normal(line.partition("==")[0]) not in {*OURS, "pip", "setuptools"}]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(kept))
        file.flush()
        command = ["pip_audit", "-r", file.name, "--no-deps", "--disable-pip", "-f", "json", "--progress-spinner=off"]
        done = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True)
    try:
        return judged(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        return [], "pip-audit had no answer: " + (done.stderr.strip().splitlines() or ["nothing said"])[-1][:200]


def audit(python: str) -> int:
    wrong = licences(python)
    checked = subprocess.run([python, "-m", "pip", "check"], check=False, capture_output=True, text=True)
    wrong += checked.stdout.splitlines() if checked.returncode else []
    vulnerable, unknown = vulnerabilities(python)
    wrong += vulnerable
    if unknown is not None:
        print(f"NOT AUDITED for vulnerabilities: {unknown}", file=sys.stderr)
        wrong += [unknown] if os.environ.get("LLMCACHE_REQUIRE_AUDIT") else []
    print("\n".join(wrong) or "licences and versions: nothing wrong")
    return 1 if wrong else 0


def declared() -> set[str]:
    """The packages that the runtime extras (`all`) ask for by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras, found, todo = (
        project["optional-dependencies"],
        set[str](),
        [*project["dependencies"], "llmcache-plugins[all]"],
    )
    while todo:
        name, inner = re.match(r"([\w.-]+)(?:\[([\w,\s-]+)\])?", todo.pop()).groups()  # type: ignore[union-attr]
        if normal(name) == "llmcache-plugins":
            todo += [line for extra in (inner or "").split(",") if extra for line in extras[extra.strip()]]
        else:
            found.add(normal(name))
    return found


def sbom(python: str) -> int:
    SBOM.parent.mkdir(exist_ok=True)
    command = [
        "cyclonedx_py",
        "environment",
        python,
        "--pyproject",
        str(ROOT / "pyproject.toml"),
        "--mc-type",
        "library",
    ]
    options = ["--output-reproducible", "--validate", "--of", "JSON", "-o", str(SBOM)]
    subprocess.run([sys.executable, "-m", *command, *options], check=True)
    content = json.loads(SBOM.read_text(encoding="utf-8"))
    missing = sorted(declared() - {normal(part["name"]) for part in content["components"]})
    if content["bomFormat"] != "CycloneDX" or missing:
        print(f"{SBOM} lacks {', '.join(missing)}", file=sys.stderr)
        return 1
    print(f"{SBOM.relative_to(ROOT)}: {len(content['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit({"audit": audit, "sbom": sbom}[sys.argv[1]](sys.argv[2]))
