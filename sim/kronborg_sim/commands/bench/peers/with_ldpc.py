"""Runs the belief-propagation decoder of PyPI's ldpc (its own process) on a given matrix; prints JSON.

With the arithmetic and the schedule that serve it best on these codes: its product-sum takes half as many iterations in
series as in parallel, and its minimum-sum does not decode them. A frame of a million bits takes it most of a minute.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from channel import frame
from ldpc import BpDecoder
from scipy.sparse import csr_matrix

ITERATIONS = 150


def main(snr: float, frames: int, seed: int, matrix: str, core_length: int) -> None:
    """Correct the errors of Alice's hard decisions. They have the difference of both syndromes."""
    with np.load(matrix) as stored:
        rows, columns, shape = stored["rows"], stored["columns"], tuple(stored["shape"])
    checks = csr_matrix((np.ones(len(rows), np.uint8), (rows, columns)), shape=shape)
    decoder = BpDecoder(
        checks, error_rate=0.1, max_iter=ITERATIONS, bp_method="product_sum", schedule="serial", omp_thread_count=1
    )
    failed, seconds, iterations = 0, 0.0, 0
    for number in range(frames):
        bits, llr = frame(snr, shape[1], seed, number)
        hard = (llr < 0).astype(np.uint8)
        syndrome = (checks.astype(np.int32) @ (bits ^ hard).astype(np.int32) % 2).astype(np.uint8)
        began = time.process_time()
        decoder.update_channel_probs(1 / (1 + np.exp(np.abs(llr))))
        error = decoder.decode(syndrome)
        seconds += time.process_time() - began
        iterations += decoder.iter
        failed += not np.array_equal(error[:core_length], (bits ^ hard)[:core_length])
    figures = {
        "version": version("ldpc"),
        "symbols_per_frame": int(shape[1]),
        "rate": 1 - shape[0] / shape[1],
        "frames": frames,
        "failed_frames": failed,
        "mean_iterations": iterations / frames,
        "symbols_per_second_per_core": frames * shape[1] / seconds,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
