"""`python -m llmcache_plugins.testing.fake_openai`: serve the fake API until Ctrl-C."""

from __future__ import annotations

from llmcache_plugins.testing.fake_openai.server import FakeOpenAI
from llmcache_plugins.testing.loopback import serve_by_hand


def main() -> None:
    serve_by_hand(FakeOpenAI, "OpenAI's chat-completions API", "OPENAI_BASE_URL", port=8766)


if __name__ == "__main__":
    main()
