"""What a process knows of a database: which one it is, how far it heard of its changes, and what of that is sure."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from llmcache_plugins.stores.codec import VectorType
from llmcache_plugins.stores.redis.commands import Reply
from llmcache_plugins.stores.redis.layout import Layout

__all__ = ["Hearing", "as_int"]

_MOST_CHANGED = 20_000


class Told(Protocol):
    """Keeps something that changes make untrue."""

    def changed(self, address: bytes) -> None:
        """Something about this entry or alias may have changed."""
        ...

    def forget(self) -> None:
        """Nothing that is known is certain any more."""
        ...


F = TypeVar("F", bound=Told)


class Hearing(Generic[F]):
    """Versions of copies, and whether they are still good. Threads may share it.

    Args:
        finder: told of what changes.
    """

    def __init__(self, layout: Layout, finder: F) -> None:
        self.layout = layout
        self._finder = finder
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child locks may be held by threads that do not live there."""
        self._lock = Lock()
        self._id = b""
        self._vectors: VectorType | None = None  # how this database keeps them
        self._edits = 0
        self._returns = 0  # how often it went back to an earlier state
        self._is_gone = False
        self._is_lost = False  # and nothing was done about it yet
        self._sequence = 0
        self._changes = -1
        self._changed_at: OrderedDict[bytes, int] = OrderedDict()  # edits at which an entry changed, latest last
        self._notes_heard = 0
        self._heard_since: float = math.inf  # edits from which on each change was heard
        self._finder.forget()

    def saw(self, identity: bytes, edits: Reply) -> None:
        """The server is this database, and had so many edits."""
        number = as_int(edits)
        with self._lock:
            is_lost = identity != self._id and bool(self._id and identity)
            if not identity:  # nothing was ever written, or all is gone; or this reply is older than what was
                self._returns += not self._is_gone
                self._is_gone = True
                return
            if _begun_at(identity) < _begun_at(self._id):
                return  # a reply that is older than another one
            self._is_gone = False
            if identity != self._id:
                self._id, self._edits = identity, number
            else:
                self._edits = max(self._edits, number)
            self._is_lost |= is_lost
        if is_lost:
            self._vectors = None
            self._finder.forget()

    def start(self, identity: bytes, edits: Reply) -> None:
        """As `saw`, on a connection that has just been made: fewer edits than before, and the database went back to an
        earlier state."""
        with self._lock:
            is_earlier = identity == self._id and as_int(edits) < self._edits
            if is_earlier or _begun_at(identity) < _begun_at(self._id):
                self._returns += 1
                self._is_lost |= bool(identity) and identity != self._id
                self._id, self._edits = identity or self._id, as_int(edits)
        self.saw(identity, edits)

    def follow(self, identity: bytes, number: int, edits: Reply, address: bytes, *, is_edit: bool) -> None:
        """A change that the stream of changes tells of.

        Args:
            number: grows by one with each.
            is_edit: a copy of the entry is not good any more.
        """
        at = as_int(edits)
        with self._lock:
            is_gap = number != self._changes + 1 and self._changes >= 0
            self._changes = number
            if is_gap:
                self._heard_since = at
                self._notes_heard += 1
            if is_edit and address:
                self._note_change(address, at)
            elif is_edit:  # a note
                self._notes_heard += 1
        if is_gap:
            self._finder.forget()
        self.saw(identity, edits)
        self._finder.changed(address)

    def lose_track(self) -> None:
        """Changes may have been missed, and may be until `hear`."""
        with self._lock:
            self._changes = -1
            self._heard_since = math.inf
        self._finder.forget()

    def hear(self) -> None:
        """From the edits that were seen last on, each change is heard."""
        with self._lock:
            self._heard_since = self._edits
            self._notes_heard += 1

    def unchanged(self, since: Hashable, scope: str, key: str) -> bool:
        """Was no change of this entry heard since this version, and would it have been?"""
        if not isinstance(since, tuple) or len(since) != 3:
            return False
        identity, returns, edits = since
        if (identity, returns) != (self._id, self._returns) or edits < self._heard_since:
            return False
        return bool(self._changed_at.get(self.layout.address(scope, key), -1) <= edits)

    def notes_version(self) -> Hashable | None:
        """Changes when notes may have changed; None while changes are not heard."""
        with self._lock:
            return None if math.isinf(self._heard_since) else (self._id, self._notes_heard)

    def _note_change(self, address: bytes, edits: int) -> None:
        self._changed_at[address] = edits
        self._changed_at.move_to_end(address)
        if len(self._changed_at) > _MOST_CHANGED:
            _, forgotten = self._changed_at.popitem(last=False)
            self._heard_since = max(self._heard_since, forgotten)

    def _changed_all(self) -> None:
        """This process has just removed whatever there was."""
        with self._lock:
            self._heard_since = max(self._heard_since, self._edits)

    def _changed(self, addresses: Iterable[bytes]) -> None:
        """This process has just written these."""
        with self._lock:
            for address in addresses:
                self._note_change(address, self._edits)
        for address in addresses:
            self._finder.changed(address)

    def known_version(self) -> Hashable:
        with self._lock:
            return self._id, self._returns, self._edits

    def _know_sequence(self, number: int) -> None:
        with self._lock:
            self._sequence = max(self._sequence, number)


def _begun_at(identity: bytes) -> tuple[int, int]:
    """When this database began: its name is that time of the server, seconds and microseconds."""
    seconds, _, micros = identity.partition(b".")
    return as_int(seconds), as_int(micros)


def as_int(value: Reply) -> int:
    """0 for what is absent or no number."""
    try:
        return int(value or 0)
    except ValueError:
        return 0
