"""What agents say to each other, and what they make of what others say to them."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kronborg.network.certificates import Authority
from kronborg.network.encryptors import messages
from kronborg.network.encryptors.messages import Answer, Caller, Listener, Message, PeerFails, line_of
from kronborg.network.identity import Identity
from kronborg.network.kme.tls import Credentials
from kronborg.network.kme.wire import Refused, parse
from kronborg.network.tables import Address
from kronborg_sim.network.pair import HOST, free_ports

KEY_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Credentials]:
    """Credentials of anybody."""
    authority = Authority.create(tmp_path_factory.mktemp("pki") / "pki", "test")

    def of(bearer: str) -> Credentials:
        identity = Identity(*bearer.split())
        if not authority.files(identity)[0].exists():
            authority.issue(identity, [HOST])
        return Credentials(*authority.files(identity), authority.folder / "ca.pem", authority.folder / "crl.pem")

    return of


class Slave:
    """A listener of bob's for alice that answers with what it was asked, and what it noted."""

    def __init__(self, pki: Callable[[str], Credentials]) -> None:
        self.refused: list[str] = []
        self.heard: list[Message] = []
        self.address = Address(HOST, free_ports(1)[0])
        self.listener = Listener("alice", pki("sae bob").server(self.refused.append), self._answer, self.refused.append)

    async def _answer(self, message: Message) -> Answer:
        self.heard.append(message)
        return Answer(key_id=message.key_id)


def with_slave(pki: Callable[[str], Credentials], work: Callable[[Slave], Awaitable[None]]) -> Slave:
    async def main() -> Slave:
        slave = Slave(pki)
        await slave.listener.listen(slave.address)
        await asyncio.wait_for(work(slave), 20)
        await slave.listener.close()
        return slave

    return asyncio.run(main())


def test_what_is_said_is_heard_and_answered_on_one_connection(pki: Callable[[str], Credentials]) -> None:
    async def work(slave: Slave) -> None:
        caller = Caller(slave.address, "bob", pki("sae alice").client())
        assert (await caller.say("hello", None)).key_id is None
        first = caller._streams
        assert (await caller.say("prepare", KEY_ID)).key_id == KEY_ID
        assert caller._streams is first
        caller.close()

    slave = with_slave(pki, work)
    assert [(each.do, each.key_id) for each in slave.heard] == [("hello", None), ("prepare", KEY_ID)]
    assert slave.refused == []


@pytest.mark.parametrize("stranger", ["sae carol", "kme alice", "node alice"])
def test_nobody_else_is_answered(pki: Callable[[str], Credentials], stranger: str) -> None:
    async def work(slave: Slave) -> None:
        with pytest.raises(PeerFails):
            await Caller(slave.address, "bob", pki(stranger).client()).say("hello", None)

    slave = with_slave(pki, work)
    assert (slave.heard, slave.refused) == ([], ["identity"])


def test_nothing_is_said_to_who_is_not_the_peer(pki: Callable[[str], Credentials]) -> None:
    async def work(slave: Slave) -> None:
        with pytest.raises(PeerFails, match="is not SAE dave"):
            await Caller(slave.address, "dave", pki("sae alice").client()).say("switch", KEY_ID)

    assert with_slave(pki, work).heard == []


def test_who_has_no_certificate_is_refused(pki: Callable[[str], Credentials]) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def work(slave: Slave) -> None:
        answer = b""
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, slave.address.port, ssl=context)
            writer.write(b'{"do": "hello"}\n')
            try:
                answer = await reader.read(10)
            finally:
                writer.transport.abort()
        assert answer == b""

    slave = with_slave(pki, work)
    assert (slave.heard, slave.refused) == ([], ["tls"])


async def raw(slave: Slave, pki: Callable[[str], Credentials], data: bytes) -> bytes:
    """What comes back for bytes that alice sends."""
    reader, writer = await asyncio.open_connection(HOST, slave.address.port, ssl=pki("sae alice").client())
    writer.write(data)
    answer = b""
    try:
        await writer.drain()
        answer = await reader.read(4096)
    except OSError:
        pass
    writer.transport.abort()
    return answer


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * 2000, "oversize"),
        (b'{"do": "hello"' + b" " * 2000 + b"}\n", "oversize"),
        (b"\n", "malformed"),
        (b"\xff\n", "malformed"),
        (b"[" * 900 + b"\n", "malformed"),
        (b'{"do": "open"}\n', "malformed"),
        (b'{"do": "hello", "do": "hello"}\n', "malformed"),
        (b'{"do": "hello", "key": "x"}\n', "malformed"),
        (b'{"do": "switch", "key_id": "../../x"}\n', "malformed"),
        (json.dumps({"do": "switch", "key_id": KEY_ID + "\n"}).encode() + b"\n", "malformed"),
        (b'{"do": "switch", "key_id": 7}\n', "malformed"),
    ],
)
def test_what_is_no_message_ends_the_connection(pki: Callable[[str], Credentials], data: bytes, why: str) -> None:
    async def work(slave: Slave) -> None:
        assert await raw(slave, pki, data) == b""

    slave = with_slave(pki, work)
    assert (slave.heard, slave.refused) == ([], [why])


def test_who_says_nothing_is_cut_and_so_is_a_crowd(
    pki: Callable[[str], Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(messages, "MOST_CONNECTIONS", 2)

    async def work(slave: Slave) -> None:
        async def silent() -> None:
            reader, writer = await asyncio.open_connection(HOST, slave.address.port, ssl=pki("sae alice").client())
            with suppress(OSError):
                assert await reader.read(10) == b""
            writer.transport.abort()

        await asyncio.gather(*(silent() for _ in range(4)))

    refused = with_slave(pki, work).refused
    assert sorted(set(refused)) == ["crowd", "slow"]


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=120),
        st.recursive(
            st.none() | st.text(max_size=8) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["do", "key_id", "reason", "x"]), inner, max_size=4)
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@example(b'{"do": "hello", "key_id": "' + KEY_ID.encode() + b'"}')
def test_a_message_or_an_answer_is_taken_or_refused_and_nothing_else(data: bytes) -> None:
    for model in (Message, Answer):
        try:
            found = parse(model, data)
        except Refused:
            continue
        assert found.key_id is None or len(found.key_id) == 36
        assert parse(model, line_of(found)) == found


@pytest.mark.parametrize(
    "answer", [b"", b"x\n", b"[]\n", b'{"key_id": "7"}\n', b'{"reason": "because"}\n', b"y" * 5000]
)
def test_a_slave_that_answers_nonsense_is_no_slave(pki: Callable[[str], Credentials], answer: bytes) -> None:
    async def main() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
            writer.close()

        context = pki("sae bob").server(lambda why: None)
        (port,) = free_ports(1)
        server = await asyncio.start_server(talk, HOST, port, ssl=context)
        caller = Caller(Address(HOST, port), "bob", pki("sae alice").client())
        with pytest.raises(PeerFails, match="does not answer"):
            await caller.say("hello", None)
        assert caller._streams is None
        server.close()

    asyncio.run(main())


def test_a_cancellation_that_is_lost_is_repeated() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(messages.cancelled([task]), 5)
        assert task.cancelled()

    asyncio.run(main())


def test_a_port_that_is_taken_is_an_error(pki: Callable[[str], Credentials], tmp_path: Path) -> None:
    async def work(slave: Slave) -> None:
        with pytest.raises(OSError, match="in use"):
            await Slave(pki).listener.listen(slave.address)

    with_slave(pki, work)
