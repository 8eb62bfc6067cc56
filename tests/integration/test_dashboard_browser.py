"""The dashboard in a real browser: it shows the numbers, its buttons work, and everybody can use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, Request, SemanticCache, open_cache
from llmcache_plugins.dashboard import Dashboard, serve_dashboard
from llmcache_plugins.testing import FakeEmbedder

pytestmark = pytest.mark.slow

SECONDS = 60.0  # a machine may be busy; nothing here takes one of them when it is not
STORED, ASKED, REWORDED = "Show rtr-001", "Show rtr-002", "Display rtr-001"
MARKUP = "<img src=x onerror=document.title='hacked'> rtr-001"
EXAMPLE = (  # query type, hits, misses
    ("bgp_queries", 50, 10),
    ("device_queries", 30, 20),
    ("troubleshooting", 10, 25),
    ("config_queries", 40, 5),
)


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    """A near miss that a guard vetoed, and a hit by meaning."""
    groups = dict.fromkeys((STORED, ASKED, REWORDED), "r")
    with open_cache("memory://", embedder=FakeEmbedder(groups)) as cache:
        for question in (STORED, "else"):
            cache.update(question, "up")
        yield cache


@pytest.fixture
def page(cache: SemanticCache) -> Iterator[Dashboard]:
    with serve_dashboard(cache, interval=0.2) as page:
        assert isinstance(cache.lookup(REWORDED), Hit)
        assert isinstance(cache.lookup(ASKED), Miss)
        yield page


@pytest.fixture
def see(browser: Any) -> Iterator[Callable[..., Any]]:
    """`see(script)` waits until the script gives something true, and gives it back. At the end nothing may have been
    complained about, and nothing may have been asked of anybody else."""
    from selenium.webdriver.support.ui import WebDriverWait

    def see(script: str, *given: Any) -> Any:
        return WebDriverWait(browser, SECONDS, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script, *given), f"never true: {script}"
        )

    yield see
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    own = browser.execute_script("return location.origin")
    assert asked
    assert [address for address in asked if not address.startswith(f"{own}/")] == []
    browser.get("about:blank")
    assert browser.get_log("browser") == []


def rows_of(browser: Any, name: str) -> list[str]:
    """Those of a table, all at one moment."""
    script = "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map((row) => row.innerText)"
    return [" ".join(row.split()) for row in browser.execute_script(script, name)]


def test_labels_are_obeyed_by_the_next_lookup(
    browser: Any, cache: SemanticCache, page: Dashboard, see: Callable[..., Any]
) -> None:
    browser.get(page.url)
    near = see("return document.querySelector('#near-list li[data-id]')")
    assert "vetoed by numbers, identifiers" in near.text
    assert ASKED in near.text
    near.find_element("xpath", ".//button[text()='Right']").click()
    see("return document.querySelector('#near-list .outcome.right')?.textContent.includes('look-up is a hit')")
    hit = cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert hit.matched_question == STORED

    button = f"#hits-list button[aria-label='Wrong: {REWORDED}']"
    see("return document.querySelector(arguments[0])", button).click()
    see("return document.querySelector('#hits-list .outcome.wrong')")
    assert isinstance(cache.lookup(REWORDED), Miss)
    see("return document.getElementById('wrong').textContent === '1'")


def test_the_numbers_of_the_example_are_live(browser: Any, see: Callable[..., Any]) -> None:
    with open_cache("memory://", embedder=None) as cache, serve_dashboard(cache, interval=0.2) as page:
        browser.get(page.url)
        see("return document.getElementById('lookups').textContent === '0'")
        for name, hits, misses in EXAMPLE:
            cache.update(request := Request(name, query_type=name), "x")
            for number in range(max(hits, misses)):
                if number < hits:
                    assert isinstance(cache.lookup(request), Hit)
                if number < misses:
                    assert isinstance(cache.lookup(Request(f"{name} {number}", query_type=name)), Miss)
        see("return document.getElementById('lookups').textContent === '190'")  # without asking for the page again
        shown = see("return document.getElementById('lookups-more').textContent")
        assert shown == "130 hits, 60 misses, 0 past the cache"
        assert see("return document.getElementById('hit-rate').textContent") == "68.4 %"
        assert rows_of(browser, "types-table") == [
            "config_queries 40 5 88.9 %",
            "bgp_queries 50 10 83.3 %",
            "device_queries 30 20 60.0 %",
            "troubleshooting 10 25 28.6 %",
        ]
        for chart in ("rate", "money", "latency"):
            see("return document.querySelector(`#${arguments[0]}-chart canvas`)", chart)
        browser.execute_script("document.querySelector('#latency-table').closest('details').open = true")
        see("return document.querySelector('#latency-table tbody')")
        assert sum(int(row.split()[-3]) for row in rows_of(browser, "latency-table")) == 130


def test_it_works_by_keyboard_and_everything_has_a_name(
    browser: Any, cache: SemanticCache, page: Dashboard, see: Callable[..., Any]
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get(page.url)
    see("return document.querySelector('#near-list li[data-id]') && document.querySelector('#near-chart canvas')")
    for node in browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
        role = node.get("role", {}).get("value")
        if role in ("button", "textbox", "combobox", "image", "table", "link", "region", "dialog"):
            assert node.get("name", {}).get("value"), node
    seen = set()
    for _ in range(60):  # every button can be reached with the tab key alone, and is seen where it is
        ActionChains(browser).send_keys(Keys.TAB).perform()
        name = browser.execute_script("const a = document.activeElement; return a.ariaLabel || a.textContent")
        seen.add(name)
        if name == f"Right: {ASKED}":
            assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
            ActionChains(browser).send_keys(Keys.ENTER).perform()
            break
    assert {"Pause", f"Right: {ASKED}", "Near misses"} <= seen
    see("return document.querySelector('#near-list .outcome.right')")
    assert isinstance(cache.lookup(ASKED), Hit)


def test_a_phone_shows_one_column_and_scrolls_down_alone(
    browser: Any, page: Dashboard, see: Callable[..., Any]
) -> None:
    size = {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    try:
        browser.get(page.url)
        see("return document.querySelector('#near-list li[data-id]') && document.querySelector('#rate-chart canvas')")
        assert see("return document.documentElement.scrollWidth") <= 380
        lefts = browser.execute_script(
            "return [...document.querySelectorAll('.charts > figure')].map((one) => one.getBoundingClientRect().left)"
        )
        assert len(set(lefts)) == 1
        background = "return getComputedStyle(document.body).backgroundColor"
        light = see(background)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        assert see(background) != light
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_questions_are_texts_whatever_they_hold(
    browser: Any, cache: SemanticCache, page: Dashboard, see: Callable[..., Any]
) -> None:
    cache.update(MARKUP, json.dumps(MARKUP))
    browser.get(page.url)
    entry = see("return document.querySelector('#entries-list li[data-id]:last-child')")
    assert MARKUP in entry.text
    entry.find_element("xpath", ".//button[text()='Stored answer']").click()
    see("return document.querySelector('#entries-list pre')?.textContent.includes('onerror')")
    entry.find_element("xpath", ".//button[text()='Explain']").click()
    see("return document.getElementById('explanation').textContent.includes('hit (exact)')")
    assert see("return document.getElementById('explain-where').textContent.includes('onerror')")
    entry.find_element("xpath", ".//button[text()='Invalidate']").click()
    see("return document.getElementById('sure').open")
    browser.find_element("xpath", "//dialog//button[text()='Remove it']").click()
    see("return document.getElementById('said').textContent === 'Removed.'")
    assert isinstance(cache.lookup(MARKUP), Miss)
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert browser.title == "llmcache"


def test_a_token_opens_the_page_and_leaves_the_address(
    browser: Any, cache: SemanticCache, see: Callable[..., Any]
) -> None:
    with serve_dashboard(cache, token="0123456789abcdef", interval=0.2) as page:
        browser.get(page.url)
        see("return document.getElementById('state').textContent === 'Live'")
        assert "token" not in browser.current_url
        browser.refresh()
        see("return document.getElementById('state').textContent === 'Live'")
        assert browser.execute_script("return document.cookie") == ""
