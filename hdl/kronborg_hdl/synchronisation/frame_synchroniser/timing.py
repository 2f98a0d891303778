"""Bit-exact model of the solver: from the preamble's correlation to the sampling phase and the resampler's command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi

from ...decimation.resampler.model import JUMP_BITS, JUMP_FRACTION

ITERATIONS = 16
"""Of the CORDIC, and of the division behind it."""
AMPLITUDE_BITS = 30
CORDIC_GAIN = 1.6467602578
"""Of the amplitude: the product of sqrt(1 + 4**-i)."""
RATIO_FRACTION = 15
PHASE_FRACTION = 16
"""A sampling phase is in 2**-16 symbols."""
SLOPE_BITS = 16
STEP_BITS, STEP_FRACTION = 34, 32
"""A step is in 2**-32 decimated samples for each output of the resampler."""
PHASE_GAIN_BITS, PHASE_GAIN_FRACTION = 20, 16
FREQUENCY_GAIN_BITS, FREQUENCY_GAIN_FRACTION = 24, 16
WIDE_BITS = 17
WANDER_SHIFT = 12
"""The step stays within 2**-12, 244 ppm, of the nominal one."""
DISTANCE_BITS = 8
"""A frame that comes so much earlier or later than expected, as a signed number of symbols, tells the clock offset."""


def vector(r: tuple[int, int], d: tuple[int, int]) -> tuple[int, int]:
    """Turn both until `r` is real and positive: CORDIC_GAIN times |r| and Re(d conj(r)) / |r| (Volder 1959).

    Every shift drops bits downwards.
    """
    x, y = r
    dx, dy = d
    if x < 0:
        x, y, dx, dy = -x, -y, -dx, -dy
    for i in range(ITERATIONS):
        if y < 0:
            x, y, dx, dy = x - (y >> i), y + (x >> i), dx - (dy >> i), dy + (dx >> i)
        else:
            x, y, dx, dy = x + (y >> i), y - (x >> i), dx + (dy >> i), dy - (dx >> i)
    return x, dx


def divide(numerator: int, denominator: int) -> int:
    """The quotient in 2**-15, within (-2, 2): where it is beyond, the nearest of these."""
    quotient = 0
    for i in range(ITERATIONS):
        sign = -1 if numerator < 0 else 1
        numerator -= sign * (denominator >> i)
        quotient += sign << (RATIO_FRACTION - i)
    return quotient


def round_product(product: int, shift: int) -> int:
    """Drop bits, to nearest, ties towards plus infinity."""
    return (product + (1 << (shift - 1))) >> shift


@dataclass(frozen=True)
class Gains:
    """Of the loop.

    Attributes:
        phase: what of a late sampling phase is taken off, times samples a symbol, 2**-16.
        drift: of what is taken for drift, what the frame under way gains once more before the command holds; likewise.
        frequency: what is taken for drift, in the step: 2**-16 steps' words for 2**-16 symbols.
    """

    phase: int
    drift: int
    frequency: int

    @classmethod
    def of(cls, phase: float, frequency: float, *, samples_per_symbol: float, period: int, until: int) -> Gains:
        """The registers for fractions of the error.

        Args:
            phase: what is taken off at once.
            frequency: what is taken for drift.
            samples_per_symbol: of the resampler's input.
            period: symbols from frame to frame.
            until: symbols from a preamble's end to where its command holds.
        """
        step_word = samples_per_symbol / 2 * 2.0**STEP_FRACTION / 2.0**PHASE_FRACTION / period
        return cls(
            round(phase * samples_per_symbol * 2**PHASE_GAIN_FRACTION),
            round(frequency * until / period * samples_per_symbol * 2**PHASE_GAIN_FRACTION),
            round(frequency * step_word * 2**FREQUENCY_GAIN_FRACTION),
        )


@dataclass(frozen=True)
class TimingSettings:
    """Registers of the timing.

    Attributes:
        slope: symbols of delay for a ratio of one, 2**-16; see :func:`slope_of`.
        weak: a preamble of a smaller amplitude is weak; CORDIC_GAIN times |R(0)|.
        wide: a phase error from which on the frame is not good and the loop acquires, 2**-16 symbols.
        step: nominal, 2**-32 decimated samples for each output.
        acquire: gains while the clock is not known, or far off; all that a frame gained is then taken for drift.
        track: gains when it is.
        retime_after: symbols from the payload's end to the command's place.
    """

    slope: int
    weak: int
    wide: int
    step: int
    acquire: Gains
    track: Gains
    retime_after: int = 0


@dataclass(frozen=True)
class Solved:
    """What is known of a frame's timing.

    Attributes:
        phase: by how much it was sampled too early, 2**-16 symbols.
        weak: the preamble was too weak for anything to follow from it.
        jump: of the command to the resampler, 2**-28 decimated samples; None where there is none.
    """

    phase: int
    weak: bool
    jump: int | None


@dataclass(frozen=True)
class Loop:
    """State of the loop.

    A command holds when the frame that it was measured on has passed. That frame's drift is taken off with it, so that
    each frame is expected without error: the loop is an alpha-beta filter (Benedict & Bordner 1962).

    Attributes:
        step: of the resampler, as commanded.
        near: the last frame was within `wide` of where it was expected.
        locked: the clock is known: two frames in a row were near. One may be by chance, with the clock far off.
        ahead: whole symbols that the frame under way gains and that no jump takes off.
    """

    step: int
    near: bool = False
    locked: bool = False
    ahead: int = 0

    def follow(
        self, settings: TimingSettings, r: tuple[int, int], d: tuple[int, int], distance: int | None
    ) -> tuple[Solved, Loop]:
        """Take one frame's correlation.

        Args:
            settings: registers.
            r: R(0).
            d: R(1) - R(-1).
            distance: symbols by which the frame came later than expected; None if there was no expectation.
        """
        amplitude, part = vector(r, d)
        ratio = divide(part, amplitude)
        phase = round_product(ratio * settings.slope, RATIO_FRACTION)
        if amplitude < settings.weak:
            return Solved(phase, True, None), replace(self, ahead=0)
        error = phase + ((distance or 0) << PHASE_FRACTION)
        within = abs(error) < settings.wide
        gains = settings.track if within and self.locked else settings.acquire
        gain = gains.phase + (0 if distance is None else gains.drift)
        jump = round_product(phase * gain, PHASE_FRACTION + PHASE_GAIN_FRACTION - JUMP_FRACTION)
        jump = max(-(1 << (JUMP_BITS - 1)), min((1 << (JUMP_BITS - 1)) - 1, jump))
        step = self.step
        if distance is not None:
            step += round_product(error * gains.frequency, FREQUENCY_GAIN_FRACTION)
            wander = settings.step >> WANDER_SHIFT
            step = max(settings.step - wander, min(settings.step + wander, step))
        near = within and distance is not None
        locked = within and (self.locked or (self.near and near))
        return Solved(phase, False, jump), Loop(step, near, locked, distance or 0)


def slope_of(pulse_slope: float) -> int:
    """The register for a pulse, matched filter included, that falls by so much a symbol where its first zero is."""
    return min((1 << SLOPE_BITS) - 1, round(2.0**PHASE_FRACTION / (2 * pulse_slope)))


def raised_cosine_slope(roll_off: float) -> float:
    """How steeply a raised cosine of height one falls through its first zero, per symbol."""
    return cos(pi * roll_off) / (1 - 4 * roll_off**2)
