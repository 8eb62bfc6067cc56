"""What LangChain's two strings were found to mean, so that an exact repeat is not parsed again."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Memo"]

V = TypeVar("V")
_OVERHEAD = 512  # bytes of a record's own objects, roughly
_PARSED = 3  # a parsed prompt takes about this many times its text


class Memo(Generic[V]):
    """(prompt, llm_string) -> value; the least recently used goes first. Safe for threads.

    Args:
        max_bytes: estimated size of all strings and what was parsed from them; a pair that would take more than an
            eighth of it is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._records: OrderedDict[tuple[str, str], tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def get(self, pair: tuple[str, str]) -> V | None:
        with self._lock:
            record = self._records.get(pair)
            if record is None:
                return None
            self._records.move_to_end(pair)
            return record[0]

    def put(self, pair: tuple[str, str], value: V) -> None:
        size = _OVERHEAD + sum(map(sys.getsizeof, pair)) * _PARSED
        if size > self._max_bytes // 8:
            return
        with self._lock:
            previous = self._records.pop(pair, None)
            self._records[pair] = (value, size)
            self.size_bytes += size - (previous[1] if previous else 0)
            while self.size_bytes > self._max_bytes:
                _, (_, gone) = self._records.popitem(last=False)
                self.size_bytes -= gone
