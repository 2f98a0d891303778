"""A receiver of two converters at two lanes: RTL against model, what it tells of its words, and its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from kronborg_hdl.axi.registers import Access
from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.converter_input.model import ConverterInput, fixed_offset, imbalance_correction
from kronborg_hdl.compensation.mixer.model import Mixer
from kronborg_hdl.compensation.pilot_tracker.model import PilotTracker
from kronborg_hdl.compensation.rotator.model import Rotator
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor
from kronborg_hdl.decimation.half_band.model import NARROW, WIDE, HalfBand
from kronborg_hdl.decimation.resampler.model import start
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.receiver.core import Receiver as ReceiverCore
from kronborg_hdl.receiver.model import alignment, decimate
from kronborg_hdl.receiver.registers import receiver_pages
from kronborg_hdl.receiver.tap.model import pack
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, Flag
from kronborg_sim.benches.receiver import PACKETS, SAMPLES, ReceiverBench, Scene
from kronborg_sim.rtl.model import RtlModel

from .links import DETECTOR_CHIPS, FRAMES, LEAST_CORRELATION, SCENE, Link, feed, good, receive

LANES, HALVINGS = 2, 2
SHORT = replace(SCENE, payload=1024, vacuum=1280)
SILENCE = 8192
"""Samples behind which all has come through."""
LISTENERS = ("frame_synchroniser", "power_meter", "tap")
"""Pages whose commands change no word: the synchroniser's settings wait for a frame's end."""
COMMANDS = [
    (page, command.name)
    for page, registers in receiver_pages(HALVINGS).pages
    for command in registers["control"].fields
    if command.access is Access.COMMAND and command.name != "clear_counters"
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ReceiverBench:
    core = ReceiverCore(
        lanes=LANES, halvings=HALVINGS, complex_input=True, preamble=SCENE.preamble, detector_chips=DETECTOR_CHIPS
    )
    verilog = Skin(core).to_verilog("receiver")
    return ReceiverBench(core, RtlModel(verilog, "receiver", core.registers, tmp_path_factory.mktemp("receiver")))


def link(scene: Scene, *, frames: int, gain: float = 1.0, skew_rad: float = 0.0) -> Link:
    rng = np.random.default_rng(9)
    sent, symbols = scene.sent(frames, rng)
    return Link(scene, symbols, scene.detected_by_two(np.concatenate(sent), rng, gain=gain, skew_rad=skew_rad))


def told_the_beat(scene: Scene) -> ClosedLoop:
    """Settings of a receiver that does not search."""
    model, beat = scene.receiver(LANES, detector_chips=DETECTOR_CHIPS), phase_word(scene.beat_hz, scene.sample_rate_hz)
    return replace(model, tracker=PilotTracker(replace(model.tracker.settings, start=beat, step=0, trials=1)))


def test_samples_of_two_converters_are_received_with_their_imbalance_taken_off(bench: ReceiverBench) -> None:
    # 180 MHz below: the signal lies about -55 MHz, where one converter would see its image; the image of the pilot, at
    # -70 MHz, is half a SNU until the imbalance is taken off.
    of = link(replace(SHORT, beat_hz=-180e6), frames=FRAMES, gain=1.1, skew_rad=0.1)
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    gain, skew = imbalance_correction(1.1, 0.1)
    model = replace(model, converter_input=ConverterInput(gain=gain, skew=skew))
    packets, expected = receive(bench, of, model=model)
    assert not expected.saturated
    assert good(packets) >= {FRAMES - 2, FRAMES - 1}
    assert of.correlation(packets[FRAMES - 1]) > LEAST_CORRELATION


@dataclass(frozen=True, eq=False)
class Loud:
    """Samples in which one part alone clips words, int16, shape (n, 2), and the settings for it.

    Attributes:
        samples: see there.
        offset: of I, loaded.
        signal: increment of the signal's oscillator.
        turns: the rotator does.
        faster: step of the resampler, above the nominal one.
        shift: of the symbol filter, likewise.
    """

    samples: np.ndarray = field(repr=False)
    offset: int = 0
    signal: int = 0
    turns: bool = False
    faster: int = 0
    shift: int = 3


def on_i(rail: np.ndarray) -> np.ndarray:
    return np.stack([np.rint(rail), 0 * rail], axis=-1).astype(np.int16)


def pulse(*rails: int) -> np.ndarray:
    """One sample, an odd one."""
    samples = np.zeros((1024, 2), np.int16)
    samples[401] = rails
    return samples


def impulse_response(of: HalfBand) -> np.ndarray:
    taps = np.zeros(2 * of.delay + 1)
    taps[of.delay] = 0.5
    for k, tap in enumerate(of.taps):
        taps[[of.delay - 2 * k - 1, of.delay + 2 * k + 1]] = tap / 2**of.fraction
    return taps


def signs(response: np.ndarray, amplitude: float) -> np.ndarray:
    """The samples that a response sums to the largest word, in each of four places against what decimates by four."""
    rail = np.zeros(1024)
    for at in (100, 301, 502, 703):
        rail[at : at + len(response)] = amplitude * np.sign(response)
    return on_i(rail)


def loud() -> Mapping[str, Loud]:
    stretched = np.zeros(2 * len(impulse_response(WIDE)) - 1)
    stretched[::2] = impulse_response(WIDE)
    place = np.arange(2048)
    swell = np.rint(0.75 * 2**15 * (1 - np.cos(2 * np.pi * place / 2048)) / 2)
    return {
        "converter_input": Loud(pulse(-30_000, 0), offset=10_000),
        # An eighth of a turn a sample: both rails come to lie on one.
        "mixer": Loud(pulse(30_000, 30_000), signal=1 << 29),
        "half_band_0": Loud(signs(impulse_response(NARROW), 27_000)),
        "half_band_1": Loud(signs(np.convolve(impulse_response(NARROW), stretched), 24_000)),
        # What swells is its own pilot.
        "rotator": Loud(np.stack([swell, swell], axis=-1).astype(np.int16), turns=True),
        # Peaks between the samples: four of them a turn, and positions that move.
        "resampler": Loud(on_i(27_000 * np.sign(np.cos(2 * np.pi * (place + 0.5) / 16))), faster=1 << 24),
        "symbol_filter": Loud(on_i(np.random.default_rng(1).normal(0, 3000, 2048)), shift=-4),
        "none": Loud(on_i(np.random.default_rng(1).normal(0, 3000, 2048))),
    }


@pytest.mark.parametrize("part", list(loud()))
def test_a_word_that_any_part_clips_is_told(bench: ReceiverBench, part: str) -> None:
    case, rtl = loud()[part], bench.rtl
    told = SCENE.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    louder = replace(told.symbol_filter, shift=told.symbol_filter.shift + case.shift)
    model = replace(told, mixer=Mixer((case.signal, 0, 0), HALVINGS), symbol_filter=louder)
    samples = np.concatenate([case.samples, np.zeros((SILENCE, 2), np.int16)])
    step = model.synchroniser.settings.timing.step + case.faster
    rtl.pause(SAMPLES, 0.0, seed=1)
    rtl.reset()
    bench.configure(model)
    rtl.write(("converter_input", "offset"), i=case.offset)
    rtl.write(("converter_input", "control"), load_offset=1)
    rtl.write(("rotator", "mode"), noise=int(not case.turns))
    rtl.write(("resampler", "step_low"), word=step % 2**32)
    # No tone is a pilot: the beat stays zero.
    rtl.write(("pilot_tracker", "threshold"), word=2**24)
    rtl.write(("pilot_tracker", "start"), word=0)
    rtl.write(("pilot_tracker", "step"), word=0)
    for page in ("rotator", "resampler", "pilot_tracker"):
        rtl.write((page, "control"), apply=1)
    feed(bench, samples)

    clipped = {}
    converted = model.converter_input.process(samples, fixed_offset(case.offset, 0))
    mixed = model.mixer.process(converted.words)
    clipped |= {"converter_input": converted.saturated, "mixer": mixed.saturated}
    decimated, halved = decimate(mixed.signal, HALVINGS)
    clipped["half_band_0"] = NARROW.process(mixed.signal)[1]
    clipped["half_band_1"] = halved - clipped["half_band_0"]
    rotator = Rotator(alignment(HALVINGS).hops, case.turns)
    rotated = rotator.process(decimated, unit_phasor(model.smoother.process(mixed.pilots[0])))
    resampled = model.resampler.process(rotated.samples, start(step))
    clipped |= {"rotator": rotated.saturated, "resampler": resampled.saturated}
    clipped["symbol_filter"] = model.symbol_filter.process(resampled.samples).saturated
    assert [name for name, words in clipped.items() if words] == [part] * (part != "none")
    assert {name: rtl.read((name, "saturations"), "count") for name in clipped} == clipped
    assert rtl.read(("receiver", "status"), "saturated") == (part != "none")
    assert rtl.read(("receiver", "status"), "over_range") == 0


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_that_changes_words_is_told_and_no_other(bench: ReceiverBench, page: str, command: str) -> None:
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.reset()
    bench.rtl.write((page, "control"), **{command: 1})
    assert bench.rtl.read(("receiver", "status"), "changed") == (page not in LISTENERS)


def test_settings_that_wait_for_the_next_hop_are_told_until_they_hold(bench: ReceiverBench) -> None:
    def told() -> int:
        bench.rtl.write(("receiver", "status"), changed=1)
        return bench.rtl.read(("receiver", "status"), "changed")

    hop = np.zeros((bench.core.mixer.hop, 2), np.int16)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(SCENE.receiver(LANES, detector_chips=DETECTOR_CHIPS))
    feed(bench, hop[:LANES])
    assert told() == 0
    bench.rtl.write(("mixer", "control"), apply=1)
    assert told() == 1
    feed(bench, hop[LANES:])
    assert told() == 0


@pytest.mark.parametrize("event", [Flag.OVER_RANGE, Flag.CHANGED])
def test_a_picture_begins_with_what_happens(bench: ReceiverBench, event: Flag) -> None:
    samples, beats = np.ones((256, 2), np.int16), 16
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.pause("m_axis_picture", 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(SCENE.receiver(LANES, detector_chips=DETECTOR_CHIPS))
    bench.rtl.write(("tap", "length"), beats=beats)
    bench.rtl.write(("tap", "trigger"), mask=1 << EVENTS.index(event))
    bench.rtl.write(("tap", "control"), capture=1)
    feed(bench, samples)
    assert bench.rtl.read(("tap", "taken"), "beats") == 0
    if event is Flag.CHANGED:
        bench.rtl.write(("rotator", "control"), apply=1)
    else:
        samples[0] = 32767
    feed(bench, samples)
    assert bench.rtl.read(("tap", "taken"), "beats") == beats


def test_a_picture_has_a_beat_that_waits_once(bench: ReceiverBench) -> None:
    # Memory takes packets slowly: where no more can wait, the synchroniser does not take each symbol at once.
    of, number = link(SHORT, frames=2), bench.core.places.index("symbols")
    beats = 2 * SHORT.period - 1000

    def capture() -> None:
        bench.rtl.pause("m_axis_picture", 0.0, seed=1)
        bench.rtl.write(("tap", "place"), number=number)
        bench.rtl.write(("tap", "length"), beats=beats)
        bench.rtl.write(("tap", "control"), capture=1)

    _, expected = receive(bench, of, model=told_the_beat(SHORT), back_pressure=0.95, ready=capture)
    assert bench.rtl.read(("receiver", "overruns"), "count") > 1000, "no beat waited"
    picture, tap = bench.rtl.received("m_axis_picture").data, bench.core.tap
    np.testing.assert_array_equal(picture, pack(expected.symbols[:beats], tap.places[number], tap.beat_bytes))


@pytest.mark.parametrize(
    ("what", "register", "values"),
    [("late", "retime_after", {"symbols": 0}), ("lost", "retime_after", {"symbols": 1 << 20})],
)
def test_a_command_that_the_resampler_cannot_follow_marks_the_frame(
    bench: ReceiverBench, what: str, register: str, values: dict[str, int]
) -> None:
    # Payloads are as short as can be: the place of a command comes soon, and many wait for one that is far.
    of = link(replace(SCENE, payload=16, vacuum=600), frames=10)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.pause(PACKETS, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(told_the_beat(of.scene))
    bench.rtl.write(("frame_synchroniser", register), **values)
    bench.rtl.write(("frame_synchroniser", "control"), run=1, apply=1)
    feed(bench, of.samples)
    amiss = {
        "late": bench.rtl.read(("resampler", "late_commands"), "count"),
        "lost": bench.rtl.read(("frame_synchroniser", "status"), "retime_lost"),
    }
    assert [name for name, count in amiss.items() if count] == [what]
    assert bench.rtl.read(("receiver", "status"), "late") == 1
    packets = bench.packets()
    assert any(packet.flags & Flag.LATE for packet in packets)
    assert not any(packet.good for packet in packets)
