"""Bit-exact model of the transmitter: random words to converter samples and the record, frame by frame.

The core beside it gives the same samples and the same symbols for every setting. Of the flags it may set more: an event
marks every frame that is in the chain when it happens, and here only the one that it happens to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..modulation.alphabet.model import AlphabetSource
from ..modulation.frame_controller.model import FrameSettings
from ..modulation.gaussian.model import GaussianSource
from ..modulation.interpolating_shaper.model import InterpolatingShaper
from ..modulation.predistortion.model import Predistortion
from ..modulation.pulse_shaper.model import PulseShaper
from ..modulation.shift_and_pilots.model import Pilot, shift_and_pilots
from ..modulation.symbol_record.model import Flag, Packet


@dataclass(frozen=True, eq=False)
class SentFrame:
    """One frame.

    Attributes:
        samples: for the converter, int16, shape (n, 2), I then Q. They hold the raw key: not in the repr.
        packet: what the record has of it.
        saturated: words behind the record that did not fit and were clipped.
    """

    samples: NDArray[np.int16] = field(repr=False)
    packet: Packet
    saturated: int


@dataclass(frozen=True, eq=False)
class Transmitter:
    """The assembly with its settings.

    Attributes:
        source: the one that is selected.
        frame: sections of a frame.
        shaper: the interpolating filter.
        shift_word: single-sideband shift, 2**-32 turns a sample.
        pilots: tones, sent from the first sample of a frame to the last.
        predistortion: for modulator and converter; None where it is off or not built.
    """

    source: GaussianSource | AlphabetSource
    frame: FrameSettings
    shaper: PulseShaper | InterpolatingShaper
    shift_word: int
    pilots: tuple[Pilot, ...]
    predistortion: Predistortion | None = None

    @property
    def samples(self) -> int:
        """Samples of a frame: its symbols, and the tail of the last one's pulse."""
        return (self.frame.symbols + self.shaper.tail) * self.shaper.samples_per_symbol

    def symbols(self, words: NDArray[np.uint32]) -> NDArray[np.int16]:
        """What the source makes of random words: int16, shape (n, 2).

        Args:
            words: uint32, shape (2 n,), in the order of the entropy's output: the low half of a symbol's bits first.
        """
        bits = np.ascontiguousarray(words, "<u4").view("<u8").astype(np.uint64, copy=False)
        made = self.source.process(bits)
        return made if isinstance(made, np.ndarray) else made.words

    def send(self, number: int, payload: NDArray[np.int16], *, starved: bool = False) -> SentFrame:
        """One frame.

        Args:
            number: of the frame.
            payload: its recorded symbols, int16, shape (frame.payload, 2); zeros where the source had none.
            starved: it had none somewhere.

        Raises:
            ValueError: a payload of another length, or a number that does not fit the record.
        """
        words, _ = self.frame.frame(number, payload)
        samples, saturated = self.shaper.process(words)
        samples, clipped = shift_and_pilots(samples, self.shift_word, self.pilots)
        saturated += clipped
        if self.predistortion is not None:
            samples, clipped = self.predistortion.process(samples)
            saturated += clipped
        flags = (Flag.STARVED if starved else Flag(0)) | (Flag.SATURATED if saturated else Flag(0))
        return SentFrame(samples, Packet(number, payload, flags), saturated)

    def run(
        self, words: NDArray[np.uint32], frames: int, *, number: int = 0, starved: NDArray[np.bool_] | None = None
    ) -> Iterator[SentFrame]:
        """Frames one after the other, from random words.

        Args:
            words: uint32, as for :meth:`symbols`. When they run out, the payload is zeros from there on and starved.
            frames: how many.
            number: of the first.
            starved: for each payload symbol of all frames, bool, shape (frames * frame.payload,), whether the source
                had none when it was due. It then comes later; None: it always had one.

        Raises:
            ValueError: `starved` of another length.
        """
        count = frames * self.frame.payload
        due = np.ones(count, np.bool_) if starved is None else ~starved
        if due.shape != (count,):
            raise ValueError(f"starved is of shape {due.shape}: {frames} frames have {count} payload symbols")
        n = self.frame.limits.symbols_per_clock
        symbols = self.symbols(words[: len(words) // (2 * n) * (2 * n)])
        due[np.flatnonzero(due)[len(symbols) :]] = False
        payload = np.zeros((count, 2), np.int16)
        payload[due] = symbols[: np.count_nonzero(due)]
        for index in range(frames):
            own = slice(index * self.frame.payload, (index + 1) * self.frame.payload)
            yield self.send((number + index) % 2**32, payload[own], starved=not due[own].all())
