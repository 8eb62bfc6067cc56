"""Of two layers that are both active, only the outer one looks up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from time import monotonic

from llmcache_plugins.engine.layers import aeach_inside, each_inside, enter_until, inside, is_inside, leave


def test_only_what_runs_in_the_block_is_inside() -> None:
    assert not is_inside()
    with inside():
        assert is_inside()
        with inside():
            assert is_inside()
        assert is_inside()
    assert not is_inside()


def test_a_stream_is_inside_while_it_works_and_its_consumer_is_not() -> None:
    seen = []
    closed = []

    def pieces() -> Iterator[int]:
        try:
            for number in range(3):
                seen.append(is_inside())
                yield number
        finally:
            closed.append(True)

    consumer = []
    for number in each_inside(pieces()):
        consumer.append(is_inside())
        if number == 1:
            break
    assert (seen, consumer) == ([True, True], [False, False])
    assert closed == [True]


async def test_an_asynchronous_stream_too() -> None:
    seen = []

    async def pieces() -> AsyncIterator[int]:
        for number in range(2):
            await asyncio.sleep(0)
            seen.append(is_inside())
            yield number

    consumer = [is_inside() async for _ in aeach_inside(pieces())]
    assert (seen, consumer) == ([True, True], [False, False])


async def test_tasks_and_threads_with_a_copied_context_are_inside() -> None:
    found = []
    with inside():
        task = asyncio.create_task(asyncio.to_thread(lambda: found.append(is_inside())))
        context = contextvars.copy_context()
    await task
    thread = threading.Thread(target=lambda: found.append(context.run(is_inside)))
    thread.start()
    thread.join()
    assert found == [True, True]
    assert not is_inside()


def test_a_layer_that_does_not_make_the_call_marks_until_it_is_over() -> None:
    enter_until(monotonic() + 60)
    assert is_inside()
    leave()
    assert not is_inside()
    enter_until(monotonic() - 1)  # nobody said how that call ended
    assert not is_inside()
    leave()


def test_what_a_layer_marked_itself_does_not_count_for_it() -> None:
    owner = object()
    enter_until(monotonic() + 60, owner)
    assert is_inside()
    assert is_inside(object())
    assert not is_inside(owner)
    with inside():
        assert is_inside(owner)
        leave()  # the block's own mark is not undone
        assert is_inside(owner)
    leave(object())
    assert is_inside()
    leave(owner)
    assert not is_inside()


async def test_who_hears_of_the_end_in_a_child_task_unmarks_the_caller_too() -> None:
    enter_until(monotonic() + 60)
    await asyncio.create_task(_leaving())
    assert not is_inside()


async def _leaving() -> None:
    leave()
