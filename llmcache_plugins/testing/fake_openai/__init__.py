"""A fake of OpenAI's chat-completions API on the loopback interface, faithful enough for its clients.

    with FakeOpenAI() as server:
        openai.OpenAI(api_key="test", base_url=server.base_url)
        ChatOpenAI(model="gpt-4.1-mini", api_key="test", base_url=server.base_url)
        assert server.count() == 0

It needs the standard library only. `python -m llmcache_plugins.testing.fake_openai` serves it until Ctrl-C.
"""

from llmcache_plugins.testing.fake_openai.server import FakeOpenAI, ScriptedAnswer
from llmcache_plugins.testing.fake_openai.wire import APIError

__all__ = ["APIError", "FakeOpenAI", "ScriptedAnswer"]
