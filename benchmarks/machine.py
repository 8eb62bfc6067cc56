"""What the numbers were taken on. Nothing that names a person, a host or a path."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe", "load", "resident"]

_PACKAGES = ("numpy", "onnxruntime", "langchain-core", "langchain-anthropic", "langchain-community")


def describe() -> dict[str, str]:
    """For the head of the report."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load average at the start": load(),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "clock": f"perf_counter, {time.get_clock_info('perf_counter').resolution:.0e} s",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def load() -> str:
    """Of the last minute; this program's own work counts one."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def resident() -> int:
    """Bytes of this process that are in memory."""
    with suppress(ImportError):
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # what is free already is nobody's
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
