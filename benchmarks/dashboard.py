"""The pictures of docs/dashboard.md: `python -m benchmarks.dashboard` (extra `dev`, and Debian's chromium and
chromium-driver).

The questions of examples/data through a cache with the default embedder, in two hours of a clock that is moved by hand,
so that the curves are the same each time. The model is a function; its tokens are made up.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from llmcache_plugins import Answer, CacheStats, Miss, Request, SemanticCache, Usage, open_cache
from llmcache_plugins.dashboard import Dashboard, serve_dashboard
from llmcache_plugins.telemetry.alerts import AlertRule, Alerts
from llmcache_plugins.testing import FakeClock

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
QUESTIONS = ROOT / "examples" / "data" / "questions.jsonl"
_START, _HOURS = 1_770_000_000.0, 2.0  # wall clock
_MOST_BYTES = 150_000
# The default rule asks for 200 look-ups in a quarter of an hour, which is more than there are.
_RULE = AlertRule(name="LowHitRate", measure="hit_rate", side="below", threshold=0.7, window=3600.0, min_sample=100)
_SHOTS = {  # width, height, scheme
    "dashboard-light.png": (1280, 1420, "light"),
    "dashboard-dark.png": (1280, 1420, "dark"),
    "dashboard-phone.png": (380, 1500, "light"),
    "dashboard-near-misses.png": (1280, 900, "light"),
}
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)


def traffic(cache: SemanticCache, clock: FakeClock, page: Dashboard, alerts: Alerts) -> CacheStats:
    """All questions, some of them in the name of several users, and a reading of the numbers now and then."""
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines() if line.strip()]
    chance = random.Random(7)
    for number, row in enumerate(rows):
        clock.advance(_HOURS * 3600 / len(rows))
        for _ in range(1 + (chance.random() < 0.25)):
            request = Request(row["query"], model="claude-haiku-4-5")
            if isinstance(cache.lookup(request), Miss):
                usage = Usage(chance.randint(300, 900), chance.randint(80, 400))
                seconds = chance.lognormvariate(0.6, 0.4)
                cache.update(request, Answer("made up", usage=usage, generation_seconds=seconds))
        if number % 6 == 0:
            alerts.check()
            page.refresh()
    for row in rows[-60:]:  # asked, and not answered meanwhile: near misses that a label still helps
        clock.advance(5.0)
        cache.lookup(Request(f"Please tell me: {row['query'].rstrip('?')}", model="claude-haiku-4-5"))
    page.refresh()
    return cache.stats()


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window, with a new profile."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            yield chrome
        finally:
            chrome.quit()


def shoot(chrome: Any, name: str, url: str, width: int, height: int, scheme: str) -> bytes:
    """A PNG of what is seen, in 128 colours: it is text, lines and areas. For the one of near misses a label is
    given."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chrome.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
    chrome.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    chrome.get(url)
    drawn = "return document.querySelectorAll('canvas').length === 4 && document.querySelector('#near-list [data-id]')"
    WebDriverWait(chrome, 60).until(lambda driver: driver.execute_script(drawn))
    if "near-misses" in name:
        chrome.find_element("xpath", "//ol[@id='near-list']//button[text()='Right']").click()
        labelled = "return document.querySelector('#near-list .outcome')"
        WebDriverWait(chrome, 60).until(lambda driver: driver.execute_script(labelled))
        chrome.execute_script("document.getElementById('near-misses').scrollIntoView()")
    chrome.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    picture, small = Image.open(BytesIO(chrome.get_screenshot_as_png())), BytesIO()
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    clock = FakeClock(_START)
    with (
        open_cache("memory://", clock=clock, namespace="handbook") as cache,
        serve_dashboard(cache, alerts=(alerts := Alerts(cache, [_RULE], sinks=(), clock=clock)), interval=3600) as page,
        browser() as chrome,
    ):
        stats = traffic(cache, clock, page, alerts)
        print(f"{stats.hit_count} hits, {stats.miss_count} misses")
        for name, (width, height, scheme) in _SHOTS.items():
            content = shoot(chrome, name, page.url, width, height, scheme)
            assert len(content) < _MOST_BYTES, (name, len(content))
            (DOCS / name).write_bytes(content)
            print(f"{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
