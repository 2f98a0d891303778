"""Bit-exact numpy model of the resampler.

Output k stands at position p_k of the input, in samples:

    y[k] = saturate( round( sum over j < 10 of h[phase][j] x[i - 4 + j] / 2**17 ) ),   i + phase / 128 = p_k to nearest
    p_0 = 0,    p_(k + 1) = p_k + step

for I and Q alike, with ties towards plus infinity both times. Positions and steps have 32 fraction bits. A command
{at, jump, step} adds ``jump`` to the position of output ``at`` and changes the step from there on. A position never
goes back: a jump below minus one step is one of minus one step. Before a stream there are zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import BASEBAND
from .kernel import AHEAD, PHASES, TAP, TAPS, WIDE, Kernel

FRACTION = 32
"""Fraction bits of a position and of a step."""
STEP_BITS = 34
JUMP_BITS, JUMP_FRACTION = 32, 28
"""A jump is in 2**-28 samples."""
NUMBER_MASK = (1 << 32) - 1
"""Numbers of outputs are modulo 2**32."""
UNIT_STEP = 1 << FRACTION
MINIMUM_STEP, MAXIMUM_STEP = UNIT_STEP // 2, UNIT_STEP * 17 // 8
"""A step beyond is refused. Two samples a symbol of 2 to 4 are steps of 1 to 2, and what a clock is off."""

DROPPED = FRACTION - PHASES.bit_length() + 1
"""Bits of a position below its phase."""
HALF = 1 << (DROPPED - 1)
HISTORY = AHEAD - 1 + 3
"""Samples before a position that may be needed: a window's, and a jump's that goes back by the largest step."""
INTERLEAVED = 4
"""Every so many outputs at most their phases are looked at for staying the same; steps are then up to 9 samples."""
SHORTEST_RUN = 128
"""Outputs of one phase for which a convolution of their own is the quicker way."""
BLOCK = 1 << 13
"""Outputs that are worked on together: they stay in the cache."""


@dataclass(frozen=True)
class Retime:
    """A command.

    Attributes:
        at: number of the output from which on it holds, modulo 2**32.
        jump: added to its position, 2**-28 samples, signed 32 bits.
        step: from there on, 2**-32 samples for each output.
    """

    at: int
    jump: int
    step: int

    @property
    def jump_samples(self) -> float:
        """The jump in samples."""
        return float(self.jump * 2.0**-JUMP_FRACTION)


@dataclass(frozen=True)
class ResamplerState:
    """What a piece of a stream leaves to the next one.

    Attributes:
        samples: that are still needed, int32, shape (n, 2).
        position: of the next output if there is no jump, counted from the first of these, 2**-32 samples.
        step: 2**-32 samples for each output.
        number: of the next output, modulo 2**32.
        commands: that wait for theirs.
    """

    samples: NDArray[np.int32]
    position: int
    step: int
    number: int = 0
    commands: tuple[Retime, ...] = ()


def start(step: int = UNIT_STEP) -> ResamplerState:
    """After reset, with a first step."""
    return ResamplerState(np.zeros((HISTORY, 2), np.int32), HISTORY << FRACTION, step)


@dataclass(frozen=True)
class Resampled:
    """What came out.

    Attributes:
        samples: int32 that holds 18-bit words, shape (n, 2).
        saturated: words that were clipped.
        late: commands whose output had passed; they held at once.
        refused: commands with a step out of range; they did nothing.
        state: for the next piece.
    """

    samples: NDArray[np.int32]
    saturated: int
    late: int
    refused: int
    state: ResamplerState


@dataclass(frozen=True)
class Resampler:
    """The resampler. ``process`` is pure.

    Attributes:
        kernel: its taps.
        lanes: outputs per clock. They come in whole beats, and a command holds from the first beat on that begins at
            its output or behind it: with up to two lanes an even output is exact.
    """

    kernel: Kernel = WIDE
    lanes: int = 2

    def process(self, samples: NDArray[np.int32], state: ResamplerState, commands: Sequence[Retime] = ()) -> Resampled:
        """Resample a piece of a stream: all beats of outputs whose windows are complete.

        Args:
            samples: int32 that holds 18-bit words, shape (n, 2), I then Q.
            state: what the piece before left, or :func:`start`.
            commands: in the order of their outputs.

        Raises:
            ValueError: samples of another type or shape, or words of more than 18 bits.
        """
        if samples.dtype != np.int32 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"samples must be int32 of shape (n, 2), not {samples.dtype} of shape {samples.shape}")
        if samples.size and not BASEBAND.minimum <= samples.min() <= samples.max() <= BASEBAND.maximum:
            raise ValueError(f"a sample does not fit {BASEBAND.width} bits")
        rails = np.concatenate([state.samples, samples]).T.astype(np.float64, order="C")
        position, step, number = state.position, state.step, state.number
        waiting = [command for command in (*state.commands, *commands) if _is_allowed(command)]
        refused = len(state.commands) + len(commands) - len(waiting)
        pieces, saturated, late = [np.zeros((0, 2), np.int32)], 0, 0
        while True:
            ahead = self._beats_ahead(waiting[0], number) if waiting else 1
            begin, pace = position, step
            if ahead <= 0:
                jump = waiting[0].jump << (FRACTION - JUMP_FRACTION)
                begin, pace = position + max(jump, -step), waiting[0].step
            count = _complete(rails.shape[1], begin, pace) // self.lanes * self.lanes
            later = waiting[1:] if ahead <= 0 else waiting
            if later:
                # One command a beat: a second one for the same beat holds in the next.
                count = min(count, max(1, self._beats_ahead(later[0], number)) * self.lanes)
            count = min(count, BLOCK)
            if not count:
                break
            if ahead <= 0:
                waiting.pop(0)
                late += ahead < 0
            words, clipped = _round(self._filter(rails, begin, pace, count))
            pieces.append(words)
            saturated += clipped
            position, step, number = begin + count * pace, pace, (number + count) & NUMBER_MASK
        # A jump may go back by a step.
        used = min(max(0, (position >> FRACTION) - HISTORY), rails.shape[1])
        old = len(state.samples)
        kept = np.concatenate([state.samples[used:], samples[max(0, used - old) :]])
        left = ResamplerState(kept, position - (used << FRACTION), step, number, tuple(waiting))
        return Resampled(np.concatenate(pieces), saturated, late, refused, left)

    def _beats_ahead(self, command: Retime, number: int) -> int:
        """Beats from the output of this number to the one in which a command holds; negative when it has passed."""
        distance = (command.at - number + (NUMBER_MASK + 1) // 2 & NUMBER_MASK) - (NUMBER_MASK + 1) // 2
        return -(-distance // self.lanes)

    def _filter(self, rails: NDArray[np.float64], position: int, step: int, count: int) -> NDArray[np.float64]:
        """Sums of products of so many outputs: shape (2, count). They are below 2**39, so that float64 is exact."""
        # Every so many outputs a step is nearly whole, and phases stay the same for long.
        stride = min(range(1, INTERLEAVED + 1), key=lambda b: (b * abs(_drift(b * step)), b))
        if abs(_drift(stride * step)) * SHORTEST_RUN > 2 * HALF:
            return self._filter_each(rails, position, step, count)
        sums = np.empty((2, count))
        for first in range(min(stride, count)):
            self._filter_runs(rails, position + first * step, stride * step, sums[:, first::stride])
        return sums

    def _filter_runs(self, rails: NDArray[np.float64], position: int, step: int, sums: NDArray[np.float64]) -> None:
        """The same into `sums` where phases change seldom: one convolution for each run of outputs of one phase."""
        drift = _drift(step)
        whole = (step - drift) >> FRACTION
        kernel = np.ascontiguousarray(self._table.T)
        done, count = 0, sums.shape[1]
        while done < count:
            at = position + done * step + HALF
            inside = at & (2 * HALF - 1)
            run = count
            if drift:
                run = -(-(2 * HALF - inside) // drift) if drift > 0 else inside // -drift + 1
            end = min(done + run, count)
            index, phase = divmod(at >> DROPPED, PHASES)
            taps = kernel[phase]
            window = slice(index - (AHEAD - 1), index - (AHEAD - 1) + (end - done - 1) * whole + TAPS)
            for rail, out in ((rails[0, window], sums[0, done:end]), (rails[1, window], sums[1, done:end])):
                # Each of `whole` combs of the window has taps of its own.
                out[:] = np.correlate(rail[::whole], taps[::whole])[: end - done]
                for k in range(1, whole):
                    out += np.correlate(rail[k::whole], taps[k::whole])[: end - done]
            done = end

    def _filter_each(self, rails: NDArray[np.float64], position: int, step: int, count: int) -> NDArray[np.float64]:
        """The same for any phases."""
        # The fraction of the first position is enough for the arithmetic: 64 bits hold what a block adds.
        places = np.arange(count) * step + ((position & (UNIT_STEP - 1)) + HALF) >> DROPPED
        taps = self._table.take(places & (PHASES - 1), axis=1)
        windows = (places >> PHASES.bit_length() - 1) + (np.arange(TAPS)[:, np.newaxis] + (position >> FRACTION))
        windows -= AHEAD - 1
        sums = np.empty((2, count))
        for rail, out in zip(rails, sums, strict=True):
            np.einsum("kn,kn->n", rail.take(windows), taps, out=out)
        return sums

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return self.kernel.table.T.astype(np.float64, order="C")


def _is_allowed(command: Retime) -> bool:
    return MINIMUM_STEP <= command.step <= MAXIMUM_STEP


def _drift(step: int) -> int:
    """What is left of a step without its nearest whole number of samples."""
    return (step + UNIT_STEP // 2 & (UNIT_STEP - 1)) - UNIT_STEP // 2


def _complete(samples: int, position: int, step: int) -> int:
    """Outputs whose windows end within so many samples."""
    room = ((samples - AHEAD) << FRACTION) - HALF - 1 - position
    return max(0, room // step + 1)


def _round(sums: NDArray[np.float64]) -> tuple[NDArray[np.int32], int]:
    """Words of sums, shape (2, n), as int32 of shape (n, 2), and how many were clipped."""
    sums *= 2.0**-TAP.fraction
    sums += 0.5
    np.floor(sums, out=sums)
    saturated = 0
    if sums.size and not (BASEBAND.minimum <= sums.min() and sums.max() <= BASEBAND.maximum):
        saturated = int(np.count_nonzero((sums < BASEBAND.minimum) | (sums > BASEBAND.maximum)))
        np.clip(sums, BASEBAND.minimum, BASEBAND.maximum, out=sums)
    return sums.T.astype(np.int32, order="C"), saturated
