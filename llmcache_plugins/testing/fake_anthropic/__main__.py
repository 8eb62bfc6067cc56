"""`python -m llmcache_plugins.testing.fake_anthropic`: serve the fake API until Ctrl-C."""

from __future__ import annotations

from llmcache_plugins.testing.fake_anthropic.server import FakeAnthropic
from llmcache_plugins.testing.loopback import serve_by_hand


def main() -> None:
    serve_by_hand(FakeAnthropic, "the Anthropic Messages API", "ANTHROPIC_BASE_URL", port=8765)


if __name__ == "__main__":
    main()
