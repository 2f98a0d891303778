import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg.link.acquisition import (
    Acquisition,
    NoPilotError,
    NoPreambleError,
    acquire,
    clock_offset,
    find_beat,
)
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.recording import read, read_symbols
from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu

FS = 1e9
OURS = FrameFormat(125e6, 4000, 0.2, 125e6, (250e6,), Preamble(17, 2039, 125e6, True, 4.0), 1e9, 4096)
THEIRS = FrameFormat(100e6, 4000, 0.5, 100e6, (200e6, 220e6), Preamble(5, 3989, 500e6, amplitude=3.0), 500e6, 2000)
NOISE = 1000.0
"""Standard deviation of a sample's noise, words."""


def one_line(error: InputError) -> None:
    assert "\n" not in str(error)


@dataclass(frozen=True)
class Channel:
    """What acquisition has to find out."""

    beat_hz: float = 81_234_567.0
    delay: float = 777.37
    linewidth_hz: float = 2e3
    pilot_snr_db: float = 17.0
    signal_snr: float = 0.7
    clock_ppm: float = 0.0
    pilots: bool = True
    preamble: bool = True
    noise: float = NOISE


def capture(
    frame: FrameFormat, channel: Channel, seed: int, count: int = 1 << 16
) -> tuple[NDArray[np.int16], float, NDArray[np.complex128]]:
    """Samples, the centre of the first payload symbol, and the payload.

    Made in the frequency domain, where pulses are exact between samples; nothing is shared with the code under test.
    """
    rng = np.random.default_rng(seed)
    m, n = round(FS / frame.symbol_rate_hz), np.arange(count)
    payload = (rng.normal(size=frame.symbols) + 1j * rng.normal(size=frame.symbols)) / np.sqrt(2)
    chips = zadoff_chu(frame.preamble.root, frame.preamble.length) * frame.preamble.amplitude * channel.preamble
    lead = round(frame.leading_zeros_at_transmitter * FS / frame.transmitter_sample_rate_hz)
    impulses, bare = np.zeros(count, complex), np.zeros(count, complex)
    if frame.preamble.shaped:
        first = lead + len(chips) * m
        impulses[lead:first:m] = chips
    else:
        hold = round(FS / frame.preamble.rate_hz)
        transmitter = round(FS / frame.transmitter_sample_rate_hz)
        end = lead + len(chips) * hold
        bare[lead:end:hold] = chips
        first = end + round(frame.transmitter_sample_rate_hz / frame.symbol_rate_hz) // 2 * transmitter
    impulses[first : first + len(payload) * m : m] = payload
    f = np.fft.fftfreq(count) * FS
    edge = np.clip((np.abs(f) / frame.symbol_rate_hz - 0.5) / frame.roll_off + 0.5, 0, 1)
    shaped = np.fft.ifft(np.fft.fft(impulses) * np.cos(np.pi / 2 * edge) * m)
    field = shaped * np.exp(2j * np.pi * frame.frequency_shift_hz / FS * (n - channel.delay))
    # A shaped symbol has power 1 over its m samples; bare chips get the same.
    field = field + np.fft.ifft(np.fft.fft(bare) * (np.abs(f) < frame.preamble.rate_hz / 2)) * round(
        FS / frame.preamble.rate_hz
    )
    field = np.fft.ifft(np.fft.fft(field) * np.exp(-2j * np.pi * f / FS * channel.delay))
    # Noise of variance v a real sample has v R / f_s in the symbol rate; so a ratio s there is a field of power:
    in_band = channel.noise**2 / m
    field *= 2 * np.sqrt(channel.signal_snr * in_band)
    amplitude = 2 * np.sqrt(in_band * 10 ** (channel.pilot_snr_db / 10)) * channel.pilots
    on = slice(0, None) if frame.preamble.shaped else slice(end + round(channel.delay), None)
    for frequency in frame.pilot_frequencies_hz:
        clock = frequency * (1 + channel.clock_ppm * 1e-6) / FS
        field[on] += amplitude * np.exp(2j * np.pi * clock * n[on])
    walk = np.cumsum(rng.normal(0, np.sqrt(2 * np.pi * channel.linewidth_hz / FS), count))
    field *= np.exp(1j * (2 * np.pi * ((channel.beat_hz / FS * n) % 1) + walk))
    samples = np.rint(field.real + channel.noise * rng.normal(size=count))
    return np.clip(samples, -32768, 32767).astype(np.int16), first + channel.delay, payload


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["shaped", "bare"])
@settings(max_examples=12, deadline=None)
@given(
    beat_hz=st.floats(60e6, 180e6),
    delay=st.floats(0, 4000),
    linewidth_hz=st.floats(0, 1e4),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_frames_wherever_they_are(
    frame: FrameFormat, beat_hz: float, delay: float, linewidth_hz: float, seed: int
) -> None:
    samples, start, _ = capture(frame, Channel(beat_hz, delay, linewidth_hz), seed)
    found = acquire(samples, FS, frame)
    assert abs(found.frame_start - start) < FS / frame.symbol_rate_hz / 40
    assert abs(found.beat_frequency_hz - beat_hz) < 1e3 + 3 * np.sqrt(
        linewidth_hz / 65e-6
    )  # the phase walk has a slope


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["shaped", "bare"])
def test_timing_is_right_to_a_two_hundredth_of_a_symbol(frame: FrameFormat) -> None:
    errors = []
    for seed in range(24):
        samples, start, _ = capture(frame, Channel(delay=100 + seed / 24), seed)
        errors.append(acquire(samples, FS, frame).frame_start - start)
    symbol = FS / frame.symbol_rate_hz
    assert np.sqrt(np.mean(np.square(errors))) < symbol / 200
    assert abs(np.mean(errors)) < symbol / 400


def test_a_noisy_laser_does_not_shift_a_shaped_preamble() -> None:
    """The sequence is a chirp: with the laser's 100 kHz left in, the error is five times larger."""
    errors = []
    for seed in range(12):
        samples, start, _ = capture(OURS, Channel(linewidth_hz=1e5), seed)
        errors.append(acquire(samples, FS, OURS).frame_start - start)
    assert np.sqrt(np.mean(np.square(errors))) < FS / OURS.symbol_rate_hz / 100


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["one pilot", "two pilots"])
def test_beat_frequency_is_read_far_below_a_bin(frame: FrameFormat) -> None:
    """Bins are 3.8 kHz wide; the parabola on a Hann window is right to 1.6 % of them."""
    long = replace(frame, symbols=25_000)
    for step in range(6):
        channel = Channel(beat_hz=90e6 + 700.0 * step, linewidth_hz=0)
        samples, _, _ = capture(long, channel, step, 1 << 18)
        beat, _ = find_beat(samples, FS, long)
        assert abs(beat - channel.beat_hz) < 150


@pytest.mark.parametrize("snr_db", [10.0, 17.0, 25.0])
def test_tells_the_pilots_power_over_the_noise(snr_db: float) -> None:
    frame = replace(OURS, symbols=20_000)
    channel = Channel(pilot_snr_db=snr_db, signal_snr=0.05, linewidth_hz=0)
    samples, _, _ = capture(frame, channel, 5, 1 << 18)
    assert find_beat(samples, FS, frame)[1] == pytest.approx(snr_db, abs=0.5)


def test_frame_start_is_where_the_payload_correlates_best() -> None:
    samples, _, payload = capture(OURS, Channel(), 11)
    found = acquire(samples, FS, OURS)
    early, there, late = (correlation(samples, OURS, found, payload, shift) for shift in (-2.0, 0.0, 2.0))
    assert there == pytest.approx(np.sqrt(0.7 / 1.7), abs=0.03)
    assert early == pytest.approx(late, abs=0.03)
    assert there > 1.05 * max(early, late)


@pytest.mark.parametrize("seed", range(8))
def test_noise_alone_has_no_pilot(seed: int) -> None:
    samples, _, _ = capture(OURS, Channel(pilots=False, signal_snr=0.3, preamble=False), seed)
    with pytest.raises(NoPilotError, match="no pilot"):
        acquire(samples, FS, OURS)


@pytest.mark.parametrize("value", [0, 7, -32768])
def test_a_dead_converter_has_no_pilot(value: int) -> None:
    with pytest.raises(NoPilotError):
        acquire(np.full(1 << 16, value, np.int16), FS, OURS)


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["shaped", "bare"])
@pytest.mark.parametrize("seed", range(8))
def test_a_payload_without_its_preamble_is_no_frame(frame: FrameFormat, seed: int) -> None:
    samples, _, _ = capture(frame, Channel(preamble=False), seed)
    with pytest.raises(NoPreambleError, match="no preamble"):
        acquire(samples, FS, frame)


def test_pilots_do_not_hide_a_preamble_whose_band_they_lie_in() -> None:
    frame = replace(THEIRS, preamble=replace(THEIRS.preamble, amplitude=1.0))
    for seed in range(4):
        samples, start, _ = capture(frame, Channel(pilot_snr_db=25.0), seed)
        assert acquire(samples, FS, frame).frame_start == pytest.approx(start, abs=0.25)


def test_another_preamble_is_not_taken_for_this_one() -> None:
    samples, _, _ = capture(OURS, Channel(), 1)
    with pytest.raises(NoPreambleError):
        acquire(samples, FS, replace(OURS, preamble=replace(OURS.preamble, root=29)))


def test_looks_no_further_than_it_is_told() -> None:
    samples, start, _ = capture(OURS, Channel(), 1)
    assert acquire(samples, FS, OURS, search=6000).frame_start == pytest.approx(start, abs=0.1)
    for search in (500, 2000, 4500):
        with pytest.raises(NoPreambleError):
            acquire(samples, FS, OURS, search=search)


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["shaped", "bare"])
@pytest.mark.parametrize("missing", [0.1, 0.5, 0.9])
def test_a_capture_that_begins_within_the_preamble_is_refused(frame: FrameFormat, missing: float) -> None:
    samples, start, _ = capture(frame, Channel(), 1, 1 << 17)
    length = frame.preamble.length * FS / frame.preamble.rate_hz
    with pytest.raises(NoPreambleError):
        acquire(samples[int(start - length * (1 - missing)) :], FS, frame)


@pytest.mark.parametrize("frame", [OURS, THEIRS], ids=["shaped", "bare"])
def test_a_frame_without_noise_is_found_as_well(frame: FrameFormat) -> None:
    samples, start, _ = capture(frame, Channel(linewidth_hz=0, delay=50.25), 2)
    clean, _, _ = capture(frame, Channel(linewidth_hz=0, delay=50.25, noise=1e2), 2)
    samples = clean * np.int16(2)
    assert acquire(samples, FS, frame).frame_start == pytest.approx(start, abs=0.1)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (replace(OURS, symbols=400_000), "cut short"),
        (replace(OURS, pilot_frequencies_hz=(499e6,)), "do not fit|no pilot"),
        (replace(OURS, pilot_frequencies_hz=(-450e6, 450e6)), "do not fit"),
        (replace(OURS, pilot_frequencies_hz=(1e300,)), "outside the recording's band"),
        (replace(OURS, frequency_shift_hz=-1e12), "outside the recording's band"),
        (replace(THEIRS, preamble=Preamble(5, 3989, 1.0)), "cut short"),
        (
            replace(THEIRS, symbol_rate_hz=5e-300, transmitter_sample_rate_hz=5e-292, preamble=Preamble(5, 7, 5e-292)),
            "cut",
        ),
        (
            replace(OURS, symbol_rate_hz=1e9, preamble=Preamble(17, 2039, 1e9, True), pilot_frequencies_hz=(9e8,)),
            "need",
        ),
    ],
    ids=range(8),
)
def test_refuses_formats_that_the_capture_cannot_hold(wrong: FrameFormat, match: str) -> None:
    samples, _, _ = capture(OURS, Channel(), 3)
    with pytest.raises(InputError, match=match) as caught:
        acquire(samples, FS, wrong)
    one_line(caught.value)


@pytest.mark.parametrize("count", [0, 1, 1000, 4095])
def test_refuses_captures_that_are_too_short(count: int) -> None:
    with pytest.raises(InputError, match="cut short"):
        acquire(np.ones(count, np.int16), FS, OURS)


NUMBER = st.sampled_from([0, 1, 5, 7, 125e6, 5e8, 1e9, 1e-9, 1e300, -1e8, 0.2]) | st.floats() | st.integers()
SMALL, _, _ = capture(THEIRS, Channel(), 4)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(THEIRS.to_metadata().keys() - {"cvqkd:preamble", "cvqkd:pilot_frequencies_hz"})),
    NUMBER,
    st.sampled_from(["root", "length", "rate_hz"]),
    NUMBER,
    st.lists(NUMBER, max_size=3),
    st.sampled_from([1.0, 1e6, 1e9, 1e14]),
)
def test_mutated_metadata_acquires_or_is_refused(
    name: str, value: Any, inner: str, other: Any, pilots: Sequence[Any], rate: float
) -> None:
    plain = json.loads(json.dumps(THEIRS.to_metadata()))
    for fields in (
        {**plain, name: value},
        {**plain, "cvqkd:preamble": {**plain["cvqkd:preamble"], inner: other}},
        {**plain, "cvqkd:pilot_frequencies_hz": pilots},
    ):
        try:
            found = acquire(SMALL, rate, FrameFormat.from_metadata(fields))
        except InputError as error:
            one_line(error)
        else:
            assert np.isfinite(found.frame_start)


@pytest.mark.parametrize("ppm", [-15.0, 0.0, 4.0])
def test_two_pilots_tell_the_clock_offset(ppm: float) -> None:
    frame = replace(THEIRS, symbols=20_000)
    samples, _, _ = capture(frame, Channel(clock_ppm=ppm, linewidth_hz=1e4), 6, 1 << 18)
    offset = clock_offset(samples, FS, frame, acquire(samples, FS, frame))
    assert 0.01 < offset.std_ppm < 0.5
    assert abs(offset.ppm - ppm) < 4 * offset.std_ppm


def test_one_pilot_does_not_tell_the_clock_offset() -> None:
    with pytest.raises(InputError, match="one pilot"):
        clock_offset(SMALL, FS, OURS, Acquisition(81e6, 20_000.0, 17.0, 50.0))


def test_a_bounded_search_finds_the_same_frame() -> None:
    frame = replace(OURS, symbols=125_000)
    samples, start, _ = capture(frame, Channel(), 7, 1 << 20)
    assert abs(acquire(samples, FS, frame, search=8192).frame_start - start) < 0.1


def correlation(
    samples: NDArray[np.int16],
    frame: FrameFormat,
    found: Acquisition,
    alice: NDArray[np.complex128],
    shift: float = 0.0,
    window: int = 25,
) -> float:
    """What a receiver in floating point, with its phase from the first pilot, has in common with Alice's symbols."""
    m = round(FS / frame.symbol_rate_hz)
    turns = np.arange(len(samples)) / FS
    pilot = samples * np.exp(-2j * np.pi * (found.beat_frequency_hz + frame.pilot_frequencies_hz[0]) * turns)
    pilot = np.convolve(np.add.reduceat(pilot, np.arange(0, len(pilot), m)), np.ones(window), "same")
    signal = samples * np.exp(-2j * np.pi * (found.beat_frequency_hz + frame.frequency_shift_hz) * turns)
    signal = signal * np.repeat(np.exp(-1j * np.angle(pilot)), m)[: len(samples)]
    begin = found.frame_start + shift - m * 33 / 2
    start = int(np.floor(begin))
    taps = root_raised_cosine(m, 33, frame.roll_off, delay=begin - start)
    windows = np.lib.stride_tricks.sliding_window_view(signal, len(taps))[start::m][: len(alice)]
    symbols = windows @ taps
    symbols = symbols - symbols.mean()
    return float(abs(np.vdot(alice, symbols)) / np.linalg.norm(alice) / np.linalg.norm(symbols))


CAPTURES = Path(os.environ.get("KRONBORG_CAPTURES", Path(__file__).parents[4] / "shared" / "captures"))
KNOWN = {"metro-100MBd": (0.5668, 45), "access-62MBd": (0.5655, 17)}
"""Correlation of a matched filter with the true phase, from the recordings' README; and a fitting window in symbols."""

if FOUND := sorted(name for name in KNOWN if (CAPTURES / f"{name}.sigmf-meta").exists()):

    @pytest.mark.parametrize("name", FOUND)
    def test_recordings_of_other_software_give_their_symbols(name: str) -> None:
        recording = read(CAPTURES / f"{name}.sigmf-meta")
        alice = read_symbols(CAPTURES / f"{name}-alice.npy")
        frame = FrameFormat.from_metadata(recording.metadata)
        found = acquire(recording.samples, recording.sample_rate_hz, frame)
        truth, window = KNOWN[name]
        assert correlation(recording.samples, frame, found, alice, window=window) == pytest.approx(truth, rel=0.01)
        assert abs(clock_offset(recording.samples, recording.sample_rate_hz, frame, found).ppm) < 0.2
