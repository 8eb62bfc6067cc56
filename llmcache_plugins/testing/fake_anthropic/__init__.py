"""A fake of the Anthropic Messages API on the loopback interface, faithful enough for the SDKs (standard library only).

    with FakeAnthropic() as server:
        anthropic.Anthropic(api_key="test", base_url=server.base_url)
        ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url)
        assert server.count() == 1

`python -m llmcache_plugins.testing.fake_anthropic` serves it until Ctrl-C.
"""

from llmcache_plugins.testing.fake_anthropic.server import FakeAnthropic, ScriptedAnswer
from llmcache_plugins.testing.fake_anthropic.wire import APIError

__all__ = ["APIError", "FakeAnthropic", "ScriptedAnswer"]
