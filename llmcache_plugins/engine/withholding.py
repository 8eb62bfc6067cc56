"""A lookup whose answer is not served: what would have been is all that it finds out."""

from __future__ import annotations

from llmcache_plugins.engine.flow import Flow, Found, NotFound
from llmcache_plugins.engine.joining import Joined, Seeker, with_sequence
from llmcache_plugins.types import MissReason

__all__ = ["withhold_flow"]


def withhold_flow(seeker: Seeker, *, lead: bool) -> Flow[Joined]:
    """A lookup of the control group. It neither leads nor follows: a call that several share would be what the cache
    does, and the group is there to show what is without it.

    All else is as if the answer were served: its read is counted and its wording remembered, so that entries stay,
    move and leave as they would.
    """
    found = yield from seeker.look(takes_stale=lead)
    if isinstance(found, Found):
        is_renewed = lead and seeker.spare(found) is not None
        found = NotFound(MissReason.WITHHELD, is_control=True, withheld=found, is_renewed=is_renewed)
    elif lead and found.stale is not None:
        found = NotFound(MissReason.WITHHELD, is_control=True, withheld=found.stale, is_renewed=True)
    else:
        found = found._replace(is_control=True)
    return (yield from with_sequence(seeker, Joined(found)))
