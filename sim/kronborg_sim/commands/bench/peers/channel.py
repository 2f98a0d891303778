"""The virtual channel of eight-dimensional reconciliation, for peers: needs numpy alone, and nothing of Kronborg.

Bob's eight quadratures have the norm |y|, Alice's turned ones are x = a |y| u + e with u the signs over sqrt(8),
a = snr / (1 + snr) and e Gaussian of variance a; her log-likelihood ratio of a sign is 2 |y| x / sqrt(8).
"""

import numpy as np
from numpy.typing import NDArray


def frame(snr: float, length: int, seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Uniform bits, and their log-likelihood ratios, positive where 0 is more likely."""
    rng = np.random.default_rng([seed, number])
    bits = rng.integers(0, 2, length, dtype=np.uint8)
    norm = np.sqrt((1 + snr) * rng.chisquare(8, -(-length // 8))).repeat(8)[:length]
    gain = snr / (1 + snr)
    turned = gain * norm * (1.0 - 2.0 * bits) / np.sqrt(8) + np.sqrt(gain) * rng.standard_normal(length)
    return bits, 2 * norm * turned / np.sqrt(8)
