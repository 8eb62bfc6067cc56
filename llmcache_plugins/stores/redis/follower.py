"""What other processes change, heard as it happens: one thread reads the bucket's stream of changes.

While it hears the server, copies of entries and notes are checked without asking. When the connection is lost, or the
server has been silent for longer than the bound, nobody believes what was heard: each use asks the server itself.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from llmcache_plugins.stores.redis.core import Core
from llmcache_plugins.stores.redis.server import Server

__all__ = ["Follower"]

_log = logging.getLogger(__name__)
_AT_ONCE = 1000
_REST = 0.5  # seconds after a failure
_PAUSE = 0.005  # seconds after changes: each wake costs 0.1 ms, and what comes meanwhile is read together


class Follower:
    """Reads the changes in a thread of its own, with a connection of its own.

    Args:
        server: whom to ask.
        cores: of each bucket; told of its changes.
        bound: seconds after which what was heard counts no more. The server answers at least every third of it.
    """

    def __init__(self, server: Server, cores: Sequence[Core], bound: float = 1.5) -> None:
        self._server = server
        self._cores = tuple(cores)
        self._bound = bound
        self.after_fork()

    def after_fork(self) -> None:
        """A forked child has no thread."""
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._lines: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._heard_at = -float("inf")
        self._is_closed = threading.Event()

    @property
    def is_sure(self) -> bool:
        """Was the server heard a moment ago? Starts to listen when it is asked for the first time."""
        if self._thread is None:
            self._start()
        return time.monotonic() - self._heard_at <= self._bound

    def close(self) -> None:
        """Stop listening."""
        self._is_closed.set()
        self._heard_at = -float("inf")
        self._hang_up()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=self._bound)

    def _hang_up(self) -> None:
        """The thread waits for a server that has nothing to say: who closes a cache shall not wait as well. The sockets
        stay open until their own thread lets them go: their numbers would be given to others while it reads."""
        for line in list(self._lines):
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # past TLS, which is the thread's

    def _connected(self, connection: Any) -> None:
        line = getattr(connection, "_sock", None)
        if isinstance(line, socket.socket):
            self._lines.add(line)
        if not self._server.is_cluster:  # whose client has done so
            connection.on_connect()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None and not self._is_closed.is_set():
                self._thread = threading.Thread(target=self._listen, name="llmcache-follower", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        while not self._is_closed.is_set():
            try:
                with self._server.client(socket_timeout=self._bound, redis_connect_func=self._connected) as client:
                    if len(self._cores) == 1:
                        self._wait_for_changes(client, self._cores[0])
                    else:
                        self._ask_for_changes(client)
            except Exception as error:  # noqa: BLE001  # whatever it is, the thread goes on
                if self._is_closed.is_set():
                    return
                self._heard_at = -float("inf")
                for core in self._cores:
                    core.lose_track()
                _log.debug("changes at %s are not heard (%s)", self._server.where, type(error).__name__)
                self._is_closed.wait(_REST)

    def _wait_for_changes(self, client: Any, core: Core) -> None:
        place = self._begin(client, core)
        stream = core.layout.key("changes")
        block = max(1, int(self._bound * 1000 / 3))
        while not self._is_closed.is_set():
            self._heard_at = time.monotonic()
            reply = client.execute_command("XREAD", "COUNT", _AT_ONCE, "BLOCK", block, "STREAMS", stream, place)
            if reply:
                place = _tell(core, _first_stream(reply))
                self._is_closed.wait(_PAUSE)
            elif not self._is_same(client, core) and place != b"0-0":
                return  # the database began anew, and its stream with it

    def _ask_for_changes(self, client: Any) -> None:
        """The buckets are on several nodes: nobody can wait for all of them at once."""
        places = [self._begin(client, core) for core in self._cores]
        while not self._is_closed.is_set():
            asked_at = time.monotonic()
            for number, core in enumerate(self._cores):
                stream = core.layout.key("changes")
                rows = client.execute_command("XRANGE", stream, b"(" + places[number], "+", "COUNT", _AT_ONCE)
                if rows:
                    places[number] = _tell(core, rows)
                elif not self._is_same(client, core) and places[number] != b"0-0":
                    return
            self._heard_at = asked_at
            self._is_closed.wait(self._bound / 5)

    @staticmethod
    def _begin(client: Any, core: Core) -> bytes:
        """Where the stream ends now. What changed before is not known here."""
        newest = client.execute_command("XREVRANGE", core.layout.key("changes"), "+", "-", "COUNT", 1)
        core.lose_track()
        identity, edits = client.execute_command("HMGET", core.layout.key("state"), "id", "edits")
        core.start(identity or b"", edits)
        core.hear()
        return _entries(newest)[0][0] if newest else b"0-0"

    @staticmethod
    def _is_same(client: Any, core: Core) -> bool:
        """Is there still a database? One that was lost tells nothing, as one without changes does."""
        identity, edits = client.execute_command("HMGET", core.layout.key("state"), "id", "edits")
        core.saw(identity or b"", edits)
        return identity is not None


def _tell(core: Core, rows: Any) -> bytes:
    """Tell of these changes; the place of the last one."""
    entries = _entries(rows)
    for _, fields in entries:
        is_edit = fields[b"w"] != b"+"
        core.follow(fields[b"i"], int(fields[b"n"]), fields[b"e"], fields[b"a"], is_edit=is_edit)
    return entries[-1][0]


def _first_stream(reply: Any) -> Any:
    return next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]


def _entries(rows: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Place and fields of each entry of a stream, whatever shape the client gives them."""
    found = []
    for place, fields in rows:
        pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
        found.append((place, pairs))
    return found
