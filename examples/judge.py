"""A judge for the grey zone: a small model is asked where similarity alone does not decide, within a budget.

Runs offline: a loopback server plays the Anthropic API, and a fake embedder says which questions are near.
`pip install 'llmcache-plugins[anthropic]'`, then `python examples/judge.py`
"""

import re

import anthropic

from llmcache_plugins import Judgement, open_cache
from llmcache_plugins.anthropic import AnthropicJudge
from llmcache_plugins.testing import FakeAnthropic, FakeEmbedder

STORED = "How do I reset my password?"
SAME, OTHER, AGAIN = "Forgot my login, what now?", "How do I change my address?", "My login is gone, help!"
near = FakeEmbedder(dict.fromkeys((STORED, SAME, OTHER, AGAIN), "account"), similarity=0.9)  # near, but not sure


def claude(body):
    """What a real model would say: the word for yes where both questions are about a lost login."""
    question = body["messages"][0]["content"]
    word = "NO" if "address" in question else "YES"
    return {"content": [{"type": "text", "text": re.search(rf"{word}-\w+", body["system"])[0]}]}


# 1. Claude as the judge. In your program the client is `anthropic.Anthropic()`.
with FakeAnthropic() as server, anthropic.Anthropic(api_key="test", base_url=server.base_url) as client:
    server.handler = claude
    judge = AnthropicJudge(client, model="claude-haiku-4-5", price=(1.0, 5.0))  # US$ for a million tokens in and out
    with open_cache("memory://", embedder=near, judge=judge, judge_budget=2.0) as cache:  # 2 US$ a day
        cache.update(STORED, "With the link under the sign-in form.")
        print(cache.lookup(SAME).kind)  # semantic
        print(cache.lookup(SAME).kind)  # alias
        print(cache.lookup(OTHER).reason)  # low_confidence
        cache.lookup(OTHER)  # the verdict is remembered
        stats = cache.stats()
        print(stats.judge_calls, stats.judged)  # 2 {'yes': 1, 'no': 1, 'known': 1}
        print(0.0 < stats.judge_cost < 0.002)  # True


# 2. A judge of your own: any function. It says what it cost where a budget is to count it.
def ours(request, entry):
    return Judgement("login" in request.text, cost=0.01)


with open_cache("memory://", embedder=near, judge=ours, judge_budget=0.015, judge_timeout=2.0) as cache:
    cache.update(STORED, "With the link under the sign-in form.")
    print(cache.lookup(SAME).kind)  # semantic
    print(cache.lookup(AGAIN).reason)  # low_confidence
    print(cache.stats().judged)  # {'yes': 1, 'budget': 1}
