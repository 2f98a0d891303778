"""The host's end of the serial line: against the bridge's model over lines that fail, and against its RTL."""

import os
import struct
from collections.abc import Callable

import numpy as np
import pytest

from kronborg.board.pynq.registers import page_class
from kronborg.board.serial import link as linking
from kronborg.board.serial.device import Device
from kronborg.board.serial.link import Link
from kronborg.board.serial.ports import find, open_device, open_port
from kronborg.errors import BoardError, InputError
from kronborg_hdl.axi.serial_bridge.protocol import ESCAPE, FLAG, Kind, frame, request
from kronborg_hdl.axi.serial_bridge.skin import SerialSkin
from kronborg_hdl.boards import FABRIC_BOARDS
from kronborg_sim.benches.echo_core import REGISTERS, Echo, EchoBoard
from kronborg_sim.devices.serial_line import PseudoTerminal, RtlLine

BOARD = FABRIC_BOARDS["ulx3s"]
BAUD = BOARD.baud
STREAMS = {"inputs": ("s_axis",), "outputs": ("m_axis",)}
Damage = Callable[[bytes], bytes]


class FailingPort:
    """A port to a board over a line that damages what goes over it, either way."""

    def __init__(self, board: EchoBoard, damage: Damage = bytes) -> None:
        self.board, self.damage = board, damage
        self._came = bytearray()

    def write(self, data: bytes) -> int:
        self._came += self.damage(self.board.feed(self.damage(data)))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        taken, self._came = bytes(self._came[:size]), self._came[size:]
        return taken

    @property
    def in_waiting(self) -> int:
        return len(self._came)

    def close(self) -> None:
        pass


def noise(rng: np.random.Generator, rate: float) -> Damage:
    """Drops, flips and inserts bytes, each at this rate."""

    def damage(data: bytes) -> bytes:
        made = bytearray()
        for byte in data:
            chance = rng.random()
            if chance < rate:
                continue
            if chance < 2 * rate:
                byte ^= 1 << int(rng.integers(8))
            elif chance < 3 * rate:
                made.append(int(rng.choice([FLAG, ESCAPE, rng.integers(256)])))
            made.append(byte)
        return bytes(made)

    return damage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are there at once or never, and more of them may fail in a row."""
    monkeypatch.setattr(linking, "LONGEST_ANSWER", 0)
    monkeypatch.setattr(linking, "ATTEMPTS", 60)


def device(port: FailingPort) -> Device:
    return Device(Link(port, "the port", BAUD, answer_s=0.0005), **STREAMS)


@pytest.mark.parametrize("rate", [0.0005, 0.002])
@pytest.mark.usefixtures("quick")
def test_no_wrong_value_is_taken_and_nothing_is_done_twice_on_a_line_that_fails(rate: float) -> None:
    rng = np.random.default_rng(round(1e5 * rate))
    board = EchoBoard()
    host = device(FailingPort(board, noise(rng, rate)))
    word = REGISTERS["word"].offset
    for count in range(150):
        value = int.from_bytes(bytes(rng.choice([FLAG, ESCAPE, 0, 255, 17], 4).tolist()), "little")
        host.write(word, value)
        assert host.read(word) == value
        assert host.read(REGISTERS["writes"].offset) == count + 1
    for length in (1, 64, 65, 400):
        sent = rng.integers(0, 2**32, length, np.uint32)
        host.send("s_axis", sent)
        parts = []
        while not parts or not parts[-1][1]:
            # Small pieces: of long frames hardly one comes over such a line.
            parts.append(host.receive("m_axis", 16))
        np.testing.assert_array_equal(np.concatenate([words for words, _ in parts]), sent)
    assert host.link.counts.repeated > 0
    assert host.link.counts.broken > 0
    assert board.registers.words[REGISTERS["writes"].offset] == 150


@pytest.mark.usefixtures("quick")
def test_packets_come_as_their_bytes_and_positions_wrap() -> None:
    host = device(FailingPort(EchoBoard()))
    rng = np.random.default_rng(2)
    for _ in range(36):  # more words than positions have numbers
        sent = rng.integers(0, 2**32, 2000, np.uint32)
        host.send("s_axis", sent)
        (packet,) = host.packets("m_axis", 1)
        assert packet == sent.tobytes()


@pytest.mark.usefixtures("quick")
def test_pages_of_register_tables_work_on_a_device() -> None:
    page = page_class(REGISTERS)(device(FailingPort(EchoBoard())))
    page.check_identity()
    page.word = 1234
    assert (page.word, page.writes) == (1234, 1)


@pytest.mark.usefixtures("quick")
def test_an_access_is_carried_out_although_as_many_requests_as_there_are_numbers_came_between() -> None:
    host = device(FailingPort(EchoBoard()))
    word = REGISTERS["word"].offset
    for value in (1, 2, 3):
        host.write(word, value)
        host.link._sequence = (host.link._sequence + 65_535) & 0xFFFF  # all of them for words
    assert host.read(word) == 3
    assert host.read(REGISTERS["writes"].offset) == 3


@pytest.mark.usefixtures("quick")
def test_what_the_board_says_no_to_is_one_line() -> None:
    host = device(FailingPort(EchoBoard()))
    with pytest.raises(BoardError, match="reading register 0x800 is answered with 2: the design has no such register"):
        host.read(0x800)
    with pytest.raises(BoardError, match=r"writing register 0x0 is answered with 2: .* cannot be written"):
        host.write(0, 1)
    with pytest.raises(BoardError, match="reading register 0x1000 is answered with 3: the design ends before it"):
        host.read(0x1000)
    with pytest.raises(BoardError, match="the port refuses FETCH: its bitstream has not what is asked for"):
        host.link.ask(Kind.FETCH, bytes([7, 0, 0, 0, 0, 0, 0]))
    with pytest.raises(BoardError, match=r"m_axis: nothing comes for 0\.01 s, after 0 words of a packet"):
        host.receive("m_axis", 5, timeout_s=0.01)
    host.send("s_axis", np.arange(8, dtype=np.uint32))
    with pytest.raises(BoardError, match="a packet has not ended after 16 bytes"):
        list(host.packets("m_axis", 1, most=4))


@pytest.mark.usefixtures("quick")
def test_words_that_another_program_took_are_missed() -> None:
    board = EchoBoard()
    first, second = device(FailingPort(board)), device(FailingPort(board))
    first.send("s_axis", np.arange(9, dtype=np.uint32))
    second.receive("m_axis", 4)
    second.receive("m_axis", 1)
    with pytest.raises(BoardError, match="m_axis is at word 4 and not 0: words are lost, reset the board"):
        first.receive("m_axis", 9)
    with pytest.raises(BoardError, match="s_axis is at word 9 and not 0: reset the board"):
        second.send("s_axis", np.arange(2, dtype=np.uint32))
    first.reset()
    first.send("s_axis", np.arange(3, dtype=np.uint32))
    words, last = first.receive("m_axis", 9)
    assert (words.tolist(), last) == ([0, 1, 2], True)


def test_a_line_on_which_nobody_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "LONGEST_ANSWER", 0)
    said = r"the port does not answer to HELLO, asked 8 times: is the board on, its bitstream loaded, and the line at"
    with pytest.raises(BoardError, match=said):
        device(FailingPort(EchoBoard(), lambda data: b""))
    with pytest.raises(BoardError, match=said):
        device(FailingPort(EchoBoard(), lambda data: data[:5] + data[6:]))


class Saying(FailingPort):
    """Answers HELLO with something else."""

    def __init__(self, body: bytes) -> None:
        super().__init__(EchoBoard())
        self.body = body

    def write(self, data: bytes) -> int:
        self._came += frame(data[1:3] + bytes([0x80 | Kind.HELLO]) + self.body)
        return len(data)


@pytest.mark.usefixtures("quick")
def test_somebody_else_on_the_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda limit: 0)  # a number without flags
    with pytest.raises(BoardError, match="answers, but not as a Kronborg board: load its bitstream first"):
        device(Saying(b"hello world"))
    with pytest.raises(BoardError, match="speaks version 9 and this is 1: build its bitstream again"):
        device(Saying(struct.pack("<4sBBBBH", b"KBSB", 9, 11, 1, 1, 0)))
    with pytest.raises(
        BoardError, match="has 2 streams into its design and 1 out of it, and its manifest names 1 and 1"
    ):
        device(Saying(struct.pack("<4sBBBBH", b"KBSB", 1, 11, 2, 1, 0)))


def test_a_port_that_is_not_there_or_in_use_is_one_line() -> None:
    with pytest.raises(InputError, match=r"cannot open /dev/ttyUSB77 at 3000000 baud: there is no such port"):
        open_port("/dev/ttyUSB77", BAUD)
    with PseudoTerminal(EchoBoard()) as terminal:
        port = open_port(terminal.name, BAUD)
        with pytest.raises(InputError, match=r"cannot open /dev/pts/\d+ at 3000000 baud: another program has it"):
            open_port(terminal.name, BAUD)
        port.close()
    with pytest.raises(InputError, match=r"no USB serial port 0403:6015 is there: plug the Radiona ULX3S-85F in"):
        find(BOARD)


MANIFEST = {"baud": BAUD, "streams": {"into": ["s_axis"], "out_of": ["m_axis"]}}


def test_the_rtl_answers_at_a_port_of_this_machine() -> None:
    skin = SerialSkin(Echo(), clock_hz=BOARD.clock_hz, baud=BAUD)
    with PseudoTerminal(RtlLine(skin, clock_hz=BOARD.clock_hz, baud=BAUD)) as terminal:
        host = open_device(BOARD, MANIFEST, terminal.name, answer_s=30)
        assert host.read(0) == REGISTERS["id"]["word"].reset
        host.write(REGISTERS["word"].offset, 0x7D7E7D7E)
        assert host.read(REGISTERS["word"].offset) == 0x7D7E7D7E
        sent = np.random.default_rng(1).integers(0, 2**32, 700, np.uint32)
        host.send("s_axis", sent)
        (packet,) = host.packets("m_axis", 1)
        assert packet == sent.tobytes()
        # A program that died in the middle of a frame, and the next one.
        os.write(terminal._host, frame(request(1, Kind.READ, bytes(4)))[:-2])
        host.close()
        again = open_device(BOARD, MANIFEST, terminal.name, answer_s=30)
        assert again.read(REGISTERS["writes"].offset) == 0, "opening resets the design"
        again.close()


def test_a_board_that_is_unplugged_is_one_line() -> None:
    with PseudoTerminal(EchoBoard()) as terminal:
        host = open_device(BOARD, MANIFEST, terminal.name)
        terminal.unplug()
        with pytest.raises(BoardError, match=r"/dev/pts/\d+ is gone \(.*\): plug the board in and begin anew"):
            host.read(0)
