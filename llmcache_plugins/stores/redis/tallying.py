"""Small texts under names that change all or none: what processes have counted."""

from __future__ import annotations

from collections.abc import Mapping

from llmcache_plugins.stores.redis.commands import Argument, Flow
from llmcache_plugins.stores.redis.core import Core, pairs_of
from llmcache_plugins.stores.redis.layout import encoded

__all__ = ["Tallies"]


class Tallies(Core):
    """The verbs about them. They are no edits: nobody's copy depends on them."""

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> Flow[bool]:
        kept = {name: text for name, text in changes.items() if text is not None}
        dropped = [encoded(name) for name in changes.keys() - kept.keys()]
        args: list[Argument] = [len(expected), len(kept)]
        for name, text in expected.items():
            args += (encoded(name), "0" if text is None else "1", encoded(text or ""))
        for name, text in kept.items():
            args += (encoded(name), encoded(text))
        (done,) = yield [self.call("tally", *args, *dropped)]
        return bool(done)

    def tallies(self) -> Flow[dict[str, str]]:
        (reply,) = yield [("HGETALL", self.layout.key("tallies"))]
        return {
            name.decode("utf-8", "surrogatepass"): text.decode("utf-8", "surrogatepass")
            for name, text in sorted(pairs_of(reply).items())
        }
