"""Answers that are no longer true: by tag and by meaning, by event, round a change, at a rate, and over HTTP.

Runs offline, with `pip install 'llmcache-plugins[local]'`: `python examples/invalidation.py`
"""

import json
from urllib.request import Request as Post
from urllib.request import urlopen

from llmcache_plugins import EventRule, Miss, Request, open_cache
from llmcache_plugins.events import EventReceiver

rules = [EventRule(event="price_list", tags=("product:{product}",))]
cache = open_cache("memory://", event_rules=rules)
cache.update("Show config for rtr-001", "hostname rtr-001")
cache.update("Show config for rtr-002", "hostname rtr-002")
cache.update("Which interfaces of rtr-001 are down?", "Gi0/3")
cache.update(Request("What does the X-1 cost?", tags=("product:x-1",)), "10")
cache.update("How do I reset my password?", "With the link under the sign-in form.")

# 1. What would go? The profiler has tagged the questions with what they name.
plan = cache.invalidate(tags="device:rtr-001", dry_run=True)
print(plan.count, dict(plan.by_query_type))  # 2 {'configuration': 1, 'status': 1}

# 2. By meaning, in all scopes.
print(cache.invalidate(meaning="How can I reset my password?", similarity=0.8).count)  # 1

# 3. Events: the configuration questions of that device only; and an event of one's own.
print(cache.handle_event("config_change", device="rtr-002", reason="CHG-17").count)  # 1
print(cache.handle_event("price_list", product="X-1").count)  # 1


# 4. Change the device, then forget what was known of it: also when the change raises, and whoever asks meanwhile.
@cache.invalidates("config_change", device=lambda device, commands: device["host"])
def apply_config_change(device, commands):
    cache.lookup("Show config for rtr-001", lead=True)
    return f"{len(commands)} commands applied"


print(apply_config_change({"host": "rtr-001"}, ["router bgp 65001"]))  # 1 commands applied
print(type(cache.lookup("Show config for rtr-001")).__name__)  # Miss

# 5. Many at once, but no more than two new answers in a second: the others are served stale meanwhile.
for number in range(100):
    cache.get_or_generate(Request(f"Neighbours of site {number}", tags=("topology",)), lambda: "old")
report = cache.invalidate(tags="topology", mode="gradual", rate=2)
asked = [cache.lookup(f"Neighbours of site {number}", lead=True) for number in range(100)]
print(report.count, sum(isinstance(one, Miss) for one in asked))  # 100 2
report.cancel()

# 6. Events from a monitor, over HTTP.
with EventReceiver(cache) as receiver:
    body = json.dumps({"event": "device_reboot", "attributes": {"device": "rtr-001"}}).encode()
    told = json.load(urlopen(Post(receiver.url, body, {"Content-Type": "application/json"})))
print(told["count"])  # 1
print(cache.invalidations()[-1].reason)  # device_reboot
cache.close()
