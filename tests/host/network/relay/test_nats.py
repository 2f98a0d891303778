"""Frames by way of a real NATS server."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats import connect
from nats.errors import Error as NatsError

from kronborg.network.certificates import Authority
from kronborg.network.identity import Identity
from kronborg.network.kme.config import Address, Link
from kronborg.network.kme.tls import Credentials
from kronborg.network.relay import nats as module
from kronborg.network.relay.nats import NatsTransport, permissions, read_message, read_receipt, token
from kronborg_sim.network.nats import NatsServer
from kronborg_sim.network.web import LINE, make_web

from ..kme.conftest import wait_for
from ..kme.test_etsi014 import error_of, keys_of
from .conftest import Make
from .test_relay import both_ends_agree, extension

LINKS = {"x-y": Link("x-y", "kme.b", Address("h", 1))}


def test_keys_go_by_way_of_a_server_that_has_no_bit_of_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    network, real, sent = make(LINE[:3], nats=True), NatsTransport.send, []

    async def send(self: NatsTransport, link: Link, bodies: Sequence[bytes]) -> list[str]:
        sent.extend(bodies)
        return await real(self, link, bodies)

    monkeypatch.setattr(NatsTransport, "send", send)
    wait_for(lambda: network.ask("n0", "n3").status_code == 200)
    response = network.ask("n0", "n3", number=4)
    keys = keys_of(response)
    assert extension(response)["kronborg_hops"] == 3
    assert keys_of(network.fetch(list(keys), "n3", "n0")) == keys
    assert len(sent) >= 6
    assert not any(bits[:8] in body for bits in keys.values() for body in sent)
    wait_for(lambda: both_ends_agree(network))


def test_a_server_that_is_killed_costs_no_key_that_is_not_accounted_for(make: Make) -> None:
    network = make(LINE[:2], relay="timeout_seconds = 2.0", nats=True)
    wait_for(lambda: network.ask("n0", "n2").status_code == 200)
    network.nats.end()
    error_of(network.ask("n0", "n2"), 503)
    network.nats.begin()
    wait_for(lambda: network.ask("n0", "n2").status_code == 200, 120)
    wait_for(lambda: both_ends_agree(network), 120)


def test_a_server_that_is_gone_for_long_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context of TLS for each try was 2 GB a day."""
    authority, identity, tries = Authority.create(tmp_path / "pki", "Test"), Identity("kme", "a"), []
    authority.issue(identity, ["localhost"])
    credentials = Credentials(*authority.files(identity), authority.folder / "ca.pem", None)

    async def connect(*_: object, **__: object) -> None:
        tries.append(1)
        raise NatsError

    monkeypatch.setattr("nats.aio.client.Client.connect", connect)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)

    async def main() -> None:
        transport = NatsTransport("a", Address("localhost", 1), LINKS, credentials)
        await transport.start(lambda *_: asyncio.sleep(0, []))
        while len(tries) < 5:
            await asyncio.sleep(0)
        await transport.close()

    asyncio.run(main())
    assert len(credentials._contexts) == 1


def test_a_node_that_was_away_takes_what_waited_for_it_or_it_is_void(make: Make) -> None:
    network = make(LINE[:2], relay="timeout_seconds = 1.0", nats=True)
    wait_for(lambda: network.ask("n0", "n2").status_code == 200)
    network.stop("n1")
    error_of(network.ask("n0", "n2"), 503)
    network.start("n1")
    wait_for(lambda: network.ask("n0", "n2").status_code == 200, 120)
    wait_for(lambda: both_ends_agree(network), 120)


def test_a_server_lets_nobody_publish_in_the_name_of_another(tmp_path: Path) -> None:
    web = make_web(tmp_path, LINE[:1], nats=True)
    web.authority.issue(Identity("kme", "stranger"), ["x"])
    faults: list[str] = []

    async def note(error: Exception) -> None:
        faults.append(str(error))

    async def publish(name: str, subject: str, refused: int = 0) -> None:
        client = await connect(
            f"tls://{web.nats}", tls=web.context(Identity("kme", name)), error_cb=note, allow_reconnect=False
        )
        await client.publish(subject, b"[]")
        await client.flush()
        # A refusal may come behind the answer to the flush.
        for _ in range(500):
            if len(faults) >= refused:
                break
            await asyncio.sleep(0.01)
        await client.close()

    with NatsServer(web):
        asyncio.run(publish("n0", "kronborg.frames.n1.n0.x"))
        assert faults == []
        asyncio.run(publish("n0", "kronborg.frames.n0.n1.x", refused=1))
        asyncio.run(publish("n0", "kronborg.receipts.n0.n1", refused=2))
        assert len([text for text in faults if "permissions violation" in text.lower()]) == 2
        with pytest.raises((NatsError, OSError)):
            asyncio.run(publish("stranger", "kronborg.frames.n1.n0.x"))


def test_subjects_of_a_node_are_its_own() -> None:
    allowed = permissions("kme.a~b")
    assert allowed["publish"]["allow"][:2] == ["kronborg.frames.*.kme~1a~0b.*", "kronborg.receipts.*.kme~1a~0b"]
    assert allowed["subscribe"]["allow"] == ["kronborg.receipts.kme~1a~0b.*", "_INBOX.>"]
    assert len({token(each) for each in ("a.b", "a~b", "a~1b", "a~0b")}) == 4


def test_a_message_is_of_the_link_and_the_neighbour_that_its_subject_says() -> None:
    data = json.dumps(["AAAA"]).encode()
    good = "kronborg.frames.kme-a.kme~1b.x-y"
    assert read_message(good, data, LINKS) == (LINKS["x-y"], [bytes(3)])
    for subject, text in (
        ("kronborg.frames.kme-a.kme~1c.x-y", data),
        ("kronborg.frames.kme-a.kme~1b.x-z", data),
        (f"{good}.more", data),
        ("", data),
        (good, b'["!"]'),
        (good, b"[1]"),
        (good, b"{}"),
        (good, json.dumps(["AAAA"] * 17).encode()),
        (good, b"[" * 100_000),
    ):
        assert read_message(subject, text, LINKS) == (None, [])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.binary(max_size=60))
def test_the_parsers_take_anything(subject: str, data: bytes) -> None:
    assert read_message(subject, data, LINKS) == (None, [])
    read_message("kronborg.frames.kme-a.kme~1b.x-y", data, LINKS)
    assert read_receipt(data) is None


@pytest.mark.parametrize("text", ["[]", '{"receipt": 1}', "x", "{}"])
def test_what_is_no_receipt_is_none(text: str) -> None:
    assert read_receipt(text.encode()) is None


def test_a_receipt_is_read() -> None:
    assert read_receipt(b'{"receipt": "a", "outcomes": ["accepted"]}') == ("a", ["accepted"])
