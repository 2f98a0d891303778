"""Measures reconciliation over a simulated channel, everything that is disclosed subtracted.

A frame fails when it does not converge, and is wrong when it converges to other bits than Bob's, which verification
would catch; both count as frame errors. Times are CPU times of one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .. import verification
from .codes import Code, choose_code
from .decoder import Decoder
from .multidimensional import alice_llr, bob_message
from .slices import Slicer

ANSWERS = 2
"""Bits of Alice's answers: whether a frame converged, and whether it was equal."""

METHODS = ("multidimensional", "slices")


@dataclass(frozen=True)
class Measurement:
    """What `measure` found. Symbols are quadratures; rates are per quadrature.

    Attributes:
        method: one of `METHODS`.
        code: its name, or those of all levels.
        snr: per quadrature.
        symbols_per_frame: quadratures of a frame.
        rate: bits that a frame leaves when all that is disclosed is subtracted.
        reconciliation_efficiency: that rate over the channel's information, log2(1 + snr) / 2.
        disclosed_bits_per_frame: syndromes, disclosed slices, verification tag and answers.
        frames: how many were sent.
        failed_frames: that did not converge.
        wrong_frames: that did, to other bits.
        frame_error_rate: both, of all.
        efficiency_times_success: efficiency (1 - frame error rate).
        mean_iterations: of the decoder, all levels and attempts together.
        symbols_per_second_per_core: the decoder alone; for slices, all of Alice's work.
        alice_symbols_per_second_per_core: all of Alice's work: the map, the log-likelihood ratios, the decoder.
        seed: of the simulated channel.
    """

    method: str
    code: str
    snr: float
    symbols_per_frame: int
    rate: float
    reconciliation_efficiency: float
    disclosed_bits_per_frame: int
    frames: int
    failed_frames: int
    wrong_frames: int
    frame_error_rate: float
    efficiency_times_success: float
    mean_iterations: float
    symbols_per_second_per_core: float
    alice_symbols_per_second_per_core: float
    seed: int


def choose_method(snr: float) -> str:
    """The method that leaves more at this SNR per quadrature.

    Raises:
        NoKeyError: no code works at this SNR.
    """
    return "multidimensional" if choose_code(snr).efficiency(snr) >= Slicer().efficiency(snr) else "slices"


def measure(
    snr: float,
    frames: int,
    seed: int,
    *,
    method: str | None = None,
    code: Code | None = None,
    native: bool | None = None,
    done: Callable[[], None] = lambda: None,
) -> Measurement:
    """Send frames at this SNR per quadrature, and correct them.

    Args:
        snr: signal over noise per quadrature, positive and finite.
        frames: how many.
        seed: of the simulated channel.
        method: one of `METHODS`; None for the better one.
        code: for the eight-dimensional method; None for the one that suits the SNR.
        native: True for native decoders, False for numpy, None for native ones if they are there.
        done: called after each frame.

    Raises:
        InputError: an SNR or a method that cannot be.
        NoKeyError: no code works at this SNR.
    """
    if not (np.isfinite(snr) and snr > 0):
        raise InputError(f"an SNR of {snr:g} is no positive number: give signal over noise per quadrature")
    method = method or choose_method(snr)
    if method == "multidimensional":
        return _multidimensional(snr, frames, seed, code or choose_code(snr), native, done)
    if method == "slices":
        return _sliced(snr, frames, seed, native, done)
    raise InputError(f"no method is called {method!r}: choose from {', '.join(METHODS)}")


def _channel(
    snr: float, length: int, seed: int, frame: int
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.uint8]]:
    rng = np.random.default_rng([seed, frame])
    x = rng.standard_normal(length, np.float32) * np.float32(np.sqrt(snr))
    bits = rng.integers(0, 2, length, dtype=np.uint8)
    return x, x + rng.standard_normal(length, np.float32), bits


def _multidimensional(
    snr: float, frames: int, seed: int, code: Code, native: bool | None, done: Callable[[], None]
) -> Measurement:
    decoder = Decoder(code, native)
    count = _Count(frames, code.length)
    for frame in range(frames):
        x, y, bits = _channel(snr, code.length, seed, frame)
        message, syndrome = bob_message(y, bits), decoder.syndrome(bits)
        began = time.thread_time()
        llr = alice_llr(x, message, 1.0, 1.0)
        mapped = time.thread_time()
        decoded = decoder.decode(llr, syndrome)
        ended = time.thread_time()
        equal = bool(np.array_equal(decoded.bits, bits))
        count.add(decoded.converged, equal, decoded.iterations, ended - mapped, ended - began)
        done()
    disclosed = code.checks + verification.TAG_BITS + ANSWERS
    return count.measurement("multidimensional", code.name, snr, code.length, disclosed, code.length, seed)


def _sliced(snr: float, frames: int, seed: int, native: bool | None, done: Callable[[], None]) -> Measurement:
    slicer = Slicer(native)
    count = _Count(frames, slicer.length)
    for frame in range(frames):
        x, y, _ = _channel(snr, slicer.length, seed, frame)
        integers, message = slicer.bob(y, 1.0)
        began = time.thread_time()
        corrected = slicer.alice(x, message, 1.0)
        spent = time.thread_time() - began
        equal = bool(np.array_equal(corrected.integers, integers))
        count.add(corrected.converged, equal, sum(corrected.iterations), spent, spent)
        done()
    disclosed = slicer.disclosed_bits + verification.TAG_BITS + ANSWERS
    entropy = slicer.entropy_bits(snr)
    return count.measurement("slices", slicer.name, snr, slicer.length, disclosed, entropy, seed)


class _Count:
    def __init__(self, frames: int, length: int) -> None:
        self._frames, self._length = frames, length
        self._failed = self._wrong = self._iterations = 0
        self._decoding = self._all = 0.0

    def add(self, converged: bool, equal: bool, iterations: int, decoding: float, all_of_it: float) -> None:
        self._failed += not converged
        self._wrong += converged and not equal
        self._iterations += iterations
        self._decoding += decoding
        self._all += all_of_it

    def measurement(
        self, method: str, code: str, snr: float, length: int, disclosed: int, secret: int, seed: int
    ) -> Measurement:
        rate = (secret - disclosed) / length
        efficiency = rate / (0.5 * float(np.log2(1 + snr)))
        errors = (self._failed + self._wrong) / self._frames
        return Measurement(
            method=method,
            code=code,
            snr=snr,
            symbols_per_frame=length,
            rate=rate,
            reconciliation_efficiency=efficiency,
            disclosed_bits_per_frame=disclosed,
            frames=self._frames,
            failed_frames=self._failed,
            wrong_frames=self._wrong,
            frame_error_rate=errors,
            efficiency_times_success=efficiency * (1 - errors),
            mean_iterations=self._iterations / self._frames,
            symbols_per_second_per_core=self._frames * length / self._decoding,
            alice_symbols_per_second_per_core=self._frames * length / self._all,
            seed=seed,
        )
