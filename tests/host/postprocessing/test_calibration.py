"""The shot-noise unit, from recordings whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest

from kronborg.errors import InputError
from kronborg.postprocessing.calibration import calibrate


def words(rng, std, count=20000, offset=0.0):
    return np.rint(rng.normal(offset, std, (count, 2))).astype(np.int16)


def test_unit_and_electronic_noise_come_out_whatever_the_offset():
    rng = np.random.default_rng(1)
    found = calibrate(words(rng, 1000, 400000, offset=300), words(rng, 300, 400000, offset=-50))
    assert found.unit == pytest.approx(1000**2 - 300**2, rel=5e-3)
    assert found.electronic_noise_snu == pytest.approx(0.09 / 0.91, rel=1e-2)


def test_stated_uncertainty_is_that_of_repeated_calibrations():
    rng = np.random.default_rng(2)
    found = [calibrate(words(rng, 500, 5000), words(rng, 250, 3000)) for _ in range(400)]
    spread = np.std([one.unit for one in found]) / np.mean([one.unit for one in found])
    # The spread of 400 values is itself known to 3.5 %.
    assert spread == pytest.approx(np.mean([one.relative_std for one in found]), rel=0.12)


def test_a_detector_without_electronic_noise_is_fine():
    found = calibrate(words(np.random.default_rng(3), 400), np.zeros((2000, 2), np.int16))
    assert found.electronic_noise_snu == 0


@pytest.mark.parametrize(
    ("vacuum_std", "dark_std", "count", "message"),
    [
        (300, 300.1, 20000, "local oscillator"),
        (0, 0, 20000, "constant"),
        (300, 30, 500, "least"),
        (20000, 30, 20000, "clipped"),
    ],
)
def test_nonsense_is_refused_in_one_line(vacuum_std, dark_std, count, message):
    rng = np.random.default_rng(4)
    vacuum = np.clip(rng.normal(0, vacuum_std, (count, 2)), -32768, 32767).astype(np.int16)
    dark = np.clip(rng.normal(0, dark_std, (count, 2)) * 1.05, -32768, 32767).astype(np.int16)
    with pytest.raises(InputError, match=message) as refusal:
        calibrate(vacuum, dark)
    assert "\n" not in str(refusal.value)


def test_values_that_are_not_numbers_are_refused():
    vacuum = np.random.default_rng(5).normal(0, 300, (2000, 2))
    vacuum[7, 1] = np.nan
    with pytest.raises(InputError, match="not numbers"):
        calibrate(vacuum, np.zeros((2000, 2)))
