import numpy as np
import pytest

from kronborg_hdl.synchronisation.frame_synchroniser.timing import (
    CORDIC_GAIN,
    Gains,
    Loop,
    TimingSettings,
    divide,
    raised_cosine_slope,
    slope_of,
    vector,
)

SETTINGS = TimingSettings(
    slope=slope_of(raised_cosine_slope(0.2)),
    weak=1000,
    wide=1 << 11,
    step=2 << 32,
    acquire=Gains.of(1, 1, samples_per_symbol=4, period=100_000, until=100_000),
    track=Gains.of(0.5, 0.125, samples_per_symbol=4, period=100_000, until=100_000),
)


def test_vector_and_divide_find_the_real_part_of_the_ratio() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        r, d = (complex(*rng.integers(-(2**28), 2**28, 2)) for _ in range(2))
        x, part = vector((int(r.real), int(r.imag)), (int(d.real), int(d.imag)))
        assert abs(x / CORDIC_GAIN - abs(r)) < 2e-8 * abs(r) + 20
        ratio = (d * r.conjugate()).real / abs(r) ** 2
        if abs(ratio) < 1.99:
            # Turned by up to 2**-15 too little, and the last bit of the quotient.
            assert abs(divide(part, x) * 2.0**-15 - ratio) < 2**-14.5 * (1 + abs(d) / abs(r))
        else:
            assert abs(divide(part, x)) > 1.98 * 2**15


def test_a_correlation_of_nothing_is_weak_and_commands_nothing() -> None:
    solved, loop = Loop(SETTINGS.step).follow(SETTINGS, (0, 0), (0, 0), None)
    assert solved.weak
    assert solved.jump is None
    assert loop == Loop(SETTINGS.step)


def correlation(phase: float, angle: float = 1.0) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of a pulse as steep as the loop believes, late by so many symbols."""
    r = 1e6 * np.exp(1j * angle)
    d = r * phase * 2 * raised_cosine_slope(0.2)
    return (round(r.real), round(r.imag)), (round(d.real), round(d.imag))


@pytest.mark.parametrize("phase", [0.3, -0.3, 0.01, -0.5])
@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, -2.0])
def test_phase_is_by_how_much_the_signal_is_late(phase: float, angle: float) -> None:
    solved, _ = Loop(SETTINGS.step).follow(SETTINGS, *correlation(phase, angle), None)
    assert solved.phase * 2.0**-16 == pytest.approx(phase, abs=1e-4)
    assert solved.jump is not None
    assert solved.jump * 2.0**-28 == pytest.approx(4 * phase, abs=5e-4)


def test_two_frames_tell_the_clock_offset() -> None:
    _, loop = Loop(SETTINGS.step).follow(SETTINGS, *correlation(0.2), None)
    assert not loop.locked
    solved, loop = loop.follow(SETTINGS, *correlation(-0.3), 10)
    assert loop.step / SETTINGS.step - 1 == pytest.approx(9.7e-5, abs=2e-9)
    assert loop.ahead == 10
    # The frame under way drifts once more before the command holds: by ten symbols, and by what a jump takes off.
    assert solved.jump is not None
    assert solved.jump * 2.0**-28 == pytest.approx(4 * -0.6, abs=1e-3)
    _, loop = loop.follow(SETTINGS, *correlation(0.0), 0)
    assert not loop.locked
    _, loop = loop.follow(SETTINGS, *correlation(0.0), 0)
    assert loop.locked


@pytest.mark.parametrize("between", [correlation(0.9), ((0, 0), (0, 0))], ids=["wide", "weak"])
def test_a_frame_that_is_near_by_chance_does_not_make_the_clock_known(
    between: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    loop = Loop(SETTINGS.step)
    for distance in (None, 0):
        _, loop = loop.follow(SETTINGS, *correlation(0.0), distance)
        assert not loop.locked
    # A weak frame says nothing about the clock; a wide one says that the near one was chance.
    _, loop = loop.follow(SETTINGS, *between, 0)
    _, loop = loop.follow(SETTINGS, *correlation(0.0), 0)
    assert loop.locked == (between[0] == (0, 0))


def test_a_near_frame_without_an_expectation_does_not_make_the_clock_known() -> None:
    loop = Loop(SETTINGS.step)
    for distance in (0, None, 0):
        _, loop = loop.follow(SETTINGS, *correlation(0.0), distance)
        assert not loop.locked
    assert loop.follow(SETTINGS, *correlation(0.0), 0)[1].locked


def test_a_clock_out_of_reach_holds_the_step_at_its_limit_and_is_never_locked() -> None:
    loop = Loop(SETTINGS.step)
    for distance in (60, 60, 60):
        _, loop = loop.follow(SETTINGS, *correlation(0.1), distance)
        assert not loop.locked
    assert loop.step == SETTINGS.step + (SETTINGS.step >> 12)


def test_lock_is_lost_by_a_phase_that_is_wide() -> None:
    loop = Loop(SETTINGS.step, locked=True)
    assert loop.follow(SETTINGS, *correlation(0.9 / 32), 0)[1].locked
    assert not loop.follow(SETTINGS, *correlation(1.1 / 32), 0)[1].locked
    assert not loop.follow(SETTINGS, *correlation(0.0), 1)[1].locked
    assert loop.follow(SETTINGS, *correlation(0.0), None)[1].locked
    assert not Loop(SETTINGS.step).follow(SETTINGS, *correlation(0.0), None)[1].locked
