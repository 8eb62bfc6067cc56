"""Coverage-guided fuzzing of every target: `make fuzz`, `python -m fuzz [target] [seconds each]`; takes atheris.

Each target runs in a process of its own. What broke it is left in the folder `fuzz/found`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import atheris

_FOUND = Path(__file__).parent / "found"
_PACKAGES = ["llmcache_plugins"]


def _run(name: str, seconds: str) -> None:
    """In this process; libFuzzer ends it."""
    with atheris.instrument_imports(include=_PACKAGES):
        from fuzz.targets import SEEDS, TARGETS
    corpus = _FOUND / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name, [])):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=8192", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={_FOUND}/{name}-", str(corpus)], TARGETS[name])
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    if len(arguments) == 3 and arguments[0] == "run":
        _run(*arguments[1:])
    from fuzz.targets import TARGETS

    seconds = next((one for one in arguments if one.isdigit()), "20")
    names = [one for one in arguments if not one.isdigit()] or list(TARGETS)
    failed = []
    for name in names:
        command = [sys.executable, "-m", "fuzz", "run", name, seconds]
        code = subprocess.run(command, check=False, cwd=_FOUND.parents[1]).returncode
        print(f"{name}: {'no crash' if code == 0 else 'CRASHED, see fuzz/found'}", flush=True)
        failed += [name] if code else []
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
