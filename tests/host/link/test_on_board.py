"""What the host makes of a board's packets before anything is estimated from them."""

import numpy as np
import pytest

from kronborg.link.on_board import without_phase
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag, Packet


def test_symbols_keep_the_variance_of_the_light_when_their_mean_is_taken_off() -> None:
    rng = np.random.default_rng(1)
    variances = []
    for number in range(4000):
        words = rng.normal(0, 1000, (8, 2)).round().astype(np.int16)
        symbols = without_phase(Packet(number, words, Flag(0), 500, (300, -400), 0, 0))
        assert abs(symbols.mean()) < 1e-2
        variances.append(np.mean(np.abs(symbols) ** 2) / 2)
    assert np.mean(variances) == pytest.approx(1000**2, rel=0.02)
