"""How a chain streams: what its last part is."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableParallel, RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.passthrough import RunnableAssign

__all__ = ["streams_by_key", "streams_states"]


def streams_by_key(chain: Any) -> bool:
    """Does it stream a dict by parts that add up?"""
    return isinstance(_last(chain), RunnableParallel | RunnableAssign)


def streams_states(chain: Any) -> bool:
    """Is it a graph, of which the stream is not its output in pieces, but what happens to its state?"""
    return any(base.__module__.startswith("langgraph.") for base in type(_last(chain)).__mro__)


def _last(chain: Any) -> Any:
    while True:
        if isinstance(chain, RunnableSequence):
            chain = chain.last
        elif isinstance(chain, RunnableBindingBase):
            chain = chain.bound
        elif isinstance(chain, RunnableWithFallbacks):
            chain = chain.runnable
        else:
            return chain
