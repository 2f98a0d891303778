"""What each part of the receiver's processing adds: every effect measured by switching it off, beside its bound.

A frame at 125 MBd, eight samples a symbol, RF heterodyne, over 10 km; its phase, timing and clock are known. The
bit-exact model is the first of a row of receivers of which each has one effect less than the one before; the last is
told everything and works in floating point. What differs between two neighbours is the effect between them, referred to
the channel's input at V_A = 4.

One line is of the receiver as it runs by itself, told nothing: how far from their centres its loop of the clock has
symbols sampled, by what it measures on each frame's preamble. That a measurement is noisy itself is in it.

How fast the bit-exact model is, is measured beside: samples a second of processor time, on one core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped, si
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.positions import complex_symbols
from kronborg.link.receive import SYMBOL_SHIFT, FrameReceiver, receiver_for
from kronborg_hdl.compensation.phase_smoother.model import best_smoother, smoother_limit_rad2
from kronborg_hdl.decimation.resampler.kernel import PHASES, TAP, TAPS
from kronborg_hdl.decimation.resampler.model import FRACTION
from kronborg_hdl.decimation.symbol_filter.model import UNIT_SHIFT
from kronborg_hdl.dsp.nco import PHASE_BITS
from kronborg_hdl.dsp.phasor_table import COSINE, DROPPED_BITS, SINE
from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine
from kronborg_hdl.receiver.model import SETTLING_SYMBOLS, Receiver, half_bands

from ...benches.receiver import Scene
from ...recordings import TIMING_PHASES, Light, Recorded, record
from .outcome import Outcome, whole, within

VARIANCE_SNU = 4.0
RECEIVED = 0.6 * 10**-0.2 / 2
"""What of the channel's input is seen: 10 km, detector efficiency 0.6, half of it for the image band."""
SAMPLE_RATE_HZ = 1e9
SYMBOL_RATE_HZ = 125e6
BEAT_HZ = 60e6
LINEWIDTH_HZ, PILOT_SNR_DB, CLOCK_OFFSET_PPM = (1.0, 1e6), (0.0, 50.0), (-100.0, 100.0)
"""Between which light and clocks may be."""
HOP = 8
ISI_SLOPE = 2.38
"""A sampling phase off by tau symbols makes interference of 2.38 tau**2 of the signal, at a roll-off of 0.2."""

LOOP_SYMBOLS = 16_384
"""Of a frame's payload, where the clock's loop is looked at."""
LOOP_FRAMES = 12
"""Of which the first half is given to the loop to find the clock."""

SPEED_SAMPLES = 1_000_000
"""That the model's speed is measured with."""

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Effect:
    """A line of the ledger, in mSNU at the channel's input for V_A = 4."""

    effect: str
    measured_msnu: float
    bound_msnu: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--symbols", type=float, default=1e5, metavar="N", help="of the frame (default 1e5)")
    parser.add_argument("--linewidth", type=float, default=2e3, metavar="HZ", help="of both lasers (default 2e3)")
    parser.add_argument("--pilot-snr", type=float, default=20.0, metavar="DB", help="a symbol (default 20)")
    parser.add_argument("--clock-offset", type=float, default=20.0, metavar="PPM", help="between clocks (default 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Make a frame and receive it in all ways.

    Raises:
        InputError: a figure out of range.
    """
    symbols = whole(options.symbols, 2_000, 2e6, "symbols")
    seed = whole(options.seed, 0, 2**32, "as seed")
    light = (
        within(options.linewidth, *LINEWIDTH_HZ, "Hz of --linewidth"),
        within(options.pilot_snr, *PILOT_SNR_DB, "dB of --pilot-snr"),
        within(options.clock_offset, *CLOCK_OFFSET_PPM, "ppm of --clock-offset"),
    )
    with progress.stage("ledger"):
        effects = ledger(symbols, *light, seed)
    with progress.stage("speed"):
        speed = samples_per_second(*light, seed)
    together = sum(
        effect.measured_msnu for effect in effects if effect.effect in ("fixed point", "oscillators", "filters")
    )
    table = [("effect", "measured, bound (mSNU at V_A = 4)")]
    table += [(row.effect, f"{row.measured_msnu:.5f}, {row.bound_msnu:.5f}") for row in effects]
    table += [("symbols", grouped(symbols)), ("fixed point, filters", f"{together:.5f} together")]
    table.append(("model", f"{si(speed, 'sample')} a second of processor time"))
    beyond = [row.effect for row in effects if row.measured_msnu > row.bound_msnu]
    fault = f"beyond its bound: {', '.join(beyond)}" if beyond else ""
    figures = {
        "symbols": symbols,
        "linewidth_hz": options.linewidth,
        "pilot_snr_db": options.pilot_snr,
        "clock_offset_ppm": options.clock_offset,
        "seed": seed,
        "fixed_point_and_filters_msnu": together,
        "model_samples_per_second": speed,
        "rows": [asdict(row) for row in effects],
    }
    return Outcome(figures, table, fault)


def ledger(symbols: int, linewidth_hz: float, pilot_snr_db: float, clock_offset_ppm: float, seed: int) -> list[Effect]:
    """All lines.

    Args:
        symbols: of the frame.
        linewidth_hz: of both lasers together.
        pilot_snr_db: of the pilot in the symbol-rate bandwidth.
        clock_offset_ppm: how much faster the converter's clock runs than Alice's.
        seed: of everything random.
    """
    frame, light, recorded, chain = _received(symbols, linewidth_hz, pilot_snr_db, clock_offset_ppm, seed)
    receiver, wanted = chain.receiver, slice(chain.first + SETTLING_SYMBOLS, chain.first + symbols - SETTLING_SYMBOLS)
    walk, noise = _of_pilot(linewidth_hz, pilot_snr_db)
    padded = np.concatenate([recorded.samples, np.zeros(-len(recorded.samples) % HOP, np.int16)])
    words = 2 ** (UNIT_SHIFT - SYMBOL_SHIFT) / 4  # of 16 bits for one of the decimated samples' 18
    # Symbols behind each receiver, in words of the bit-exact one.
    exact = complex_symbols(receiver.process(recorded.samples).words)[wanted]
    tables, true_angles = _phases(receiver, len(padded), table=True), _phases(receiver, len(padded), table=False)
    turn = _phasors(receiver, padded, tables[1])
    rounded_position = _floating(receiver, padded, tables[0], turn, rounded=True)[wanted] * words
    oscillators = _floating(receiver, padded, true_angles[0], _phasors(receiver, padded, true_angles[1]), rounded=True)
    # From here on what the signal alone gives: the chain is linear, and noise has no timing.
    signal = _signal_alone(recorded, frame, light, SAMPLE_RATE_HZ, seed)[: len(padded)]
    signal = np.concatenate([signal, np.zeros(len(padded) - len(signal))])
    by_128ths = _floating(receiver, signal, true_angles[0], turn, rounded=True)[wanted]
    by_any = _floating(receiver, signal, true_angles[0], turn, rounded=False)[wanted]
    late = replace(receiver, position=receiver.position + round(2 * receiver.step / PHASES))
    off = _floating(late, signal, true_angles[0], turn, rounded=False)[wanted]
    settled = slice(SETTLING_SYMBOLS, symbols - SETTLING_SYMBOLS)
    matched = _matched(recorded, signal, true_angles[0], _between_hops(turn, HOP), frame)[settled]
    phase = recorded.phase - 2 * np.pi * BEAT_HZ / SAMPLE_RATE_HZ * np.arange(len(recorded.phase))
    true_turn = np.exp(1j * np.concatenate([phase, np.zeros(len(padded) - len(phase))]))
    told = _matched(recorded, signal, true_angles[0], true_turn, frame)[settled]

    # SNU at the detector per word**2 of a symbol: a shot noise of s words a sample leaves s / sqrt(2) a rail, and
    # decimation by four and the symbol filter's unit energy half of that.
    unit = (recorded.shot_noise_words / np.sqrt(2) / 2 * 2 ** (UNIT_SHIFT - SYMBOL_SHIFT)) ** 2

    def additive(one: Complex, other: Complex) -> float:
        return float(1e3 * np.mean(np.abs(one - other) ** 2) / 2 / unit / RECEIVED)

    def proportional(one: Complex, other: Complex) -> float:
        gain = np.vdot(other, one) / np.vdot(other, other)
        residue = one - gain * other
        return float(1e3 * VARIANCE_SNU * np.mean(np.abs(residue) ** 2) / np.mean(np.abs(gain * other) ** 2))

    s = recorded.shot_noise_words
    # Roundings of mixer, two half-bands, rotator, resampler and filter; half a word of 32767 in the phasors.
    roundings = (1 + 2 + 4) / (96 * s**2) + 2 / (24 * s**2) + 1 / (6 * s**2)
    phasors = (VARIANCE_SNU * RECEIVED + 1) * 2 * 4.4e-5**2
    pilot = 10 ** (pilot_snr_db / 10)
    dropped = (2 * np.pi / 2 ** (PHASE_BITS - DROPPED_BITS)) ** 2 / 12
    timing = 1e3 * VARIANCE_SNU * ISI_SLOPE
    limit = smoother_limit_rad2(walk, noise)
    return [
        Effect("fixed point", additive(exact, rounded_position), 1e3 * (roundings + phasors) / RECEIVED),
        Effect(
            "oscillators",
            additive(rounded_position, oscillators[wanted] * words),
            # Phase of both oscillators, on signal and noise; and the strongest spur of the pilot.
            1e3 * (2 * dropped * (VARIANCE_SNU * RECEIVED + 1) + pilot * 2 * 10**-8.04) / RECEIVED,
        ),
        Effect("timing in 128ths", proportional(by_128ths, by_any), 1.1 * timing / 12 / (2 * PHASES) ** 2),
        Effect("timing off by T/128", proportional(off, by_any), 1.05 * timing / PHASES**2),
        Effect("clock's loop", timing * _loop_error(linewidth_hz, pilot_snr_db, clock_offset_ppm, seed), 0.6),
        Effect("filters", proportional(by_any, matched), 0.02),
        Effect("phase", proportional(matched, told), 1.1 * 1e3 * VARIANCE_SNU * limit),
    ]


def samples_per_second(linewidth_hz: float, pilot_snr_db: float, clock_offset_ppm: float, seed: int) -> float:
    """How many converter samples the bit-exact receiver takes in a second of processor time: the best of three."""
    *_, recorded, chain = _received(SPEED_SAMPLES // 8, linewidth_hz, pilot_snr_db, clock_offset_ppm, seed)
    samples = recorded.samples[:SPEED_SAMPLES]
    took = []
    for _ in range(3):
        began = time.process_time()
        chain.receiver.process(samples)
        took.append(time.process_time() - began)
    return len(samples) / min(took)


def _of_pilot(linewidth_hz: float, pilot_snr_db: float) -> tuple[float, float]:
    """Variances of a symbol: of the phase's step, and of the pilot's own noise, rad**2."""
    return 2 * np.pi * linewidth_hz / SYMBOL_RATE_HZ, 0.5 * 10 ** (-pilot_snr_db / 10)


def _received(
    symbols: int, linewidth_hz: float, pilot_snr_db: float, clock_offset_ppm: float, seed: int
) -> tuple[FrameFormat, Light, Recorded, FrameReceiver]:
    """A frame, its light, what the converter sees of it, and the receiver that is told all but the phase."""
    frame = FrameFormat(SYMBOL_RATE_HZ, symbols, 0.2, 125e6, (250e6,), Preamble(5, 1021, 500e6), 500e6, 500)
    light = Light(
        signal_snu=RECEIVED * VARIANCE_SNU,
        pilot_snr_db=pilot_snr_db,
        beat_frequency_hz=BEAT_HZ,
        linewidth_hz=linewidth_hz,
        clock_offset_ppm=clock_offset_ppm,
        delay=100.37,
    )
    recorded = record(frame, light, SAMPLE_RATE_HZ, np.random.default_rng(seed))
    chain = receiver_for(
        frame,
        SAMPLE_RATE_HZ,
        beat_frequency_hz=BEAT_HZ,
        first_symbol=recorded.first_symbol,
        clock_offset_ppm=(1 / (1 + clock_offset_ppm * 1e-6) - 1) * 1e6,
        smoother=best_smoother(*_of_pilot(linewidth_hz, pilot_snr_db)),
    )
    return frame, light, recorded, chain


def _loop_error(linewidth_hz: float, pilot_snr_db: float, clock_offset_ppm: float, seed: int) -> float:
    """Mean square of the sampling phase, symbols**2, that good frames measure once the clock is known."""
    scene = Scene(
        LOOP_SYMBOLS,
        signal_snu=RECEIVED * VARIANCE_SNU,
        pilot_snr_db=pilot_snr_db,
        linewidth_hz=linewidth_hz,
        clock_offset_ppm=clock_offset_ppm,
    )
    rng = np.random.default_rng([seed, 1])
    sent, _ = scene.sent(LOOP_FRAMES, rng)
    packets = scene.receiver(8).process(scene.detected(np.concatenate(sent), rng)).packets
    return float(np.mean([packet.late_symbols**2 for packet in packets[LOOP_FRAMES // 2 :] if packet.good]))


def _phases(receiver: Receiver, count: int, *, table: bool) -> tuple[Complex, Complex]:
    """exp(-i theta) of the signal's and the pilot's oscillator, by the gateware's table or exactly."""
    turned = []
    for offset in receiver.mixer.offsets[:2]:
        phase = np.arange(count, dtype=np.uint32) * np.uint32((receiver.beat + offset) % 2**PHASE_BITS)
        if table:
            angle = (phase >> np.uint32(DROPPED_BITS)).astype(np.intp)
            turned.append((COSINE[angle] - 1j * SINE[angle].astype(float)) / 2**15)
        else:
            turned.append(np.exp(-2j * np.pi * phase / 2**PHASE_BITS) * (32767 / 32768))
    return turned[0], turned[1]


def _phasors(receiver: Receiver, samples: NDArray[np.int16], turned: Complex) -> Complex:
    """The unit phasor of each hop, in floating point."""
    hops = (samples * turned).reshape(-1, HOP).sum(axis=1)
    smooth = np.convolve(hops, receiver.smoother.kernel, "same")
    return np.asarray(smooth / np.maximum(np.abs(smooth), 1e-30), np.complex128)


def _between_hops(turn: Complex, count: int) -> Complex:
    """Phasors of so many samples a hop, on straight lines between the hops' middles."""
    place = (np.arange(len(turn) * count) + 0.5) / count - 0.5
    return np.asarray(np.interp(place, np.arange(len(turn)), turn))


def _floating(
    receiver: Receiver,
    samples: NDArray[np.int16] | NDArray[np.float64],
    turned: Complex,
    turn: Complex,
    *,
    rounded: bool,
) -> Complex:
    """The receiver's chain without a single rounding but, where asked for, that of the resampler's positions."""
    decimated: Complex = samples * turned * 4  # a word of 18 bits for a quarter of one of 16
    for stage in half_bands(receiver.mixer.halvings):
        taps = np.zeros(4 * len(stage.taps) - 1)
        middle = 2 * len(stage.taps) - 1
        taps[middle] = 0.5
        for k, tap in enumerate(stage.taps):
            taps[[middle - 2 * k - 1, middle + 2 * k + 1]] = tap / 2**stage.fraction
        # Output n needs samples up to 2 n + 1.
        decimated = np.convolve(decimated, taps)[1 : len(decimated) + 1 : 2]
    place = receiver.alignment
    decimated = np.concatenate([np.zeros(place.late), decimated])[: len(decimated)]
    late = np.concatenate([np.zeros(place.hops), turn])[: len(turn)]
    rotated = decimated * np.conj(_between_hops(late, 2))
    count = int((len(rotated) - TAPS) * 2**FRACTION // receiver.step) - 2
    position = (receiver.position + np.arange(count, dtype=np.int64) * receiver.step) / 2**FRACTION * PHASES
    begin = np.floor(position + 0.5 if rounded else position).astype(np.int64)
    share = 0.0 if rounded else (position - begin)[:, np.newaxis]
    table = TAP.to_float(receiver.resampler.kernel.table)
    # The phase behind the last one is the first of the next sample.
    table = np.concatenate([np.pad(table, ((0, 0), (0, 1))), np.pad(table[:1], ((0, 0), (1, 0)))])
    index, number = np.divmod(begin, PHASES)
    taps = table[number] * (1 - share) + table[number + 1] * share
    padded = np.concatenate([np.zeros(TAPS // 2 - 1), rotated, np.zeros(TAPS)])
    resampled = np.einsum("nk,nk->n", np.lib.stride_tricks.sliding_window_view(padded, TAPS + 1)[index], taps)
    half = TAP.to_float(receiver.symbol_filter.taps)
    window = np.concatenate([half[:0:-1], half])
    return np.asarray(np.convolve(resampled, window)[len(half) - 1 : len(resampled) : 2])


def _signal_alone(
    recorded: Recorded, frame: FrameFormat, light: Light, sample_rate_hz: float, seed: int
) -> NDArray[np.float64]:
    """What of the recording is the payload's signal, without noise, pilot, preamble and rounding."""
    silent = replace(light, pilot_snr_db=-300.0, preamble_snu=0.0)
    return record(frame, silent, sample_rate_hz, np.random.default_rng(seed)).current


def _matched(
    recorded: Recorded, samples: NDArray[np.float64], turned: Complex, turn: Complex, frame: FrameFormat
) -> Complex:
    """A root-raised cosine at every symbol's very place, on samples that are turned back by `turn`."""
    m = round(recorded.samples_per_symbol)
    half = m * 33 // 2
    centres = recorded.first_symbol + recorded.samples_per_symbol * np.arange(len(recorded.symbols))
    first = np.floor(centres).astype(np.int64)
    phases = np.rint((centres - first) * TIMING_PHASES).astype(np.int64)
    padded = np.concatenate([np.zeros(half), samples * turned * np.conj(turn), np.zeros(half + 2)])
    received = np.empty(len(centres), np.complex128)
    for step in np.unique(phases):
        taps = root_raised_cosine(m, 33, frame.roll_off, delay=step / TIMING_PHASES)
        chosen = np.flatnonzero(phases == step)
        received[chosen] = np.lib.stride_tricks.sliding_window_view(padded, len(taps))[first[chosen]] @ taps
    return received
