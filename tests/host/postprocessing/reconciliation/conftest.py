"""A code of the stored kind, but small enough to decode many words of it with numpy; and frames for any code."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from kronborg.postprocessing.reconciliation import Code, alice_llr, bob_message
from kronborg.postprocessing.reconciliation.construct import construct
from kronborg.postprocessing.reconciliation.ensembles import Ensemble, Nodes

SMALL_ENSEMBLE = Ensemble(
    (Nodes(8, 2), Nodes(17, 3)),
    (Nodes(2, 14), Nodes(3, 13)),
    leaf_hundredths=295,
    fewest_leaves=175,
    most_leaves=175,
    lifting=56,  # no multiple of sixteen: the native decoder must pad
)


@pytest.fixture(scope="session")
def small_code() -> Code:
    return Code("small", construct(SMALL_ENSEMBLE, seed=1), 0.25)


@pytest.fixture(scope="session")
def frame() -> Callable[[Code, float, int], tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Of a code, an SNR and a seed: Bob's bits, and what Alice knows of them."""

    def make(code: Code, snr: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        rng = np.random.default_rng(seed)
        x = rng.normal(0, np.sqrt(snr), code.length)
        y = x + rng.normal(0, 1, code.length)
        bits = rng.integers(0, 2, code.length, dtype=np.uint8)
        return bits, alice_llr(x, bob_message(y, bits), 1.0, 1.0)

    return make
