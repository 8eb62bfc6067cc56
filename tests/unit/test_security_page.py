"""docs/security-at-rest.md: its settings exist, its code does what the page says, its links lead somewhere."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from llmcache_plugins import CacheConfig, Hit, SemanticCache, open_cache

PATH = Path(__file__).parents[2] / "docs" / "security-at-rest.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_its_code_takes_out_what_it_says() -> None:
    (code,) = [code for language, code in BLOCKS if language == "python"]
    names: dict[str, object] = {}
    exec(compile(code, str(PATH), "exec"), names)
    cache = names["cache"]
    assert isinstance(cache, SemanticCache)
    cache.update("Write to ada@example.org", "a")
    hit = cache.lookup("Write to ada@example.org")
    assert isinstance(hit, Hit)
    assert hit.matched_question == "Write to <address>"
    cache.close()


def test_its_settings_exist() -> None:
    known = {*CacheConfig.names(), *inspect.signature(open_cache).parameters}
    named = set(re.findall(r"`((?:encryption|store|near_miss|regression|embedding_cache)_\w+)", PAGE))
    assert named
    assert named <= known


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
