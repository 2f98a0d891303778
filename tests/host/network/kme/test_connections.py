"""Who gets a connection, and how long and how large a request may be."""

import asyncio
import json
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from kronborg.network.certificates import Authority
from kronborg.network.identity import Identity
from kronborg.network.kme.http import Interface
from kronborg.network.kme.metrics import Metrics
from kronborg.network.kme.server import Kme
from kronborg.network.kme.wire import MOST_BODY_BYTES

from .conftest import Running, running, wait_for


def count(kme: Kme, name: str, **labels: str) -> float:
    return kme.metrics.registry.get_sample_value(f"kronborg_kme_{name}_total", labels) or 0.0


def refused(network: Running, reason: str, interface: str = "sae") -> float:
    return count(network.kmes["kme-a"], "connections_refused", interface=interface, reason=reason)


def raw(network: Running, sae: str = "alice") -> ssl.SSLSocket:
    address = network.pair.address("kme-a")
    plain = socket.create_connection((address.host, address.port), timeout=10)
    return network.pair.context(Identity("sae", sae)).wrap_socket(plain, server_hostname=address.host)


def read_all(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def test_an_intruders_certificate_gets_no_connection(network: Running, tmp_path: Path) -> None:
    intruder = Authority.create(tmp_path / "pki", "Kronborg test")
    context = ssl.create_default_context(cafile=network.pair.folder / "pki" / "ca.pem")
    # The same names, signed by another authority of the same name.
    issued = intruder.issue(Identity("sae", "alice"))
    context.load_cert_chain(issued.certificate, issued.key)
    before = refused(network, "tls")
    with pytest.raises(httpx.TransportError):
        network.client("intruder", "kme-a", context).get("/api/v1/keys/bob/status")
    wait_for(lambda: refused(network, "tls") == before + 1)


def test_without_a_certificate_there_is_no_connection(network: Running) -> None:
    context = ssl.create_default_context(cafile=network.pair.folder / "pki" / "ca.pem")
    before = refused(network, "tls")
    with pytest.raises(httpx.TransportError):
        network.client("nobody", "kme-a", context).get("/api/v1/keys/bob/status")
    wait_for(lambda: refused(network, "tls") == before + 1)


def test_tls_1_1_and_plain_http_are_not_spoken(network: Running) -> None:
    context = network.pair.context(Identity("sae", "alice"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.TransportError):
        network.client("old", "kme-a", context).get("/api/v1/keys/bob/status")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{network.pair.address('kme-a')}/api/v1/keys/bob/status")


def test_a_body_that_is_too_large_is_refused_and_counted(network: Running) -> None:
    before = refused(network, "oversize")
    response = network.client("alice", "kme-a").post("/api/v1/keys/bob/enc_keys", content=bytes(MOST_BODY_BYTES + 1))
    assert (response.status_code, set(response.json())) == (413, {"message"})
    assert refused(network, "oversize") == before + 1


def test_a_head_that_is_too_long_is_refused_and_counted(network: Running) -> None:
    before = refused(network, "oversize")
    with raw(network) as connection:
        connection.sendall(b"GET /api/v1/keys/bob/status HTTP/1.1\r\n")
        for _ in range(40):
            connection.sendall(b"X-Long: " + b"x" * 500 + b"\r\n")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body) == {"message": "the request's head is too long"}
    assert refused(network, "oversize") == before + 1


@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["many", "one"])
def test_what_comes_behind_a_body_is_not_kept_without_end(network: Running, end: bytes) -> None:
    before = refused(network, "oversize")
    with raw(network) as connection, suppress(ConnectionError, ssl.SSLError):
        connection.sendall(b"POST /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"2\r\n{}\r\n0\r\n" + (b"" if end else b"X-Long: "))
        for _ in range(40):
            connection.sendall(100 * ((b"X-Long: " if end else b"") + b"x" * 500 + end))
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
    wait_for(lambda: refused(network, "oversize") == before + 1)


def test_a_body_may_come_in_the_smallest_chunks(network: Running) -> None:
    body = b'{"number": 1}' + bytes(3000).replace(b"\0", b" ")
    with raw(network) as connection:
        connection.sendall(b"POST /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"".join(b"1\r\n%c\r\n" % each for each in body) + b"0\r\nX-Sum: 1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_is_not_http_has_an_error_body(network: Running) -> None:
    with raw(network) as connection:
        connection.sendall(b"HELLO\r\n\r\n")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body) == {"message": "the request is not valid HTTP"}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /api/v1/ke",
        b"POST /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_slow_request_is_cut_off_and_counted(tmp_path: Path, said: bytes) -> None:
    with running(tmp_path, kme="request_seconds = 0.4") as hasty:
        # One that is answered does not run out of time while its connection is idle.
        client = hasty.client("alice", "kme-a")
        assert client.get("/api/v1/keys/bob/status").status_code == 200
        with raw(hasty) as connection:
            connection.sendall(said)
            started = time.monotonic()
            with suppress(OSError):  # reset
                assert b"200" not in read_all(connection)
            assert time.monotonic() - started < 9  # 10 s by default
        assert refused(hasty, "slow") == 1
        assert client.get("/api/v1/keys/bob/status").status_code == 200


def test_a_renewed_certificate_serves_without_a_restart_and_old_connections_go_on(own_network: Running) -> None:
    pair, kme = own_network.pair, own_network.kmes["kme-a"]
    old = own_network.client("alice", "kme-a")
    assert old.get("/api/v1/keys/bob/status").status_code == 200
    with raw(own_network) as connection:
        before = connection.getpeercert(True)
    renewed = pair.authority.renew(Identity("kme", "kme-a"), 40)
    kme.renew()
    with raw(own_network) as connection:
        assert connection.getpeercert(True) != before
    assert old.get("/api/v1/keys/bob/status").status_code == 200
    expiry = kme.metrics.registry.get_sample_value("kronborg_kme_certificate_expiry_seconds")
    assert expiry == pytest.approx(renewed.until.timestamp(), abs=1.5)
    # The other KME takes it as well, and goes on to be reached.
    wait_for(lambda: own_network.enc("bob", "alice", "kme-b").status_code == 200)


def test_a_certificate_that_cannot_be_used_changes_nothing(own_network: Running) -> None:
    key = own_network.pair.config("kme-a").key
    key.write_text("rubbish")
    own_network.kmes["kme-a"].renew()
    fresh = own_network.client("carol", "kme-a")
    assert fresh.get("/api/v1/keys/bob/status").status_code == 200


def test_the_certificate_of_another_kme_is_not_taken(own_network: Running) -> None:
    pair, kme = own_network.pair, own_network.kmes["kme-a"]
    with raw(own_network) as connection:
        before = connection.getpeercert(True)
    for mine, theirs in zip(*(pair.authority.files(Identity("kme", name)) for name in ("kme-a", "kme-b")), strict=True):
        mine.write_bytes(theirs.read_bytes())
    kme.renew()
    with raw(own_network) as connection:
        assert connection.getpeercert(True) == before


@pytest.mark.parametrize(("ends", "status"), [("Jan  1 00:00:00 2020 GMT", 401), ("Jan  1 00:00:00 2120 GMT", 200)])
def test_a_certificate_that_ended_since_the_connection_began_is_nobodys(ends: str, status: int) -> None:
    interface = Interface("sae", "sae", lambda _: True, Metrics())

    async def work(caller: str, request: Request) -> dict[str, str]:
        return {"caller": caller}

    interface.add("status", "GET", "/status", work)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        certificate = {"subjectAltName": (("URI", "urn:qkd:sae:alice"),), "notAfter": ends}
        await interface.app(scope | {"state": {"peercert": certificate}}, receive, send)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://kme") as client:
            return await client.get("/status")

    response = asyncio.run(ask())
    assert (response.status_code, response.headers.get("connection")) == (status, "close" if status == 401 else None)


def test_who_is_revoked_loses_the_connection_that_it_has(own_network: Running) -> None:
    pair, kme = own_network.pair, own_network.kmes["kme-a"]
    request = b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: a\r\n\r\n"
    with raw(own_network, "carol") as connection:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        pair.authority.revoke(Identity("sae", "carol"))
        kme.renew()
        with suppress(ConnectionError, ssl.SSLError):
            connection.sendall(request)
            assert connection.recv(65536) == b""
    # Others come again by themselves, the other KME among them.
    wait_for(lambda: own_network.enc().status_code == 200)
    wait_for(lambda: own_network.enc("bob", "alice", "kme-b").status_code == 200)


def test_a_revoked_certificate_gets_no_connection_without_a_restart(own_network: Running) -> None:
    pair = own_network.pair
    context = pair.context(Identity("sae", "carol"))
    assert own_network.client("carol", "kme-a", context).get("/api/v1/keys/bob/status").status_code == 200
    pair.authority.revoke(Identity("sae", "carol"))
    own_network.kmes["kme-a"].renew()
    again = httpx.Client(base_url=f"https://{pair.address('kme-a')}", verify=context)
    with pytest.raises(httpx.TransportError), again:
        again.get("/api/v1/keys/bob/status")
    assert own_network.enc().status_code == 200
