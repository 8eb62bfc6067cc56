"""TLS: certificates of an authority that the test makes. A server that cannot prove who it is gets no question.

On the `plain` server only: those of the wheels were built without TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from llmcache_plugins.cli.doctor import run_doctor
from llmcache_plugins.testing.redis_server import RedisCluster, RedisServer

OpenOn = Callable[..., Any]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


class TlsServer(NamedTuple):
    server: RedisServer
    port: int
    folder: Path

    def url(self, scheme: str = "rediss", user: str = "", host: str = "127.0.0.1", **options: object) -> str:
        given = {"prefix": "x", "timeout": 1, "ssl_ca_certs": self.folder / "ca.crt", **options}
        return f"{scheme}://{user}{host}:{self.port}/0?" + "&".join(f"{name}={value}" for name, value in given.items())


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority; certificates of a server, of one elsewhere and of a client, which it signed; another authority."""
    folder = tmp_path_factory.mktemp("certificates")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority in ("ca", "other"):
        files = ("-keyout", f"{authority}.key", "-out", f"{authority}.crt")
        openssl(folder, "req", "-x509", *new_key, "-subj", f"/CN=test {authority}", "-days", "2", *files)
    names = {"server": "IP:127.0.0.1,DNS:localhost", "elsewhere": "DNS:elsewhere.example", "client": "DNS:client"}
    for who, name in names.items():
        openssl(
            folder, "req", "-new", *new_key, "-subj", f"/CN=test {who}", "-keyout", f"{who}.key", "-out", f"{who}.csr"
        )
        (folder / "names").write_text(f"subjectAltName={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl(folder, "x509", "-req", "-in", f"{who}.csr", *signed, "-out", f"{who}.crt")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tls_options(folder: Path, port: int, name: str = "server") -> dict[str, object]:
    """Of a server with this certificate, which asks clients for none."""
    files = {f"tls-{kind}-file": folder / f"{name}.{end}" for kind, end in (("cert", "crt"), ("key", "key"))}
    return {**files, "tls-ca-cert-file": folder / "ca.crt", "tls-auth-clients": "no", "tls-port": port}


@pytest.fixture
def start(redis_flavour: Callable[[str], str], folder: Path) -> Iterator[Callable[..., TlsServer]]:
    with contextlib.ExitStack() as stack:

        def start(*options: str, name: str = "server") -> TlsServer:
            port = free_port()
            own = [
                word
                for option, value in tls_options(folder, port, name).items()
                for word in (f"--{option}", f"{value}")
            ]
            try:
                server = stack.enter_context(RedisServer(redis_flavour("plain"), *own, *options))
            except RuntimeError as error:
                if "tls" in str(error).lower():
                    pytest.skip("this redis-server was built without TLS")
                raise
            return TlsServer(server, port, folder)

        yield start


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_a_cache_over_tls(scheme: str, start: Callable[..., TlsServer], open_on: OpenOn) -> None:
    asked = open_on(start().url(scheme))
    assert asked.update("hi", "there").stored
    assert (asked.told("hi"), asked.told("hello")) == ("there", "there")
    assert asked.errors == 0


def test_it_recovers_from_a_restart_as_without_tls(
    start: Callable[..., TlsServer], open_on: OpenOn, until: Callable[..., None]
) -> None:
    tls = start()
    asked = open_on(tls.url(timeout=0.5))
    asked.update("hi", "there")
    tls.server.kill()
    assert asked.ask("hi", "from the model") == "from the model"
    tls.server.start()

    def is_well() -> bool:
        asked.update("hi", "again")
        return bool(asked.told("hi") == "again")

    until(is_well)


@pytest.mark.parametrize(
    "case", ["unknown authority", "another name", "no TLS on the client's side", "no TLS on the server's side"]
)
def test_who_cannot_be_trusted_is_not_asked(
    case: str, start: Callable[..., TlsServer], open_on: OpenOn, nothing_told: Callable[..., None]
) -> None:
    tls = start(name="elsewhere" if case == "another name" else "server")
    user = ":hidden-word@"
    url = {
        "unknown authority": tls.url(user=user, ssl_ca_certs=tls.folder / "other.crt"),
        "another name": tls.url(user=user),
        "no TLS on the client's side": f"redis://{user}127.0.0.1:{tls.port}/0?prefix=x&timeout=1",
        "no TLS on the server's side": tls._replace(port=tls.server.port).url(user=user, timeout=0.3),
    }[case]
    asked = open_on(url)
    assert asked.ask("a private question", "from the model") == "from the model"
    assert asked.told("a private question") is None
    assert asked.errors > 0
    nothing_told(["hidden-word", "private question", "from the model"], asked.cache)


def test_a_client_with_a_certificate_and_one_without(start: Callable[..., TlsServer], open_on: OpenOn) -> None:
    tls = start("--tls-auth-clients", "yes")
    known = open_on(tls.url(ssl_certfile=tls.folder / "client.crt", ssl_keyfile=tls.folder / "client.key"))
    assert known.update("hi", "there").stored
    assert known.told("hi") == "there"
    unknown = open_on(tls.url())
    assert unknown.ask("hi", "from the model") == "from the model"
    assert (known.errors, unknown.errors > 0) == (0, True)


@pytest.mark.parametrize(
    ("authority", "name", "reason"),
    [("other", "server", "self-signed certificate"), ("ca", "elsewhere", "IP address mismatch")],
)
def test_doctor_and_log_say_what_is_wrong_with_the_certificate(
    authority: str,
    name: str,
    reason: str,
    start: Callable[..., TlsServer],
    open_on: OpenOn,
    logged: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = start(name=name)
    url = tls.url(ssl_ca_certs=tls.folder / f"{authority}.crt")
    asked = open_on(url)
    assert asked.ask("hi", "from the model") == "from the model"
    beginning = f"the server at 127.0.0.1:{tls.port} does not answer (its certificate is not trusted: "
    told = [line for line in logged() if line.startswith(beginning)]
    assert len(told) == 1
    assert reason in told[0]
    assert asked.cache.stats().misses == {"store_error": 1}
    monkeypatch.setenv("LLMCACHE_URL", url)
    lines: list[str] = []
    assert run_doctor(lines.append) == 1
    assert [line for line in lines if beginning in line and reason in line] != []


@pytest.fixture(scope="module")
def cluster_ports(redis_flavour: Callable[[str], str], folder: Path) -> Iterator[list[int]]:
    """Where the nodes of a cluster are to be had over TLS; its password is right-secret."""
    cluster = RedisCluster(redis_flavour("plain"), "--tls-cluster", "yes", "--tls-replication", "yes")
    ports = [free_port() for _ in cluster.nodes]
    for node, port in zip(cluster.nodes, ports, strict=True):
        own = {**tls_options(folder, port), "cluster-port": node.port + 10_000}
        node._options += tuple(word for option, value in own.items() for word in (f"--{option}", f"{value}"))
    with cluster:
        for node in cluster.nodes:
            with redis.Redis.from_url(node.url) as client:
                client.config_set("masterauth", "right-secret")
                client.config_set("requirepass", "right-secret")
        yield ports


@pytest.mark.slow
def test_a_cluster_over_tls_and_with_a_password(
    cluster_ports: list[int], folder: Path, open_on: OpenOn, nothing_told: Callable[..., None]
) -> None:
    def url(password: str, authority: str = "ca") -> str:
        nodes = ",".join(f"127.0.0.1:{port}" for port in cluster_ports)
        options = f"prefix=x&timeout=1&buckets=4&ssl_ca_certs={folder / authority}.crt"
        return f"rediss+cluster://:{password}@{nodes}/?{options}"

    asked = open_on(url("right-secret"))
    for number in range(8):
        assert asked.ask(f"question {number}", f"answer {number}") == f"answer {number}"
        assert asked.told(f"question {number}") == f"answer {number}"
    assert asked.errors == 0
    for wrong in (url("wrong-secret"), url("right-secret", authority="other")):
        stranger = open_on(wrong)
        assert stranger.ask("a private question", "from the model") == "from the model"
        assert stranger.errors > 0
        nothing_told(["right-secret", "wrong-secret", "private question"], stranger.cache)
