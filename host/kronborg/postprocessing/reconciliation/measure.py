"""Measures a code over the simulated channel, the eight-dimensional map included, and prints JSON.

    python -m kronborg.postprocessing.reconciliation.measure --rate 0.2 --snr 0.35 --frames 20 --seed 1

Times are those of the process on one core. A frame fails when it does not converge within the iterations, and is wrong
when it converges to other bits than Bob's, which verification would catch; both count as frame errors.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

import numpy as np

from .codes import Code, available_codes
from .decoder import Decoder
from .multidimensional import alice_llr, bob_message


@dataclass(frozen=True)
class Measurement:
    """What `measure` found. Rates are per quadrature; times in CPU seconds, decoding only."""

    code: str
    rate: float
    snr: float
    reconciliation_efficiency: float
    frames: int
    failed_frames: int
    wrong_frames: int
    frame_error_rate: float
    mean_iterations: float
    symbols_per_second_per_core: float
    milliseconds_per_iteration: float
    decoder: str
    seed: int


def measure(
    code: Code, snr: float, frames: int, seed: int, native: bool | None = None, max_iterations: int | None = None
) -> Measurement:
    """Send frames at this SNR per quadrature, and correct them. `max_iterations`: None for the decoder's default."""
    decoder = Decoder(code, native)
    limit = {} if max_iterations is None else {"max_iterations": max_iterations}
    failed = wrong = iterations = 0
    seconds = 0.0
    for frame in range(frames):
        rng = np.random.default_rng([seed, frame])
        x = rng.normal(0, np.sqrt(snr), code.length)
        y = x + rng.normal(0, 1, code.length)
        bits = rng.integers(0, 2, code.length, dtype=np.uint8)
        llr = alice_llr(x, bob_message(y, bits), 1.0, 1.0)
        syndrome = decoder.syndrome(bits)
        began = time.thread_time()
        decoded = decoder.decode(llr, syndrome, **limit)
        seconds += time.thread_time() - began
        iterations += decoded.iterations
        failed += not decoded.converged
        wrong += decoded.converged and not np.array_equal(decoded.bits, bits)
    return Measurement(
        code.name,
        code.rate,
        snr,
        code.efficiency(snr),
        frames,
        failed,
        wrong,
        (failed + wrong) / frames,
        iterations / frames,
        frames * code.length / seconds,
        1000 * seconds / iterations,
        "native" if decoder.native else "numpy",
        seed,
    )


def main() -> None:
    """Measure one code, and print what was found."""
    parser = argparse.ArgumentParser(description="Measure a code over the simulated channel.")
    rates = {f"{code.rate:.3g}": code for code in available_codes()}
    parser.add_argument("--rate", choices=list(rates), required=True, help="which code")
    parser.add_argument("--snr", type=float, required=True, help="signal over noise per quadrature")
    parser.add_argument("--frames", type=int, default=20, help="how many to send")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated channel")
    parser.add_argument("--decoder", choices=["native", "numpy"], help="default: native if it was built")
    parser.add_argument("--max-iterations", type=int, help="when to give a frame up")
    arguments = parser.parse_args()
    if arguments.frames < 1 or not arguments.snr > 0:
        parser.error("give at least one frame and an SNR above zero")
    found = measure(
        rates[arguments.rate],
        arguments.snr,
        arguments.frames,
        arguments.seed,
        None if arguments.decoder is None else arguments.decoder == "native",
        arguments.max_iterations,
    )
    print(json.dumps(asdict(found), indent=2))


if __name__ == "__main__":
    main()
