"""The serial bridge: RTL over its two wires, against its model, byte for byte."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from kronborg_hdl.axi.serial_bridge.core import SerialBridge
from kronborg_hdl.axi.serial_bridge.model import SerialBridge as Model
from kronborg_hdl.axi.serial_bridge.protocol import (
    ESCAPE,
    FETCH,
    FLAG,
    MOST_PUSHED,
    PUSH,
    Deframer,
    Kind,
    frame,
    request,
)
from kronborg_hdl.axi.serial_bridge.skin import SerialSkin
from kronborg_hdl.axi.serial_bridge.uart import bit_period
from kronborg_sim.benches.echo_core import REGISTERS, Echo, EchoRegisters
from kronborg_sim.devices.serial_line import RtlLine

CLOCK_HZ, BAUD, DEPTH = 50e6, 3e6, 128
READ, WRITE = struct.Struct("<I"), struct.Struct("<II")


@pytest.fixture(scope="module")
def line() -> RtlLine:
    """The host's end is 1.5 % faster than the board's, about what a serial port may be wrong by."""
    return RtlLine(SerialSkin(Echo(), clock_hz=CLOCK_HZ, baud=BAUD, depth=DEPTH), clock_hz=CLOCK_HZ, baud=1.015 * BAUD)


class Echoing:
    """The model of the bridge with the echo behind it."""

    def __init__(self) -> None:
        self.registers = EchoRegisters()
        self.bridge = Model(self.registers, inputs=1, outputs=1, depth=DEPTH)

    def feed(self, data: bytes) -> bytes:
        resets = self.bridge.resets
        answer = b""
        for byte in data:  # the echo is quicker than the line
            answer += self.bridge.feed(bytes([byte]))
            room = DEPTH + 2 - len(self.bridge.given[0]) - len(self.bridge._kept[0])  # two wait in the echo itself
            for _ in range(min(room, len(self.bridge.taken[0]))):
                self.bridge.given[0].append(self.bridge.taken[0].popleft())
            self.bridge._fill(0)
        if self.bridge.resets != resets:
            self.registers.__init__()
        return answer


def requests(rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Random ones that a host may send, with words that are full of flags and escapes, and those it must not."""
    sequence, position, fetched = 0, 0, 0

    def word() -> int:
        letters = rng.choice([FLAG, ESCAPE, FLAG ^ 0x20, 0, 255, int(rng.integers(256))], 4)
        return int.from_bytes(bytes(letters.tolist()), "little")

    for _ in range(count):
        sequence = (sequence + int(rng.integers(0, 2))) & 0xFFFF
        match int(rng.integers(10)):
            case 0 | 1:
                address = int(rng.choice([0, 4, 0x14, 0x18, 0x400, 0x1014]))
                yield request(sequence, Kind.READ, READ.pack(address))
            case 2 | 3:
                address = int(rng.choice([0x14, 0x14, 0x18, 0x800, 0xFFFFF014]))
                yield request(sequence, Kind.WRITE, WRITE.pack(address, word()))
            case 4 | 5 | 6:
                words = [word() for _ in range(int(rng.choice([1, 2, 7, 30, MOST_PUSHED])))]
                at = (position + int(rng.choice([0, 0, 0, 1, -1]))) & 0xFFFF
                body = PUSH.pack(0, at, int(rng.integers(2))) + struct.pack(f"<{len(words)}I", *words)
                position = (position + len(words)) & 0xFFFF if at == position else position
                yield request(sequence, Kind.PUSH, body)
            case 7 | 8:
                at = (fetched + int(rng.integers(-2, 20))) & 0xFFFF
                yield request(
                    sequence, Kind.FETCH, FETCH.pack(int(rng.random() < 0.1), fetched, at, int(rng.integers(90)))
                )
                fetched = at
            case _:
                kind = int(rng.choice([Kind.HELLO, Kind.HELLO, 0, 7, 200, Kind.PUSH, Kind.READ, Kind.FETCH]))
                yield request(sequence, kind, bytes(int(rng.choice([0, 0, 3, 11, 300]))))


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """A byte more, less, or another."""
    at = int(rng.integers(len(data)))
    match int(rng.integers(3)):
        case 0:
            return data[:at] + data[at + 1 :]
        case 1:
            return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
        case _:
            return data[:at] + bytes([int(rng.choice([FLAG, ESCAPE, 0, 0x55]))]) + data[at:]


@pytest.mark.parametrize("share", [0.0, 0.4], ids=["whole frames", "damaged frames"])
def test_what_is_answered_is_the_models(line: RtlLine, share: float) -> None:
    rng = np.random.default_rng([7, round(10 * share)])
    line.model.reset()
    model, answered = Echoing(), Deframer()
    kinds = set()
    for message in requests(rng, 150):
        data = frame(message)
        if rng.random() < share:
            data = damaged(rng, data)
        expected = model.feed(data)
        assert line.feed(data) == expected, f"{message.hex()}, as {data.hex()}"
        kinds |= {answer[2] for answer in answered.feed(expected)}
    assert len(kinds) == 6, "every kind but RESET is answered"
    assert not answered.broken


def test_requests_wait_for_their_turn(line: RtlLine) -> None:
    line.model.reset()
    model = Echoing()
    data = b"".join(frame(request(n, Kind.WRITE, WRITE.pack(0x14, n))) for n in range(40))
    data += frame(request(50, Kind.READ, READ.pack(REGISTERS["writes"].offset)))
    answer = line.feed(data)
    assert answer == model.feed(data)
    *_, last = Deframer().feed(answer)
    assert READ.unpack(last[4:]) == (40,)


def test_a_reset_forgets_streams_and_resets_the_design(line: RtlLine) -> None:
    line.model.reset()
    model = Echoing()
    for message in (
        request(1, Kind.WRITE, WRITE.pack(0x14, 5)),
        request(2, Kind.PUSH, PUSH.pack(0, 0, 0) + bytes(12)),
        request(3, Kind.RESET),
        request(4, Kind.FETCH, FETCH.pack(0, 0, 0, 9)),
        request(5, Kind.READ, READ.pack(REGISTERS["writes"].offset)),
        request(6, Kind.PUSH, PUSH.pack(0, 0, 1) + b"four"),
        request(7, Kind.FETCH, FETCH.pack(0, 0, 0, 9)),
    ):
        assert line.feed(frame(message)) == model.feed(frame(message)), message.hex()


def test_a_full_buffer_makes_the_design_wait_and_loses_nothing(line: RtlLine) -> None:
    line.model.reset()
    sent = np.random.default_rng(3).integers(0, 2**32, 3 * DEPTH, np.uint32)
    deframer, position = Deframer(), 0
    came: list[int] = []
    for sequence in range(1000):
        piece = sent[position : position + MOST_PUSHED]
        if len(piece):
            push = request(sequence, Kind.PUSH, PUSH.pack(0, position, 0) + piece.astype("<u4").tobytes())
            (answer,) = deframer.feed(line.feed(frame(push)))
            position = struct.unpack_from("<H", answer, 4)[0]
        if sequence > 8:  # both buffers are full
            (answer,) = deframer.feed(line.feed(frame(request(0, Kind.FETCH, FETCH.pack(0, len(came), len(came), 99)))))
            came += np.frombuffer(answer[6:-1], "<u4").tolist()
            if len(came) == len(sent):
                break
    assert came == sent.tolist()


def test_noise_before_a_frame_does_not_harm_it(line: RtlLine) -> None:
    line.model.reset()
    noise = np.random.default_rng(5).integers(0, 256, 3000, np.uint8).tobytes()
    line.feed(noise)
    (answer,) = Deframer().feed(line.feed(frame(request(9, Kind.READ, READ.pack(0)))))
    assert READ.unpack(answer[4:]) == (REGISTERS["id"]["word"].reset,)


def test_a_line_or_a_buffer_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match=r"7e\+06 baud at a clock of 5e\+07 Hz: at most 6\.25e\+06 baud"):
        bit_period(50e6, 7e6)
    with pytest.raises(ValueError, match="100 words in a buffer: a power of two from 64 to 32768"):
        SerialBridge(clock_hz=CLOCK_HZ, baud=BAUD, address_bits=12, depth=100)
    with pytest.raises(ValueError, match="s_axis has 24 bits: words of 32 do not make them up"):
        SerialSkin(Echo(bits=24), clock_hz=CLOCK_HZ, baud=BAUD)
