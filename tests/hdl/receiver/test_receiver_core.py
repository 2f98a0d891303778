"""The assembly's RTL against its model in one build, on a link. Each scenario begins with a reset."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kronborg_hdl.axi.marks import EVENT_BITS
from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.pilot_tracker.model import PilotTracker
from kronborg_hdl.decimation.power_meter.model import Measurement, PowerMeter, Section
from kronborg_hdl.decimation.power_meter.registers import SUMS
from kronborg_hdl.dsp.nco import phase_word, word_frequency
from kronborg_hdl.receiver.closed_loop import Change
from kronborg_hdl.receiver.core import Receiver as ReceiverCore
from kronborg_hdl.receiver.pilot_loop import PilotLoop
from kronborg_hdl.receiver.registers import REGISTERS, receiver_pages
from kronborg_hdl.receiver.stream import ReceiverStream
from kronborg_hdl.receiver.tap.model import pack
from kronborg_hdl.synchronisation.frame_synchroniser.model import sections_of
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, Flag
from kronborg_hdl.transmitter.model import Transmitter
from kronborg_sim.benches.receiver import PACKETS, SAMPLES, ReceiverBench, Scene
from kronborg_sim.rtl.bench import BACK_PRESSURE, IDLE, run_case, set_pauses
from kronborg_sim.rtl.cases.receiver import receiver_of
from kronborg_sim.rtl.model import RtlModel

from .links import DETECTOR_CHIPS, FRAMES, LEAST_CORRELATION, SCENE, Link, between_parts, feed, good, link, receive

LANES, PACKET_DEPTH = 8, 64
HIT = 6
"""The frame that something happens to: by then the clock is known."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ReceiverBench:
    core = ReceiverCore(
        lanes=LANES,
        halvings=SCENE.halvings,
        preamble=SCENE.preamble,
        detector_chips=DETECTOR_CHIPS,
        packet_depth=PACKET_DEPTH,
    )
    verilog = Skin(core).to_verilog("receiver")
    return ReceiverBench(core, RtlModel(verilog, "receiver", core.registers, tmp_path_factory.mktemp("receiver")))


@pytest.mark.parametrize(("idle", "back_pressure"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.6), (0.4, 0.6)])
def test_finds_beat_frames_and_clock_by_itself_whatever_pauses(
    bench: ReceiverBench, idle: float, back_pressure: float
) -> None:
    of = link()
    packets, expected = receive(bench, of, idle=idle, back_pressure=back_pressure)
    assert [packet.flags for packet in packets.values()] == [packet.flags for packet in expected.packets]
    assert expected.packets[0].flags & Flag.UNLOCKED, "a frame from before the lock"
    assert good(packets) >= set(range(HIT - 1, FRAMES))
    for number in good(packets):
        assert of.correlation(packets[number]) > LEAST_CORRELATION


@pytest.mark.parametrize("clock_offset_ppm", [-100.0, 100.0])
def test_follows_clocks_that_are_far_apart(bench: ReceiverBench, clock_offset_ppm: float) -> None:
    of = link(replace(SCENE, clock_offset_ppm=clock_offset_ppm), seed=2, frames=12)
    packets, _ = receive(bench, of)
    assert {10, 11} <= good(packets)
    assert of.correlation(packets[11]) > LEAST_CORRELATION
    assert np.sqrt(np.mean([packets[number].late_symbols ** 2 for number in good(packets)])) < 1 / 128


def test_finds_a_beat_anywhere_in_its_range_while_that_drifts(bench: ReceiverBench) -> None:
    # The host knows no more than that it lies within 200 MHz: 201 trials, twice, are 23 frames.
    of = link(replace(SCENE, beat_hz=199.3e6, drift_hz_per_s=-1e6), frames=30)
    told = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    step = phase_word(2e6, SCENE.sample_rate_hz)
    searching = PilotTracker(replace(told.tracker.settings, start=-100 * step, step=step, trials=201))
    packets, expected = receive(bench, of, model=replace(told, tracker=searching))
    assert good(packets) >= {27, 28, 29}
    assert of.correlation(packets[29]) > LEAST_CORRELATION
    beat = word_frequency(expected.tracker.now.beat, SCENE.sample_rate_hz)
    assert beat - 199.3e6 + 1e6 * len(of.samples) / SCENE.sample_rate_hz == pytest.approx(0, abs=3e3)
    assert expected.tracker.slips == expected.tracker.losses == 0


def test_a_core_that_is_quicker_than_the_converter_loses_no_sample_when_alices_clock_is_the_faster_one(
    bench: ReceiverBench,
) -> None:
    # More symbols than beats of samples: where the resampler's step is near one a clock must be free now and then.
    of = link(replace(SCENE, clock_offset_ppm=-100.0), frames=12)
    packets, _ = receive(bench, of, idle=0.01, source_waits=False)
    assert {10, 11} <= good(packets)
    assert bench.rtl.read(("receiver", "overruns"), "count") == 0


def test_no_sample_is_lost_to_a_memory_that_pauses_for_as_long_as_packets_can_wait(bench: ReceiverBench) -> None:
    receive(bench, link(), source_waits=False)
    assert bench.rtl.read(("receiver", "overruns"), "count") == 0
    assert bench.rtl.read(("receiver", "status"), "overrun") == 0


def test_a_memory_that_is_too_slow_marks_every_frame_that_it_held_up(bench: ReceiverBench) -> None:
    packets, _ = receive(bench, link(), back_pressure=0.6, source_waits=False)
    assert not good(packets)
    assert all(packet.flags & Flag.OVERRUN for packet in packets.values())
    assert bench.rtl.read(("receiver", "overruns"), "count") > 1000


def test_a_converter_over_its_range_marks_the_frame_and_the_next_one_is_good(bench: ReceiverBench) -> None:
    of = link()
    of.samples[of.frame(HIT).start + 100] = 32767
    packets, _ = receive(bench, of)
    assert packets[HIT].flags == Flag.OVER_RANGE
    assert good(packets) >= {HIT - 1, HIT + 1, HIT + 2}


def test_a_converter_that_is_overdriven_for_a_payload_marks_its_frame_alone(bench: ReceiverBench) -> None:
    of = link()
    within = of.frame(HIT)
    of.samples[within] = np.clip(of.samples[within].astype(int) * 12, -(2**15), 2**15 - 1)
    packets, _ = receive(bench, of)
    assert packets[HIT].flags & Flag.OVER_RANGE
    assert good(packets) >= {HIT - 1, HIT + 1, HIT + 2}


def test_light_that_fails_in_mid_frame_marks_the_frame_and_the_next_one_is_good(bench: ReceiverBench) -> None:
    of = link()
    dark = np.random.default_rng(3).normal(0, 1500, 1200)
    of.samples[of.frame(HIT).start :][: len(dark)] = np.rint(dark)
    packets, _ = receive(bench, of)
    assert packets[HIT].flags & Flag.UNLOCKED
    assert good(packets) >= {HIT - 1, HIT + 1, HIT + 2}


def test_a_preamble_that_is_missing_is_counted_and_frames_are_good_again(bench: ReceiverBench) -> None:
    rng = np.random.default_rng(5)
    frames = [frame.copy() for frame in SCENE.sent(FRAMES, rng)[0]]
    rng = np.random.default_rng(5)
    _, symbols = SCENE.sent(FRAMES, rng)
    # The pilot alone, where chips were.
    m, frame = SCENE.samples_per_symbol, SCENE.transmitter.frame
    chips = slice(frame.guard * m, (frame.guard + SCENE.preamble + 32) * m)
    silent = replace(SCENE.transmitter, frame=replace(frame, preamble=np.zeros_like(frame.preamble)))
    frames[HIT][chips] = next(iter(silent.run(np.zeros(0, np.uint32), 1))).samples[chips]
    of = Link(SCENE, symbols, SCENE.detected(np.concatenate(frames), rng))
    packets, run = receive(bench, of)
    assert HIT not in packets
    assert run.counts.missing >= 1
    assert good(packets) >= {HIT - 1, HIT + 2}


def test_a_frame_that_is_cut_short_is_marked_and_the_next_one_is_good(bench: ReceiverBench) -> None:
    rng = np.random.default_rng(6)
    frames, symbols = SCENE.sent(FRAMES, rng)
    # Whole turns of pilot and shift are in eight samples, so that their phases go on.
    head = SCENE.transmitter.frame.head * SCENE.samples_per_symbol
    frames[HIT] = frames[HIT][: head + 8000]
    of = Link(SCENE, symbols, SCENE.detected(np.concatenate(frames), rng))
    packets, _ = receive(bench, of)
    assert packets[HIT].flags & Flag.CUT_SHORT
    assert len(packets[HIT].symbols) < SCENE.payload
    assert HIT + 2 in good(packets)


def test_a_search_ordered_in_mid_stream_begins_at_once_and_is_the_models(bench: ReceiverBench) -> None:
    # Blocks of 2**10 sub-blocks: what was commanded acts up to 16384 hops later than the new search's first trials.
    of = link()
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    settings = model.tracker.settings
    long = replace(model, tracker=PilotTracker(replace(settings, block_log2=10)))
    change = Change(10_000, tracker=model.tracker)
    packets, expected = receive(bench, of, model=long, changes=[(change, lambda: bench.search(settings))])
    assert expected.tracker.locked
    assert bench.rtl.read(("mixer", "beat_now"), "word") == expected.tracker.now.beat
    assert packets[2].flags & Flag.CHANGED
    assert {6, 7, 8} <= good(packets)


@pytest.mark.parametrize("clock_offset_ppm", [-100.0, 100.0])
def test_the_host_retunes_the_mixer_in_mid_stream_and_loses_that_frame_alone(
    bench: ReceiverBench, clock_offset_ppm: float
) -> None:
    # The pilots' clock is not known at first: between pilot and signal it leaves 12.5 kHz.
    of = link(replace(SCENE, clock_offset_ppm=clock_offset_ppm), frames=12)
    told = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    untold = replace(told, mixer=SCENE.receiver(LANES, detector_chips=DETECTOR_CHIPS).mixer)
    at = of.middle(9)
    beat = untold.process(of.samples[: at * 8]).tracker.now.beat

    def tune() -> None:
        assert bench.tune(told.mixer) == beat

    packets, _ = receive(bench, of, model=untold, changes=[(Change(at, mixer=told.mixer, beat=beat), tune)])
    assert packets[9].flags == Flag.CHANGED
    assert good(packets) >= {8, 10, 11}
    assert of.correlation(packets[8]) < LEAST_CORRELATION < of.correlation(packets[10])


def test_settings_applied_within_a_frame_mark_it_and_no_other(bench: ReceiverBench) -> None:
    of = link(frames=FRAMES + 1)
    pages = ("converter_input", "phase_smoother", "rotator", "symbol_filter")
    frames = range(HIT, HIT + len(pages))

    def write(page: str) -> Callable[[], object]:
        # The same settings: no word changes.
        return lambda: bench.rtl.write((page, "control"), apply=1)

    changes = [(Change(of.middle(number)), write(page)) for number, page in zip(frames, pages, strict=True)]
    packets, _ = receive(bench, of, changes=changes)
    assert [packets[number].flags for number in frames] == [Flag.CHANGED] * len(pages)
    assert packets[frames[0] - 1].good
    packets, _ = receive(bench, of, changes=changes[1:2])
    assert {number for number in frames if not packets[number].good} == {frames[1]}


def test_samples_thrown_away_within_a_frame_mark_it(bench: ReceiverBench) -> None:
    of = link()
    begin = of.middle(HIT) * 8
    kept = Link(of.scene, of.symbols, np.delete(of.samples, slice(begin, begin + 64)))

    def stop() -> None:
        bench.rtl.write(("receiver", "control"), run=0, source_waits=1)
        feed(bench, of.samples[begin : begin + 64])
        bench.rtl.write(("receiver", "control"), run=1, source_waits=1)

    packets, _ = receive(bench, kept, changes=[(Change(of.middle(HIT)), stop)])
    assert packets[HIT].flags & Flag.CHANGED
    assert packets[HIT - 1].good


@pytest.mark.parametrize("what", ["faint", "slips"])
def test_what_happens_to_the_pilot_marks_a_frame_that_leaves_before_its_block_ends(
    bench: ReceiverBench, what: str
) -> None:
    # Blocks are 4096 hops: from the middle of a payload to the frame's end there are 1024.
    of = link()
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    model = replace(model, tracker=PilotTracker(replace(model.tracker.settings, block_log2=8)))
    begin = of.middle(HIT) // 16 * 16 * 8
    if what == "slips":
        of.samples[begin:] *= -1
    else:
        # Far above half the threshold, a sixth of the pilot; below half of what it is.
        faint = of.samples[begin : begin + 3 * 16 * 8]
        faint[:] = np.rint(faint * 0.35)
    packets, expected = receive(bench, of, model=model)
    assert packets[HIT].flags == Flag.UNLOCKED
    assert packets[HIT - 1].good
    assert bool(expected.tracker.slips) == (what == "slips")


def test_the_lock_is_held_in_the_blocks_in_which_the_models_is(bench: ReceiverBench) -> None:
    # After a search the beat is pulled in for a block; only one that was followed wins the lock.
    of = link(frames=3)
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(model)
    loop, held = PilotLoop(model.mixer, model.tracker), []
    for samples in np.split(of.samples[: 24 * 512 * 8], range(300 * 8, 24 * 512 * 8, 512 * 8)):
        loop.process(samples)
        feed(bench, samples)
        assert loop.tracker_state is not None
        held.append(loop.tracker_state.locked)
        assert bench.rtl.read(("pilot_tracker", "state"), "locked") == held[-1]
    assert set(held) == {False, True}


def test_two_pilots_tell_the_clock(bench: ReceiverBench) -> None:
    of = link(replace(SCENE, two_pilots=True, pilot_snr_db=17.0))
    packets, expected = receive(bench, of)
    assert good(packets) >= set(range(HIT - 1, FRAMES))
    assert of.correlation(packets[HIT]) > LEAST_CORRELATION - 0.02
    rate = bench.rtl.read(("pilot_tracker", "clock"), "rate")
    assert rate == expected.tracker.clock
    # 125 MHz apart, a pilot at 20 ppm is 2.5 kHz off, seen to 0.3 kHz in a block of 1024 hops; told to the mixer.
    assert abs(rate * 2.0**-40 * of.scene.sample_rate_hz) < 1000
    assert bench.rtl.read(("pilot_tracker", "losses"), "count") == expected.tracker.losses == 0


def test_a_command_that_the_resampler_refuses_marks_the_frame(bench: ReceiverBench) -> None:
    of = link(frames=4)
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.pause(PACKETS, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(model)
    # The synchroniser's step is three samples: the resampler takes up to 17/8.
    bench.rtl.write(("frame_synchroniser", "step_high"), word=3)
    bench.rtl.write(("frame_synchroniser", "control"), run=1, apply=1)
    feed(bench, of.samples)
    assert bench.rtl.read(("resampler", "refused_commands"), "count") > 0
    assert bench.rtl.read(("receiver", "status"), "late") == 1
    packets = bench.packets()
    assert any(packet.flags & Flag.LATE for packet in packets)
    assert not any(packet.good for packet in packets)


def test_without_a_pilot_no_frame_is_good_until_it_comes(bench: ReceiverBench) -> None:
    of = link(frames=11)
    # Thresholds are those of a link with a pilot.
    without = link(replace(SCENE, pilot_snr_db=-30.0), frames=4).samples
    of.samples[: len(without)] = without
    packets, expected = receive(bench, of)
    assert bench.rtl.read(("pilot_tracker", "missing"), "count") == expected.tracker.missing > 0
    assert packets[4].flags & Flag.UNLOCKED
    assert not good(packets) & set(range(5))
    assert good(packets) >= {8, 9, 10}


def test_two_equal_tones_are_refused_until_one_is_gone(bench: ReceiverBench) -> None:
    of = link(frames=12)
    # As strong as the pilot, four trials off.
    other = link(replace(SCENE, beat_hz=SCENE.beat_hz + 8e6), seed=8, frames=5).samples
    both = np.clip(of.samples[: len(other)].astype(int) + other, -32000, 32000)
    of.samples[: len(other)] = both
    packets, expected = receive(bench, of)
    assert bench.rtl.read(("pilot_tracker", "ambiguous"), "count") == expected.tracker.ambiguous > 0
    assert all(packet.flags & Flag.UNLOCKED for number, packet in packets.items() if number < 5)
    assert not good(packets) & set(range(6))
    assert good(packets) >= {9, 10, 11}


def test_samples_are_thrown_away_until_run(bench: ReceiverBench) -> None:
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.reset()
    bench.rtl.send(SAMPLES, np.zeros(80, np.int16))
    bench.rtl.run(100)
    assert bench.rtl.left(SAMPLES) == 0
    assert bench.rtl.read(("mixer", "hop"), "number") == 0


def test_a_picture_of_each_stream_between_parts_has_its_words(bench: ReceiverBench) -> None:
    of, beats = link(frames=1), 64
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    streams = between_parts(model, of.samples)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    for number, place in enumerate(bench.core.tap.places):
        bench.rtl.reset()
        bench.configure(model)
        bench.rtl.write(("tap", "place"), number=number)
        bench.rtl.write(("tap", "length"), beats=beats)
        bench.rtl.write(("tap", "control"), capture=1)
        bench.rtl.send(SAMPLES, of.samples[: 8 * 4096])
        bench.rtl.wait("m_axis_picture", frames=1)
        expected = streams[place.name][: beats * place.words]
        assert np.count_nonzero(expected) > len(expected) // 2, place.name
        picture = bench.rtl.received("m_axis_picture").data
        np.testing.assert_array_equal(picture, pack(expected, place, bench.core.tap.beat_bytes), place.name)


def test_a_picture_that_no_memory_takes_holds_no_stream(bench: ReceiverBench) -> None:
    def capture() -> None:
        bench.rtl.pause("m_axis_picture", 1.0)
        bench.rtl.write(("tap", "place"), number=bench.core.places.index("rotated"))
        bench.rtl.write(("tap", "length"), beats=2**15)
        bench.rtl.write(("tap", "control"), capture=1)

    receive(bench, link(frames=5), source_waits=False, ready=capture)
    bench.rtl.pause("m_axis_picture", 0.0)
    assert bench.rtl.read(("receiver", "overruns"), "count") == 0
    assert bench.rtl.read(("tap", "lost"), "beats") > 0


def measurement(bench: ReceiverBench) -> Measurement:
    """The figures that stand in the meter, but for what it is told of their symbols."""
    read = bench.rtl.read
    assert read(("power_meter", "control"), "complete") == 1
    sums = [
        read(("power_meter", f"{name}_low"), "word") + (read(("power_meter", f"{name}_high"), "word") << 32)
        for name in SUMS
    ]
    return Measurement(read(("power_meter", "count"), "symbols"), (sums[0], sums[1]), (sums[2], sums[3]))


def test_measures_the_vacuum_behind_the_signals_own_chain(bench: ReceiverBench) -> None:
    of = link()
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    run = model.process(of.samples)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.pause(PACKETS, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(model)
    gate = 5 * of.scene.vacuum // 2
    bench.rtl.write(("power_meter", "gate"), symbols=gate)
    bench.rtl.write(("power_meter", "sections"), vacuum=1)
    bench.rtl.write(("power_meter", "control"), apply=1)
    bench.rtl.send(SAMPLES, of.samples)
    while bench.rtl.left(SAMPLES):
        bench.rtl.run(1000)
    sections = sections_of(run.slots, 0, len(run.symbols))
    (expected, *_), _ = PowerMeter(gate, frozenset({Section.VACUUM})).process(run.symbols, sections)
    assert measurement(bench) == expected
    unlocked = 1 << EVENTS.index(Flag.UNLOCKED)
    assert bench.rtl.read(("power_meter", "control"), "touched") & unlocked, "frames from before the lock are of it"
    # Shot and electronic noise of 1500 words a sample and 0.05 SNU, half a word of the symbols' for one of them.
    noise = 1500**2 * 1.05 / 2
    assert expected.variance == pytest.approx((noise, noise), rel=0.08)


def test_measures_electronic_noise_behind_the_signals_own_chain(bench: ReceiverBench) -> None:
    # Both lights are off: the tracker holds the beat, and the rotator turns nothing.
    told, samples = SCENE.receiver(LANES, detector_chips=DETECTOR_CHIPS), link(frames=3).samples
    beat = phase_word(SCENE.beat_hz, SCENE.sample_rate_hz)
    model = replace(told, tracker=PilotTracker(replace(told.tracker.settings, start=beat, step=0, trials=1)))
    samples[:] = np.rint(np.random.default_rng(4).normal(0, 1500 * np.sqrt(0.05), len(samples)))
    gate = 10_000
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    bench.rtl.reset()
    bench.configure(model)
    bench.rtl.write(("rotator", "mode"), noise=1)
    bench.rtl.write(("rotator", "control"), apply=1)
    bench.rtl.write(("power_meter", "gate"), symbols=gate)
    bench.rtl.write(("power_meter", "control"), apply=1)
    feed(bench, samples)
    symbols = ReceiverStream(model, turns=False).process(samples).symbols
    (expected, *_), _ = PowerMeter(gate).process(symbols)
    assert measurement(bench) == expected
    assert expected.variance == pytest.approx((1500**2 * 0.05 / 2,) * 2, rel=0.08)


def test_a_measurement_tells_what_happened_to_its_symbols(bench: ReceiverBench) -> None:
    of = link(frames=4)
    model = of.scene.receiver(LANES, detector_chips=DETECTOR_CHIPS)
    bench.rtl.pause(SAMPLES, 0.0, seed=1)
    # Until the lock is won, and so long as those symbols are in the chain, all is touched.
    begin, hit = 8 * 11_500, 8 * 14_000
    for happens in (None, Flag.OVER_RANGE, Flag.CHANGED):
        bench.rtl.reset()
        bench.configure(model)
        bench.rtl.write(("power_meter", "gate"), symbols=4000)
        samples = of.samples.copy()
        samples[hit] = 32767 if happens is Flag.OVER_RANGE else 0
        feed(bench, samples[:begin])
        bench.rtl.write(("power_meter", "control"), apply=1)
        feed(bench, samples[begin:hit])
        if happens is Flag.CHANGED:
            bench.rtl.write(("rotator", "control"), apply=1)
        feed(bench, samples[hit:])
        assert bench.rtl.read(("power_meter", "control"), "complete") == 1
        expected = 1 << EVENTS.index(happens) if happens else 0
        assert bench.rtl.read(("power_meter", "control"), "touched") == expected


def test_case_of_the_bench_holds_words_marks_and_counts(bench: ReceiverBench) -> None:
    case = receiver_of(SCENE, bench.core)
    set_pauses(bench.rtl, IDLE, BACK_PRESSURE, 1)
    beats, fault = run_case(case, bench.rtl, np.random.default_rng(10), 7 * SCENE.period)
    assert not fault
    assert len(beats) > 6 * SCENE.period, "the last vacuum need not be through"


def test_takes_one_gigasample_a_second_in_at_most_180_multipliers(bench: ReceiverBench) -> None:
    assert bench.core.multipliers <= 180


def test_listeners_are_told_every_event() -> None:
    assert len(EVENTS) == EVENT_BITS


def test_pages_keep_their_places_whatever_the_half_bands() -> None:
    bases = {page: receiver_pages(3).base(page) for page, _ in receiver_pages(0).pages}
    assert bases == {page: receiver_pages(0).base(page) for page in bases}
    assert REGISTERS["id"]["word"].reset


def test_the_scene_sends_what_the_transmitter_sends() -> None:
    assert isinstance(SCENE.transmitter, Transmitter)
    with pytest.raises(ValueError, match="need 8 or 16"):
        Scene(100, samples_per_symbol=4)
