"""Through the Anthropic SDK: a hit, and what a miss costs beside a client without a cache (`python -m benchmarks.sdk`).

The model is the loopback server, which answers at once: what is measured is the SDK, HTTP and the cache.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import anthropic

from benchmarks.machine import describe
from benchmarks.timing import Case, Group, measure
from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.testing import FakeAnthropic

__all__ = ["main", "through_sdk"]

_NO_CACHE, _MISS, _HIT = "no cache", "miss", "hit"
_CALLS = 20  # in one round
_numbers = itertools.count()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for `create` and one for `stream`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40, help=f"of {_CALLS} calls each")
    options = parser.parse_args(arguments)
    for name, value in {**describe(), "SDK": f"anthropic {anthropic.__version__}"}.items():
        print(f"{name}: {value}")
    for group in through_sdk(options.rounds):
        print(f"\n| {group.title} | ms, median | ms, quartiles | beside no cache |\n| --- | ---: | ---: | ---: |")
        for timing in group.timings:
            low, middle, high = (f"{seconds * 1000:.2f}" for seconds in (timing.low, timing.seconds, timing.high))
            print(f"| {timing.name} | {middle} | {low} to {high} | {timing.ratio:.2f} |")
    return 0


def through_sdk(rounds: int) -> Iterator[Group]:
    """`create` and `stream`, each without a cache, on a miss and on an exact hit."""
    for title, ask in (("`messages.create`", _create), ("`messages.stream`", _stream)):
        with ExitStack() as stack:
            server = stack.enter_context(FakeAnthropic())
            plain = stack.enter_context(anthropic.Anthropic(api_key="test", base_url=server.base_url))
            cache = stack.enter_context(closing(open_cache("memory://", embedder=None)))
            yield _measured(title, partial(ask, plain), partial(ask, cache_client(plain, cache)), cache, rounds)


def _measured(
    title: str, plain: Callable[[str], Any], cached: Callable[[str], Any], cache: SemanticCache, rounds: int
) -> Group:
    cached(_KNOWN)
    cases = [
        Case(_NO_CACHE, plain, _new, lambda message: not _is_hit(message)),
        Case(_MISS, cached, _new, lambda message: not _is_hit(message)),
        Case(_HIT, cached, lambda: [_KNOWN] * _CALLS, _is_hit),
    ]
    group = measure("sdk", title, cases, rounds=rounds)
    if cache.stats().errors:
        raise RuntimeError("the cache had errors: these are no numbers of its work")
    return group


_KNOWN = "What does a route reflector do?"


def _new() -> list[str]:
    return [f"What does route reflector {next(_numbers)} do?" for _ in range(_CALLS)]


def _body(question: str) -> dict[str, Any]:
    turn = {"role": "user", "content": question}
    return {"model": "claude-haiku-4-5", "max_tokens": 300, "messages": [turn]}


def _create(client: anthropic.Anthropic, question: str) -> Any:
    return client.messages.create(**_body(question))


def _stream(client: anthropic.Anthropic, question: str) -> Any:
    with client.messages.stream(**_body(question)) as stream:
        return stream.get_final_message()


def _is_hit(message: Any) -> bool:
    return "llmcache" in message.usage.to_dict()


if __name__ == "__main__":
    raise SystemExit(main())
