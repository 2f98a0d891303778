"""Runs PyPI's information-reconciliation (GPL-3.0, its own process) and prints what it reached, as JSON.

Its rate is the one of a ladder of efficiencies that does best, efficiency times success, on the frames that are
reported. That flatters it: it is a comparison that it cannot lose by a bad choice.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from math import log2

os.environ["OMP_NUM_THREADS"] = "1"

from channel import frame
from information_reconciliation import Decoder

LADDER = (0.95, 0.94, 0.93, 0.92, 0.91, 0.9, 0.89, 0.88, 0.87, 0.86, 0.84, 0.82, 0.8, 0.75, 0.7)


def correct(decoder: Decoder, snr: float, seed: int, number: int) -> tuple[bool, float]:
    """Whether a frame came out right, and the CPU seconds of decoding."""
    bits, llr = frame(snr, decoder.get_N(), seed, number)
    word, llr = bits.tolist(), llr.tolist()
    syndrome = decoder.get_syndrome(word)
    began = time.process_time()
    decoded, _, converged = decoder.SPA_decoder(llr, syndrome)
    return converged and list(decoded) == word, time.process_time() - began


def main(snr: float, frames: int, seed: int) -> None:
    """Choose a rate, then measure."""
    decoder = Decoder()
    figures: dict[str, object] = {}
    best = 0.0
    for beta in LADDER:
        rate = beta * log2(1 + snr) / 2
        if not 0.01 <= rate <= 0.2:
            continue
        decoder.set_rate(rate)
        outcomes = [correct(decoder, snr, seed, number) for number in range(frames)]
        failed = sum(not right for right, _ in outcomes)
        if beta * (frames - failed) > best:
            best, length = beta * (frames - failed), decoder.get_N()
            figures = {
                "version": version("information-reconciliation"),
                "symbols_per_frame": length,
                "rate": decoder.get_rate(),
                "frames": frames,
                "failed_frames": failed,
                "symbols_per_second_per_core": frames * length / sum(seconds for _, seconds in outcomes),
            }
        if not failed:
            break  # nothing below can do better
    if not best:
        raise SystemExit(f"no rate of its codes works at an SNR of {snr}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
