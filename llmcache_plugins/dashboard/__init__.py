"""A web page over a cache: live numbers, near misses to label, and what is stored.

It stands on the public API of the cache alone, asks nobody outside, and costs a lookup nothing but a line in a queue.
"""

from llmcache_plugins.dashboard.serving import Dashboard, serve_dashboard

__all__ = ["Dashboard", "serve_dashboard"]
