import math

import numpy as np
import pytest

from kronborg_hdl.dsp.zadoff_chu import zadoff_chu


@pytest.mark.parametrize(("root", "length"), [(1, 3), (5, 2999), (17, 2039), (7, 64), (25, 1024)])
def test_zadoff_chu_is_constant_in_amplitude_and_white(root: int, length: int) -> None:
    chips = zadoff_chu(root, length)
    assert np.allclose(np.abs(chips), 1)
    assert np.allclose(np.abs(np.fft.fft(chips)), math.sqrt(length))  # so no periodic side lobes


@pytest.mark.parametrize("parity", [0, 1])
def test_zadoff_chu_follows_the_definition_however_long(parity: int) -> None:
    length = (1 << 20) - 2 + parity
    root = 524_287 if parity else 524_283
    chips = zadoff_chu(root, length)
    for k in (0, 1, length // 3, length - 1):
        phase = root * k * (k + length % 2) % (2 * length)  # Python's integers: exact
        assert chips[k] == pytest.approx(np.exp(-1j * np.pi * phase / length), abs=1e-9)
