"""Real servers start, end in every way there is, and leave nothing behind; absent ones skip a test or fail it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.testing.redis_server import FLAVOURS, RedisCluster, RedisServer, find_server

Flavour = Callable[[str], str]
ROOT = Path(__file__).parents[3]


def send(port: int, *words: str, timeout: float = 5.0) -> str:
    """The first line of the answer, and the second of a string."""
    command = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(command.encode())
        with connection.makefile() as stream:
            head = stream.readline().strip()
            return stream.readline().strip() if head.startswith("$") and head != "$-1" else head


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent to hear of it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(is_done: Callable[[], bool], *, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_flavour_answers_and_is_gone_afterwards(flavour: str, redis_flavour: Flavour) -> None:
    with RedisServer(redis_flavour(flavour)) as server:
        pid, port = server.pid, server.port
        assert server.url == f"redis://127.0.0.1:{port}/0"
        assert send(port, "PING") == "+PONG"
    assert not is_alive(pid)
    assert not server.is_running
    with pytest.raises(ConnectionRefusedError):
        send(port, "PING")
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.pid


@pytest.mark.parametrize(
    ("flavour", "has_search", "has_vector_sets"),
    [("search", True, True), ("vectorset", False, True), ("valkey", False, False)],
)
def test_flavours_differ_in_what_they_know(
    flavour: str, has_search: bool, has_vector_sets: bool, redis_flavour: Flavour
) -> None:
    with RedisServer(redis_flavour(flavour)) as server:
        assert send(server.port, "FT._LIST").startswith("*") is has_search
        assert send(server.port, "VADD", "vectors", "VALUES", "2", "1", "0", "x").startswith(":") is has_vector_sets


def test_nothing_is_kept_but_what_the_options_ask_for(redis_flavour: Flavour, tmp_path: Path) -> None:
    flavour = redis_flavour("vectorset")
    with RedisServer(flavour) as server:
        send(server.port, "SET", "name", "value")
        server.restart()
        assert send(server.port, "GET", "name") == "$-1"
    with RedisServer(flavour, "--appendonly", "yes", "--appendfsync", "always", folder=tmp_path) as server:
        send(server.port, "SET", "name", "value")
        server.kill()
        server.start()
        assert send(server.port, "GET", "name") == "value"
    with RedisServer(flavour, "--appendonly", "yes", folder=tmp_path) as another:
        assert send(another.port, "GET", "name") == "value"


def test_restart_keeps_the_port(redis_flavour: Flavour) -> None:
    with RedisServer(redis_flavour("vectorset")) as server:
        pid, port = server.pid, server.port
        server.restart()
        assert (server.port, is_alive(pid)) == (port, False)
        assert send(port, "PING") == "+PONG"
        server.kill()
        assert not server.is_running
        server.restart()
        assert send(port, "PING") == "+PONG"
        os.kill(server.pid, signal.SIGKILL)  # unseen by us
        until(lambda: not server.is_running)
        server.start()
        assert send(port, "PING") == "+PONG"
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()


def test_a_paused_server_answers_when_it_is_resumed(redis_flavour: Flavour) -> None:
    with RedisServer(redis_flavour("vectorset")) as server:
        server.pause()
        assert server.is_running
        with pytest.raises(TimeoutError):
            send(server.port, "PING", timeout=0.1)
        server.resume()
        assert send(server.port, "PING") == "+PONG"
        server.pause()
        server.stop()
        assert not server.is_running


def test_a_server_with_a_password_is_ready(redis_flavour: Flavour) -> None:
    with RedisServer(redis_flavour("vectorset"), "--requirepass", "secret") as server:
        assert send(server.port, "PING").startswith("-NOAUTH")


def test_a_server_that_does_not_start_says_what_it_printed(redis_flavour: Flavour) -> None:
    server = RedisServer(redis_flavour("vectorset"), "--no-such-option", "1")
    with pytest.raises(RuntimeError, match=r"(?s)ended with status 1; it printed:.*no-such-option"):
        server.start()
    assert not server.is_running


def test_unknown_and_absent_servers_are_errors_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"flavour must be one of search, .*, got 'redis'"):
        find_server("redis")
    with pytest.raises(ConfigError, match="got 'redis'"):
        RedisServer("redis")
    monkeypatch.setenv("PATH", "")
    assert find_server("plain") is None
    with pytest.raises(ConfigError, match=r"flavour='plain'.*apt-get install redis-server"):
        RedisServer("plain")


STARTER = """
import os, sys
from llmcache_plugins.testing.redis_server import RedisServer
server = RedisServer(sys.argv[1])
server.start()
if os.fork() == 0:
    sys.exit()  # a child that goes takes nothing along
os.wait()
print(server.pid, server.port, server._folder, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("ending", ["exit", "SIGTERM", "SIGKILL"])
def test_a_server_does_not_outlive_the_interpreter(ending: str, redis_flavour: Flavour) -> None:
    command = [sys.executable, "-c", STARTER, redis_flavour("vectorset")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, port, folder = parent.stdout.readline().split()
        assert send(int(port), "PING") == "+PONG"
        if ending != "exit":
            parent.send_signal(signal.Signals[ending])
    until(lambda: not is_alive(int(pid)))
    if ending == "exit":
        assert not Path(folder).exists()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_shared_server_is_one_of_each_flavour(redis_server: Callable[[str], RedisServer]) -> None:
    server = redis_server("vectorset")
    assert redis_server("vectorset") is server
    assert send(server.port, "PING") == "+PONG"


@pytest.mark.slow
@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("plain", "1 failed")])
def test_an_absent_server_skips_a_test_or_fails_it(required: str, outcome: str) -> None:
    one = "tests/unit/testing/test_redis_server.py::test_every_flavour_answers_and_is_gone_afterwards[plain]"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", one]
    environment = os.environ | {"PATH": "", "LLMCACHE_REQUIRE_EXTRAS": "", "LLMCACHE_REQUIRE_SERVERS": required}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert outcome in done.stdout, done.stdout + done.stderr
    assert "no Redis server of the flavour 'plain' here: redis-server has to be on the PATH" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["search", "valkey"])
def test_a_cluster_forms_and_survives_a_primary(flavour: str, redis_flavour: Flavour) -> None:
    with RedisCluster(redis_flavour(flavour)) as cluster:
        ports = [node.port for node in cluster.nodes]
        assert cluster.urls == tuple(f"redis://127.0.0.1:{port}/0" for port in ports)
        assert all(send(port, "CLUSTER", "INFO") == "cluster_state:ok" for port in ports)
        owners: dict[int, str] = {}  # port and key
        for name in map(str, range(100)):
            owners |= {port: name for port in ports if send(port, "SET", name, "value") == "+OK"}
        assert set(owners) == set(ports[:3])

        killed = cluster.kill_primary()
        assert killed in owners
        alive = [node.port for node in cluster.nodes if node.is_running]
        assert set(alive) == set(ports) - {killed}
        until(lambda: any(send(port, "SET", owners[killed], "another") == "+OK" for port in alive))
        pids = [node.pid for node in cluster.nodes if node.is_running]
    assert not any(map(is_alive, pids))
