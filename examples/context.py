"""What an application knows of its questions, told to the cache: structured questions, tags, tenants. Runs offline."""

from llmcache_plugins import QueryContext, open_cache

cache = open_cache("memory://", embedder=None)


def ask(question: str, about: QueryContext) -> str:
    """A model call through the cache."""
    request = cache.request(question, about=about)
    answer: str = cache.get_or_generate(request, lambda: f"made for {request.label}")
    return answer


# A structured question has a readable name, v1:device:interface_status:rtr-001:7716:2026-02-11-14 or so.
# Case and order of its parameters do not count.
uplink = QueryContext("rtr-001", "interface_status", {"Interface": "Gi0/0"}, time_sensitivity="hour")
first = ask("Is the uplink healthy?", uplink)
again = ask("Is the uplink healthy?", QueryContext("RTR-001", "interface_status", {"interface": "gi0/0"}, "hour"))
other = ask("Is the uplink healthy?", QueryContext("rtr-002", "interface_status", {"interface": "gi0/0"}, "hour"))
print(first)
assert first == again != other

# Everything inside of the block belongs to one tenant, depends on one ticket, and is good for a minute.
# Outside of it the answer is not found.
with cache.context(tenant="acme", tags="ticket:INC42", ttl=60):
    cache.update("What is broken?", "The power supply.")
    print(cache.lookup("What is broken?").answer)  # The power supply.
print(cache.lookup("What is broken?").reason)  # no_embedder

# How long an answer lives follows from its question, unless somebody says otherwise.
for question in ("What is OSPF?", "Show BGP status", "What is the CPU load of rtr-001?"):
    cache.update(question, "...")
    entry = cache.lookup(question).entry
    print(f"{entry.profile.volatility:9} {entry.expires_at - entry.created_at:8.0f} s  {question}")

# What depends on a device goes with it.
print(cache.invalidate(tags="device:rtr-001").count, "answers about rtr-001 are gone")
cache.close()
