"""docs/adaptive.md: its blocks run, and its table says the defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from llmcache_plugins import open_cache
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.matching.learner import BURST, LOAN

PAGE = (Path(__file__).parent.parent.parent / "docs" / "adaptive.md").read_text(encoding="utf-8")


def test_blocks_run() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/adaptive.md", "exec"), names)
        names["cache"].close()
    assert names["same_state"]('{"state": "up"}', '{"state": "up", "since": 3}')


def test_table_says_the_defaults() -> None:
    defaults = CacheConfig()
    for name in ("policy", "max_error_rate", "shadow_rate", "answer_similarity"):
        value = getattr(defaults, name)
        said = f'`"{value}"`' if isinstance(value, str) else f"{float(value):g}"
        assert f"| `{name}` | {said} |" in PAGE


def test_promise_says_what_the_code_allows() -> None:
    assert f"of the requests so far, or {LOAN:g}, whichever is more" in PAGE
    assert f"the {LOAN / 0.01:,.0f}th at 1 %, the {LOAN / 0.05:,.0f}th at 5 %" in PAGE
    assert f"of the requests, and the first {BURST}." in PAGE


def test_explanation_says_it_as_the_page_does() -> None:
    with open_cache("memory://", policy="adaptive") as cache:
        cache.update("How do I check the BGP status of rtr-001?", "It is up.")
        said = str(cache.explain("How can I see the BGP status of rtr-001?"))
    pattern = r"would be sent to the model as a check in \d+% of cases"
    assert re.search(pattern, said)
    assert re.search(pattern, PAGE)
