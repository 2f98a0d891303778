"""Both ends of a link at the far end of a serial line: the drivers of every board, over a line that may fail."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from serial.tools import list_ports

from kronborg.board.loopback import LoopbackPlan
from kronborg.board.pynq.board import PACKETS, Board
from kronborg.board.pynq.dma import InTurn
from kronborg.board.pynq.receiver import Receiver
from kronborg.board.pynq.reference import Reference
from kronborg.board.pynq.registers import Page
from kronborg.board.pynq.transmitter import Transmitter
from kronborg.board.serial import link as linking
from kronborg.board.serial.channels import Memory, Streams
from kronborg.board.serial.device import Device
from kronborg.board.serial.overlay import INTO, OUT_OF, OpenedBoard, SerialOverlay
from kronborg.cli import main
from kronborg.errors import BoardError, InputError
from kronborg_hdl.axi.serial_bridge.skin import SerialSkin
from kronborg_hdl.boards import FABRIC_BOARDS
from kronborg_hdl.loopback.core import Loopback
from kronborg_hdl.loopback.pages import loopback_pages
from kronborg_hdl.modulation.alphabet.model import shaped_qam
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.health.model import HealthTests
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.frame_controller.model import FrameLimits
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.serial_board.build import DESIGNS
from kronborg_sim.benches.echo_core import EchoBoard
from kronborg_sim.devices.serial_line import PseudoTerminal
from kronborg_sim.devices.serial_link import SerialLink

BOARD = FABRIC_BOARDS["ulx3s"]
KEY = np.arange(1, KEY_WORDS + 1, dtype=np.uint32) * np.uint32(0x01020304)
PREAMBLE, DETECTOR, SPAN, PAYLOAD, FRAMES = 509, 64, 17, 1024, 6
PLAN = LoopbackPlan(
    lanes=2,
    sample_rate_hz=2 * BOARD.clock_hz,
    payload=PAYLOAD,
    vacuum=256,
    signal_snu=16.0,
    pilot_snr_db=25.0,
    beat_hz=2e6,
    shot_noise_words=100.0,
    preamble=PREAMBLE,
    detector_chips=DETECTOR,
    span=SPAN,
)


def core() -> Loopback:
    return Loopback(lanes=2, samples_per_symbol=8, span=SPAN, preamble=PREAMBLE, detector_chips=DETECTOR)


class Dropping:
    """A port to a board over a line that loses a byte now and then, either way."""

    def __init__(self, board: SerialLink, rate: float) -> None:
        self._board, self._rate, self._came = board, rate, bytearray()
        self._rng = np.random.default_rng(11)

    def _over_line(self, data: bytes) -> bytes:
        bytes_ = np.frombuffer(data, np.uint8)
        return bytes_[self._rng.random(len(bytes_)) >= self._rate].tobytes()

    def write(self, data: bytes) -> int:
        self._came += self._over_line(self._board.feed(self._over_line(data)))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        taken, self._came = bytes(self._came[:size]), self._came[size:]
        return taken

    @property
    def in_waiting(self) -> int:
        return len(self._came)

    def close(self) -> None:
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are there at once or never."""
    monkeypatch.setattr(linking, "LONGEST_ANSWER", 0)
    monkeypatch.setattr(linking, "ANSWER_S", 0.0005)
    monkeypatch.setattr(linking, "ATTEMPTS", 60)


def opened(device: Device) -> OpenedBoard:
    """As a port gives it."""
    board = object.__new__(OpenedBoard)
    board.kind, board.clock_hz, board.overlay = BOARD.name, float(BOARD.clock_hz), SerialOverlay(device)
    return board


@pytest.mark.parametrize("rate", [0.0, 2e-5])
@pytest.mark.usefixtures("quick")
def test_both_ends_of_every_frame_are_the_models_whatever_the_line_loses(rate: float) -> None:
    link = linking.Link(Dropping(SerialLink(core()), rate), "the port", BOARD.baud, answer_s=0.0005)
    device = Device(link, inputs=INTO, outputs=OUT_OF)
    device.reset()
    with Board(opened(device), timeout_s=60) as board:
        board.configure(PLAN.settings)
        reference = Reference(PLAN.settings, KEY, board.start(KEY))
        for frame, _ in zip(board.frames(), range(FRAMES), strict=False):
            reference.take(frame)
        reference.finish()
    assert frame.good
    assert reference.wrong == 0
    assert reference.words > 3 * FRAMES * PAYLOAD
    assert not board.transmitter._registers.frame_controller.active
    assert link.counts.repeated > 0 or not rate


@pytest.mark.usefixtures("quick")
def test_a_board_that_is_reset_gives_the_same_words() -> None:
    link = linking.Link(Dropping(SerialLink(core()), 0.0), "the port", BOARD.baud, answer_s=0.0005)
    came = []
    with Board(opened(Device(link, inputs=INTO, outputs=OUT_OF)), timeout_s=60) as board:
        for _ in range(2):
            board.reset()
            board.configure(PLAN.settings)
            board.start(KEY)
            came.append([frame.sent.symbols for frame, _ in zip(board.frames(), range(2), strict=False)])
            board.stop()
    np.testing.assert_array_equal(*came)


@pytest.mark.usefixtures("quick")
def test_a_board_that_was_stopped_begins_anew_with_the_frame_that_it_was_told_to() -> None:
    """Frames that nobody took lie in the board's buffers."""
    link = linking.Link(Dropping(SerialLink(core()), 0.0), "the port", BOARD.baud, answer_s=0.0005)
    with Board(opened(Device(link, inputs=INTO, outputs=OUT_OF)), timeout_s=60) as board:
        board.configure(PLAN.settings)
        for number in (0, 100):
            board.start(KEY, number)
            for frame, wanted in zip(board.frames(), range(number, number + 3), strict=False):
                assert frame.sent.frame == wanted
                assert frame.received is None or frame.received.frame == wanted
            board.stop()


@pytest.fixture
def board(quick: None) -> Iterator[Board]:
    """A link's, over a line that loses nothing."""
    link = linking.Link(Dropping(SerialLink(core()), 0.0), "the port", BOARD.baud, answer_s=0.0005)
    with Board(opened(Device(link, inputs=INTO, outputs=OUT_OF)), timeout_s=60) as board:
        yield board


@pytest.mark.parametrize(
    ("shaper", "line"),
    [
        (InterpolatingShaper(np.ones(SPAN, np.int16), 4, 15), "settings for 4 samples a symbol: this bitstream has 8"),
        (InterpolatingShaper(np.ones(9, np.int16), 8, 15), "settings for 9 symbols of a pulse: this bitstream has 17"),
        (InterpolatingShaper(np.ones(33, np.int16), 8, 15), "settings for 33 symbols of a pulse: this bitstream has"),
        (PulseShaper(np.ones(8 * SPAN, np.int16), 8, 15), "has the interpolating_shaper: the settings are for another"),
    ],
)
def test_settings_for_other_gateware_are_refused_before_anything_is_written(
    board: Board, shaper: InterpolatingShaper | PulseShaper, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = replace(PLAN.settings.transmitter, shaper=shaper)
    with monkeypatch.context() as context:
        context.setattr(Page, "put", None)
        with pytest.raises(InputError, match=line):
            board.transmitter.configure(given)


def test_beats_of_more_symbols_than_the_gateware_has_are_refused(board: Board) -> None:
    given = PLAN.settings.transmitter
    limits, preamble = FrameLimits(2), given.frame.preamble[:508]
    frame = replace(given.frame, limits=limits, guard=256, preamble=preamble, header_repetition=2)
    with pytest.raises(InputError, match="settings for 2 symbols a clock: this bitstream has 1"):
        board.transmitter.configure(replace(given, frame=frame))


def changed(page: Page, register: str, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
    """What is written into this register comes otherwise."""
    put = page.put
    page.put = lambda name, **words: put(name, **(change(words) if name == register else words))  # type: ignore[method-assign]


def test_what_the_board_does_not_store_is_no_setting(board: Board) -> None:
    given, pages = PLAN.settings, board.transmitter._registers.pages
    board.configure(given)
    changed(pages["pulse_shaper"], "tap", lambda words: words | {"index": SPAN})
    with pytest.raises(BoardError, match="the board refuses the settings: tap_refused"):
        board.configure(given)
    del pages["pulse_shaper"].put
    board.configure(given)
    alphabet = replace(given.transmitter, source=shaped_qam(16, 3000, 0.05))
    changed(pages["alphabet"], "control", lambda words: {"run": 1})
    with pytest.raises(BoardError, match="the board refuses the settings: row_refused"):
        board.transmitter.configure(alphabet)
    del pages["alphabet"].put
    board.transmitter.configure(alphabet)
    changed(board.receiver.registers.pages["symbol_filter"], "tap", lambda words: words | {"index": 255})
    with pytest.raises(BoardError, match="the board refuses the settings: symbol_filter: tap_refused"):
        board.configure(given)


def test_numbers_that_no_register_holds_are_told_in_a_line(board: Board) -> None:
    board.configure(PLAN.settings)
    for wrong, line in (
        ({"blocks_per_key": 2**32}, r"entropy\.blocks_per_key: count = 4294967296 is outside 0 to 4294967295"),
        ({"instance": -1}, r"entropy\.instance: number = -1 is outside"),
    ):
        with pytest.raises(InputError, match=line):
            board.transmitter.seed(KEY, **wrong)
    with pytest.raises(InputError, match=r"frame_controller\.next_frame: number = 4294967296 is outside"):
        board.transmitter.start(2**32)
    assert not board.transmitter._registers.frame_controller.run


def test_a_key_that_the_board_does_not_take_is_an_error(board: Board) -> None:
    board.configure(PLAN.settings)
    entropy = board.transmitter._registers.pages["entropy"]
    assert board.transmitter.seed(KEY) == 0
    changed(entropy, "source", lambda words: {"mode": Source.OFF})
    with pytest.raises(BoardError, match="the board does not take the key: key_refused"):
        board.transmitter.seed(KEY)
    del entropy.put
    assert board.transmitter.seed(KEY) == 1


@pytest.mark.parametrize("source", [Source.STREAM, Source.DIRECT])
def test_a_qrngs_stream_is_drawn_from_with_the_cutoffs_of_its_claim(board: Board, source: Source) -> None:
    entropy, alice = board.transmitter._registers.pages["entropy"], board.transmitter
    board.configure(PLAN.settings)
    alice.seed(KEY)
    assert alice.draw(source, 8.0, blocks_per_key=3, instance=7) == HealthTests(8, 5, 16)
    assert (entropy.repetition, entropy.proportion) == (5, 16)
    assert (entropy.source, entropy.blocks_per_key, entropy.instance) == (source, 3, 7)
    assert not entropy.keyed
    assert alice.draw(source, 2.0, false_alarm=2**-20).repetition_cutoff == 11  # the example of SP 800-90B, 4.4.1
    assert entropy.repetition == 11
    assert alice.explain() == (
        f"entropy {source.name}: no key, and no stream that passed; since it was cleared: nothing"
    )


def test_a_frame_that_does_not_come_for_want_of_entropy_says_so(board: Board) -> None:
    alice = Transmitter(board.opened.overlay, board.opened.clock_hz, silence_s=10, timeout_s=0.2)
    alice.configure(PLAN.settings.transmitter)
    alice.start()
    with pytest.raises(BoardError, match=r"records: the transfer does not end .*; entropy OFF: no key, and no stream"):
        next(alice.frames(1))
    alice.stop()


@pytest.mark.parametrize(
    ("claim", "others", "line"),
    [
        (8.01, {}, "a sample of 8 bits has no entropy of 8.01 bit"),
        (0.0, {}, "has no entropy of 0 bit"),
        (-1.0, {}, "has no entropy of -1 bit"),
        (float("nan"), {}, "has no entropy of nan bit"),
        (0.05, {}, "0.05 bit per sample: a good source may well repeat one value"),
        (8.0, {"false_alarm": 0.0}, "false-alarm probability of 0"),
        (8.0, {"false_alarm": float("nan")}, "false-alarm probability of nan"),
        (8.0, {"blocks_per_key": -1}, r"entropy\.blocks_per_key: count = -1 is outside"),
    ],
)
def test_a_claim_that_no_test_can_hold_is_refused_and_the_source_left_alone(
    board: Board, claim: float, others: dict[str, float], line: str
) -> None:
    entropy = board.transmitter._registers.pages["entropy"]
    board.transmitter.seed(KEY)
    with pytest.raises(InputError, match=line):
        board.transmitter.draw(Source.DIRECT, claim, **others)  # type: ignore[arg-type]
    assert (entropy.source, entropy.proportion, entropy.keyed) == (Source.HOST, 0, True)
    with pytest.raises(InputError, match="has no stream: choose STREAM or DIRECT"):
        board.transmitter.draw(Source.HOST, 8.0)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"silence_s": 0.0}, "a silence of 0 s: the watch-dog counts"),
        ({"silence_s": float("nan")}, "a silence of nan s"),
        ({"silence_s": -1.0}, "a silence of -1 s"),
        ({"silence_s": 2**32 / BOARD.clock_hz}, "a silence of .* s: the watch-dog counts"),
        ({"timeout_s": 0.0}, "a time-out of 0 s: must be above 0"),
        ({"timeout_s": float("nan")}, "a time-out of nan s"),
    ],
)
def test_times_that_cannot_be_are_refused(board: Board, wrong: dict[str, float], line: str) -> None:
    with pytest.raises(InputError, match=line):
        Board(board.opened, **wrong)


def test_each_end_by_itself_refuses_a_time_out_that_cannot_be(board: Board) -> None:
    opened = board.opened
    with pytest.raises(InputError, match="a time-out of 0 s"):
        Transmitter(opened.overlay, opened.clock_hz, timeout_s=0.0)
    with pytest.raises(InputError, match="a time-out of 0 s"):
        Receiver(opened.overlay, PACKETS, timeout_s=0.0)


def test_the_rest_of_a_packet_that_was_given_up_is_no_packet() -> None:
    device = Packets(a=[([1], False), ([], False), ([2], True), ([3], True)])
    streams = Streams(device, ("a",))
    streams.read()
    channel = streams.channels["a"]
    channel.stop()
    channel.start()
    taker = InTurn(Memory(), channel, 1, "packets")
    assert taker.take(1.0, lambda: None, more=False).view("<u4").tolist() == [[3]]


def test_streams_and_pages_are_those_of_the_design() -> None:
    design = DESIGNS["loopback"].make(BOARD)
    skin = SerialSkin(design, clock_hz=BOARD.clock_hz, baud=BOARD.baud)
    assert (skin.inputs, skin.outputs) == (INTO, OUT_OF)
    assert design.registers == loopback_pages(halvings=2, predistortion=False)


class Packets:
    """A device whose streams give what they are told."""

    def __init__(self, **packets: list[tuple[list[int], bool]]) -> None:
        self.packets = packets

    def fetch(self, stream: str, most: int) -> tuple[np.ndarray, bool]:
        words, last = self.packets[stream].pop(0) if self.packets[stream] else ([], False)
        return np.array(words, np.uint32), last


def test_packets_go_to_buffers_one_by_one_and_all_streams_are_read_while_one_is_waited_for() -> None:
    device = Packets(a=[([1], False), ([2], True), ([3, 4], True)], b=[([9], True)])
    streams = Streams(device, ("a", "b"))
    taker = InTurn(Memory(), streams.channels["a"], 2, "packets")
    for words in ([1, 2], [3, 4]):
        taken = taker.take(1.0, lambda: None, more=False)
        assert taken.view("<u4").ravel().tolist() == words
    assert list(streams.packets["b"]) == [np.array([9], "<u4").tobytes()]
    assert taker.moved == 16


def test_a_packet_that_does_not_fit_is_an_error_until_the_channel_is_started_again() -> None:
    device = Packets(a=[([1, 2, 3], True)])
    channel = Streams(device, ("a",)).channels["a"]
    taker = InTurn(Memory(), channel, 1, "packets")
    with pytest.raises(BoardError, match=r"packets: the transfer failed: .*internal_error"):
        taker.take(1.0, lambda: None, more=False)
    channel.stop()
    channel.start()
    device.packets["a"].append(([4], True))
    taker = InTurn(Memory(), channel, 1, "packets")
    assert taker.take(1.0, lambda: None, more=False).view("<u4").tolist() == [[4]]


@pytest.fixture
def run(tmp_path, capsys: pytest.CaptureFixture[str]) -> Iterator:
    """The command; its exit code and what it says."""

    def run(board: str) -> tuple[int, str]:
        code = main(["run", "--board", board, "--plain", "--store", str(tmp_path / "keys")])
        return code, capsys.readouterr().err

    return run


def test_a_cable_that_is_not_there_is_one_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", list)
    code, said = run("ulx3s")
    assert code == 2
    assert "no USB serial port 0403:6015 is there: plug the Radiona ULX3S-85F in, or name its port" in said
    code, said = run("ulx3s:/dev/nowhere")
    assert code == 2
    assert "cannot open /dev/nowhere at 3000000 baud: there is no such port: is the board plugged in?" in said


def test_a_package_that_is_missing_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    assert run("ulx3s") == (
        2,
        "kronborg run: the Radiona ULX3S-85F is at a serial port: pip install 'kronborg[serial]'\n",
    )


def test_another_bitstream_is_one_line(run) -> None:
    with PseudoTerminal(EchoBoard()) as terminal:
        code, said = run(f"ulx3s:{terminal.name}")
    assert code == 1
    assert "1 streams into its design and 1 out of it" in said
    assert said.count("another bitstream is loaded") == 1
    assert "Traceback" not in said


def test_a_bitstream_of_another_version_is_one_line(run) -> None:
    board = SerialLink(core())
    pages = board._core.registers
    table = pages["receiver_mixer"]
    at, read = pages.base("receiver_mixer") + table["version"].offset, board.read
    board.read = lambda address: (table["version"].word(major=77), 0) if address == at else read(address)
    with PseudoTerminal(board) as terminal:
        code, said = run(f"ulx3s:{terminal.name}")
    assert code == 1
    assert "mixer has version 77 and this driver is for" in said


def test_a_cable_that_is_pulled_is_one_line() -> None:
    class Pulled(Dropping):
        def read(self, size: int = 1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(BoardError, match=r"the port is gone \(Input/output error\): plug the board in and begin anew"):
        linking.Link(Pulled(SerialLink(core()), 0.0), "the port", BOARD.baud)


def test_settings_for_other_sizes_than_those_of_the_board_are_refused() -> None:
    link = linking.Link(Dropping(SerialLink(core()), 0.0), "the port", BOARD.baud)
    device = Device(link, inputs=INTO, outputs=OUT_OF)
    with Board(opened(device), timeout_s=60) as board, pytest.raises(Exception, match="this bitstream has 64"):
        board.configure(replace(PLAN, detector_chips=128).settings)
