"""The keystream that the benches draw from: the model of the gateware's ChaCha20, keyed by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.modulation.entropy.chacha20.model import keystream
from kronborg_hdl.modulation.entropy.model import Entropy

BLOCK_BYTES = 64
_BLOCKS_PER_KEY = 1 << 32


def blocks_from(seed: int, first: int, count: int) -> NDArray[np.uint32]:
    """Blocks `first`, `first` + 1, ... of a source in HOST mode; uint32, shape (count, 16).

    When its key is spent the host gives the same again: the next epoch's nonce makes another stream of it.
    """
    key = np.random.SeedSequence(seed).generate_state(8, np.uint32).astype(np.uint32)
    epoch, counter = divmod(first, _BLOCKS_PER_KEY)
    here = min(count, _BLOCKS_PER_KEY - counter)
    words = keystream(key, Entropy().nonce(epoch), here, counter=counter)
    return words if here == count else np.concatenate([words, blocks_from(seed, first + here, count - here)])
