"""The transmitter overlay's RTL, driven by the host through PYNQ: every sample and recorded symbol is the model's."""

from dataclasses import replace

import numpy as np
import pynq
import pytest

from kronborg.board.pynq.drivers import TransmitterDriver
from kronborg.board.pynq.transmitter import Transmitter
from kronborg.errors import BoardError, InputError
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.modulation.gaussian.model import GaussianSource
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.model import Predistortion
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.modulation.symbol_record.model import Flag, read_packet
from kronborg_hdl.transmitter.model import Transmitter as Settings

from .conftest import TRANSMITTER_SPAN, M

PAYLOAD, NUMBER, FRAMES = 128, 2**32 - 2, 5
WORDS_PER_BLOCK = 16
KEY = np.arange(1, KEY_WORDS + 1, dtype=np.uint32) * np.uint32(0x01020304)


@pytest.fixture
def host(transmitting) -> Transmitter:
    return Transmitter(transmitting.overlay, pynq.Clocks.fclk0_mhz * 1e6, silence_s=5e-4)


def settings(overlay, payload: int = PAYLOAD) -> Settings:
    rng = np.random.default_rng(5)
    head = overlay.transmitter.frame_controller.head
    largest = 2**15 // TRANSMITTER_SPAN
    return Settings(
        source=GaussianSource(20_000),
        frame=FrameSettings(
            FrameLimits(symbols_per_clock=1),
            guard=2,
            preamble=rng.integers(-(2**14), 2**14, (head, 2)).astype(np.int16),
            header_repetition=1,
            header_symbol=(9000, -9000),
            payload=payload,
            vacuum=64,
        ),
        shaper=InterpolatingShaper(rng.integers(-largest, largest, TRANSMITTER_SPAN).astype(np.int16), M, 18),
        shift_word=0x1234_5678,
        pilots=(Pilot(0x2000_0000, 6000, 0x1000_0000),),
    )


def expected(given: Settings, epoch: int, frames: int):
    blocks = -(-frames * given.frame.payload * 2 // WORDS_PER_BLOCK)
    return list(given.run(Entropy().host(KEY, epoch, blocks), frames, number=NUMBER))


def test_pynq_binds_our_drivers_by_itself(transmitting) -> None:
    overlay = transmitting.overlay
    assert type(overlay.transmitter) is TransmitterDriver
    assert type(overlay.watchdog).__name__ == "WatchdogDriver"
    assert overlay.transmitter.samples_per_symbol == M
    assert overlay.transmitter.span == TRANSMITTER_SPAN
    assert "predistortion" not in overlay.transmitter.pages
    pilots = overlay.transmitter.shift_and_pilots
    pilots.pilot_0_increment = 0.25
    assert pilots.get("pilot_0_increment") == 2**30
    assert pilots.pilot_0_increment == 0.25
    with pytest.raises(InputError, match=r"pilot_0_increment\.word = 3 is outside"):
        pilots.pilot_0_increment = 3
    assert "turn" in type(pilots).pilot_0_increment.__doc__


def test_samples_and_records_of_every_frame_are_the_models(transmitting, host: Transmitter) -> None:
    given = settings(transmitting.overlay)
    host.configure(given)
    epoch = host.seed(KEY)
    with host:
        host.start(NUMBER)
        came = list(host.frames(FRAMES))
    for frame, wanted in zip(came, expected(given, epoch, FRAMES), strict=True):
        np.testing.assert_array_equal(frame.packet.symbols, wanted.packet.symbols)
        np.testing.assert_array_equal(frame.samples, wanted.samples)
        assert frame.packet.frame == wanted.packet.frame
        assert frame.packet.may_become_key
    assert not transmitting.overlay.transmitter.frame_controller.active


def test_the_transmitter_begins_anew_after_it_was_stopped(transmitting, host: Transmitter) -> None:
    given = settings(transmitting.overlay)
    for _ in range(2):
        host.configure(given)
        epoch = host.seed(KEY)
        host.start(NUMBER)
        frame = next(iter(host.frames(3)))
        wanted = expected(given, epoch, 1)[0]
        np.testing.assert_array_equal(frame.samples, wanted.samples)
        host.stop()


@pytest.mark.parametrize("kind", ["rtl"])
def test_samples_that_are_missing_are_counted_and_mark_their_frame_for_the_host(transmitting) -> None:
    """Records that nobody takes fill their FIFO, and the third frame waits: its converter has no sample."""
    host, core = Transmitter(transmitting.overlay, pynq.Clocks.fclk0_mhz * 1e6), transmitting.overlay.transmitter
    given = settings(transmitting.overlay, payload=core.symbol_record.depth // 2 - 64)
    host.configure(given)
    host.seed(KEY)
    assert (core.gaps, core.happened()) == (0, [])
    waste, samples = pynq.allocate(1 << 20, "u1"), transmitting.overlay.samples.recvchannel
    with host:
        host.start(NUMBER)
        for _ in range(2):
            samples.transfer(waste)
            samples.wait()
        samples.transfer(waste)
        transmitting.device.gateware.run(4000)
        assert core.gaps > 1000
        assert core.happened() == ["gap"]
        record = host.takers()[0]
        came = [read_packet(record.take(60.0, host.alive, more=True), symbols_per_clock=1) for _ in range(3)]
        record.erase()
        assert [packet.flags for packet in came] == [0, 0, Flag.GAP]
        assert not came[2].may_become_key
        core.clear_counters()
        assert core.gaps == 0


def test_a_host_that_is_silent_stops_the_board_with_the_frame_under_way(transmitting, host: Transmitter) -> None:
    host.configure(settings(transmitting.overlay))
    host.seed(KEY)
    host.start()
    list(host.frames(2))
    assert transmitting.overlay.watchdog.permits
    transmitting.device.gateware.run(60_000)
    assert transmitting.overlay.watchdog.get("status") == 1
    assert not transmitting.overlay.watchdog.permits
    with pytest.raises(BoardError, match=r"the watch-dog has stopped the board: no frame was taken for 0\.0005 s"):
        list(host.frames(50))
    host.stop()
    assert not transmitting.overlay.transmitter.frame_controller.active
    host.start(NUMBER)
    assert next(host.frames(2)).packet.frame == NUMBER
    host.stop()


def test_without_a_watch_dog_that_permits_no_frame_begins(transmitting, host: Transmitter) -> None:
    host.configure(settings(transmitting.overlay))
    host.seed(KEY)
    transmitting.overlay.transmitter.frame_controller.run = True
    transmitting.device.gateware.run(20_000)
    assert not transmitting.overlay.transmitter.frame_controller.active
    assert transmitting.overlay.transmitter.frames == 0


def test_a_frame_that_does_not_come_is_explained(transmitting) -> None:
    host = Transmitter(transmitting.overlay, 1e8, silence_s=10.0, timeout_s=0.2)
    host.configure(settings(transmitting.overlay))
    host.start()  # without a key
    with pytest.raises(BoardError, match=r"records: the transfer does not end within 0.* receive_control"):
        list(host.frames(1))


def test_what_the_board_cannot_do_is_refused_in_a_line(transmitting, host: Transmitter) -> None:
    given = settings(transmitting.overlay)
    with pytest.raises(InputError, match="make both even"):
        host.configure(settings(transmitting.overlay, payload=PAYLOAD + 1))
    with pytest.raises(InputError, match="no pre-distortion"):
        host.configure(replace(given, predistortion=Predistortion()))
    short = replace(given.frame, preamble=given.frame.preamble[:2], header_repetition=0)
    with pytest.raises(BoardError, match="the board refuses the settings: settings_refused"):
        host.configure(replace(given, frame=short))
    with pytest.raises(InputError, match="no settings"):
        host.start()
    with pytest.raises(InputError, match="a key is 8 words"):
        host.seed(KEY[:7])


def test_a_driver_on_another_core_says_so(transmitting) -> None:
    description = dict(transmitting.overlay.ip_dict["watchdog"], device=transmitting.device)
    with pytest.raises(BoardError, match="transmitter answers as 'KBWD': the bitstream on the board is another"):
        TransmitterDriver(description)
