"""Warming: questions from a log, an inventory and an event, within a budget; a refresh; an analysis.

Runs offline: `python examples/warming.py`
"""

from llmcache_plugins import Answer, Usage, open_cache
from llmcache_plugins.warming import Budget, LogRow, after_discovery, from_event, from_topology, top_questions

asked = []


def generate(question):
    """Stands for a model: 200 tokens in, 100 out."""
    text = question if isinstance(question, str) else question.text
    asked.append(text)
    return Answer(f"the answer to {text!r}", usage=Usage(input_tokens=200, output_tokens=100))


def cost_of(usage):
    return (usage.input_tokens * 3 + usage.output_tokens * 15) / 1_000_000


cache = open_cache("memory://", embedder=None)

# 1. The most frequent questions of a log, then one question for each device, the most wanted first.
log = [LogRow("What is BGP?", count=40), LogRow("what is bgp", count=5), LogRow("How do I reset a port?", count=12)]
templates, inventory = (
    ["Show interfaces on {device}", "Show BGP summary of {device}"],
    {"device": ["rtr-001", "rtr-002"]},
)
questions = top_questions(log, 10) + from_topology(templates, inventory)
report = cache.warm(questions, generate, concurrency=1, budget=Budget(money=0.009), cost_of=cost_of, resume="first")
print(report.warmed, report.remaining, report.stopped)  # 4 2 money
print(asked[0])  # What is BGP?

# 2. The next run goes on where the budget ended.
report = cache.warm(questions, generate, resume="first")
print(report.warmed, report.skipped)  # 2 4
print(cache.lookup("what is bgp").kind)  # normalised

# 3. A discovery finds a device: only what is new is asked. An event raises its questions.
found = {"device": ["rtr-001", "rtr-002", "rtr-003"]}
print(cache.warm(after_discovery(templates, found, inventory), generate).warmed)  # 2
print(cache.warm(from_event("high_cpu", {"device": "rtr-001"}), generate).warmed)  # 3

# 4. A refresh: what expires within a week and was read (definitions live 7 days unless you say otherwise).
refresh = cache.expiring(within=7 * 86400)
print([one.text for one in refresh.questions], refresh.unread)  # ['What is BGP?'] 10
print(cache.warm(refresh.questions, generate, fresh_for=7 * 86400).warmed)  # 1

# 5. How the cache does: tables, and what might be changed.
print(cache.analyze(with_text=True))
