import numpy as np
import pytest

from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.synchronisation.frame_synchroniser.correlation import (
    Detector,
    Picker,
    false_alarm_threshold,
    measure,
    signs,
)
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import WINDOW_BEATS, Sizes


def words_of(chips: np.ndarray, amplitude: float = 3000.0) -> np.ndarray:
    return np.rint(amplitude * np.stack([chips.real, chips.imag], 1)).astype(np.int16)


def test_magnitude_follows_its_definition() -> None:
    rng = np.random.default_rng(1)
    sizes = Sizes(1, preamble=100, detector_chips=30)
    chips = signs(rng.integers(-9, 9, (100, 2)))
    words = rng.integers(-2, 3, (20_000, 2)).astype(np.int16)
    found = Detector(sizes, chips, 1).magnitudes(words)
    assert len(found) == len(words) - 99
    for n in (0, 1, 777, 16_284, 16_285, 16_286, len(found) - 1):  # a block of the transform ends at 16285
        total = 0j
        for k in sizes.places:
            bit_i, bit_q = (1 if word >= 0 else -1 for word in words[n + k])
            total += complex(bit_i, bit_q) * complex(*chips[k]).conjugate()
        large, small = sorted((abs(round(total.real)), abs(round(total.imag))), reverse=True)
        assert found[n] == 8 * large + 3 * small


@pytest.mark.parametrize("chips", [256, 512])
def test_a_preamble_without_noise_has_side_lobes_below_the_threshold_whatever_its_phase(chips: int) -> None:
    sizes = Sizes(1, detector_chips=chips)
    sequence = zadoff_chu(17, sizes.preamble)
    threshold = false_alarm_threshold(chips, 2**17, 1e-9)
    rng = np.random.default_rng(2)
    around = [words_of(rng.normal(size=sizes.preamble) + 1j * rng.normal(size=sizes.preamble), 700) for _ in range(2)]
    for phase in np.linspace(0, np.pi / 2, 9):
        stream = np.concatenate([around[0], words_of(sequence * np.exp(1j * phase)), around[1]])
        found = Detector(sizes, signs(words_of(sequence)), threshold).magnitudes(stream)
        assert found.argmax() == sizes.preamble
        assert found.max() > 0.69 * 8 * 2 * chips  # a turn by an eighth costs most: sqrt(1/2)
        assert np.delete(found, range(sizes.preamble - 1, sizes.preamble + 2)).max() < 0.75 * threshold


def test_noise_reaches_the_threshold_no_more_often_than_is_said() -> None:
    rng = np.random.default_rng(3)
    sizes = Sizes(1, preamble=1000, detector_chips=256)
    detector = Detector(sizes, signs(rng.integers(-9, 9, (1000, 2))), 1)
    found = detector.magnitudes(rng.integers(-300, 300, (1_000_000, 2)).astype(np.int16))
    for probability in (1e-2, 1e-3, 1e-4):
        share = np.mean(found >= false_alarm_threshold(256, 1, probability))
        assert probability / 100 < share < probability  # a bound, and not far from the truth


def test_the_largest_within_the_window_is_the_peak_and_the_first_of_equals() -> None:
    sizes = Sizes(2, preamble=128, detector_chips=8)
    detector = Detector(sizes, np.ones((128, 2), np.int8), 50)
    magnitudes = np.zeros((1000, 2), np.int64)
    magnitudes[10] = 49, 60
    magnitudes[14] = 70, 70
    magnitudes[14 + WINDOW_BEATS] = 69, 70  # not larger
    magnitudes[14 + WINDOW_BEATS + 1] = 99, 99  # not looked at: decided, and held
    again = 14 + WINDOW_BEATS + 1 + sizes.hold
    magnitudes[again - 1] = 99, 99
    magnitudes[again] = 10, 51
    peaks, picker = detector.pick(magnitudes.ravel(), 0, Picker())
    assert [(peak.end, peak.magnitude) for peak in peaks] == [(29, 70), (2 * again + 2, 51)]
    assert not picker.best


@pytest.mark.parametrize("cut", [1, 11, 15, 22, 23, 24, 300])
def test_peaks_do_not_depend_on_the_pieces(cut: int) -> None:
    rng = np.random.default_rng(4)
    sizes = Sizes(1, preamble=64, detector_chips=8)
    detector = Detector(sizes, np.ones((64, 2), np.int8), 90)
    magnitudes = rng.integers(0, 100, 5000) - 9 * (rng.random(5000) < 0.95)
    whole, end = detector.pick(magnitudes, 7, Picker())
    pieces, picker = [], Picker()
    for begin in range(0, 5000, cut):
        peaks, picker = detector.pick(magnitudes[begin : begin + cut], 7 + begin, picker)
        pieces += peaks
    assert (pieces, picker) == (whole, end)
    assert len(whole) > 10


def test_measured_correlation_follows_its_definition() -> None:
    rng = np.random.default_rng(5)
    words = rng.integers(-32768, 32768, (66, 2)).astype(np.int16)
    chips = signs(rng.integers(-9, 9, (64, 2)))
    z = words[:, 0].astype(int) + 1j * words[:, 1]
    c = chips[:, 0].astype(int) - 1j * chips[:, 1]
    r, d = measure(words, chips)
    assert complex(*r) == np.sum(c * z[1:-1])
    assert complex(*d) == np.sum(c * z[2:]) - np.sum(c * z[:-2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "3 symbols per clock: must be one of 1, 2, 4, 8"),
        ((2, 127), "a preamble of 127 chips: must be 128 to 4095"),
        ((1, 4096), "a preamble of 4096 chips"),
        ((1, 2039, 1020), "a detector of 1020 chips: must be an even number, 8 to half the preamble"),
        ((1, 2039, 9), "a detector of 9 chips"),
    ],
)
def test_refuses_a_core_that_cannot_be_built(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sizes(*arguments)
