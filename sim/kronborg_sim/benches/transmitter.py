"""The transmitter on its RTL: settings through its registers, frames and packets from its streams.

What a driver on a board does, and in its order; ``docs/transmitter.md`` has the same as a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.modulation.alphabet.model import AlphabetSource
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.core import BLOCK_BITS
from kronborg_hdl.modulation.entropy.health.model import HealthTests, proportion_cutoff, repetition_cutoff, window
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.frame_controller.model import NUMBER_BITS, FrameSettings, Section
from kronborg_hdl.modulation.gaussian.model import MAXIMUM_DEVIATION, MINIMUM_DEVIATION, GaussianSource
from kronborg_hdl.modulation.gaussian.tables import WORD_BITS
from kronborg_hdl.modulation.interpolating_shaper.core import InterpolatingShaper as InterpolatingShaperCore
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.model import Predistortion, arcsine_table, inverse_sinc
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot
from kronborg_hdl.modulation.symbol_record.model import Packet, read_packet
from kronborg_hdl.transmitter.core import Transmitter as TransmitterCore
from kronborg_hdl.transmitter.model import Transmitter
from kronborg_hdl.transmitter.registers import Symbols

from ..rtl.model import Beats, RtlModel

CONVERTER, MEMORY, QRNG = "m_axis", "m_axis_record", "s_axis"


@dataclass(frozen=True, eq=False)
class Received:
    """What the converter and the memory took.

    Attributes:
        samples: of each frame, int16, shape (n, 2).
        packets: of each frame.
        clocks: in which the converter took beats, of all frames.
    """

    samples: list[NDArray[np.int16]]
    packets: list[Packet]
    clocks: NDArray[np.uint64]


class TransmitterBench:
    """A transmitter's RTL by what it is for.

    Args:
        core: what was built.
        rtl: the core in its skin.
    """

    def __init__(self, core: TransmitterCore, rtl: RtlModel) -> None:
        self.core = core
        self.rtl = rtl
        self._inboxes = [_Inbox(rtl, stream) for stream in (CONVERTER, MEMORY)]

    def reset(self) -> None:
        """Reset, and forget what was received."""
        self.rtl.reset()
        for inbox in self._inboxes:
            inbox.clear()

    def configure(self, model: Transmitter) -> None:
        """Stop; write and apply all settings of frames, samples and source; wait until they are in use."""
        self.run(False)
        self.wait_until("frame_controller", "control", "active", 0)
        self._write_source(model.source)
        self._write_frame(model)
        self._write_shaper(model.shaper)
        self.rtl.write(("shift_and_pilots", "shift_increment"), word=model.shift_word)
        silent = (Pilot(0, 0),) * (PILOTS - len(model.pilots))
        for number, pilot in enumerate((*model.pilots, *silent)):
            self.rtl.write(("shift_and_pilots", f"pilot_{number}_increment"), word=pilot.word)
            self.rtl.write(("shift_and_pilots", f"pilot_{number}_phase"), word=pilot.phase)
            self.rtl.write(("shift_and_pilots", f"pilot_{number}_amplitude"), word=pilot.amplitude)
        pages = ["frame_controller", "pulse_shaper", "shift_and_pilots"]
        if self.core.predistortion is not None:
            self._write_predistortion(model.predistortion or Predistortion())
            pages.append("predistortion")
        for page in pages:
            self.rtl.write((page, "control"), apply=1)
        for page in pages:
            self.wait_until(page, "control", "apply", 0)
        assert not self.rtl.read(("frame_controller", "status"), "settings_refused"), "the frame was refused"

    def _write_source(self, source: GaussianSource | AlphabetSource) -> None:
        if isinstance(source, AlphabetSource):
            self.rtl.write(("alphabet", "control"), run=0)
            for row, (share, own, other) in enumerate(zip(source.share, source.own, source.other, strict=True)):
                self.rtl.write(("alphabet", "levels"), own=int(own), other=int(other))
                self.rtl.write(("alphabet", "row"), share=int(share), index=row)
            self.rtl.write(("alphabet", "control"), run=1)
            self.rtl.write(("transmitter", "source"), select=Symbols.ALPHABET)
        else:
            self.rtl.write(("gaussian", "scale"), deviation=source.deviation)
            self.rtl.write(("transmitter", "source"), select=Symbols.GAUSSIAN)

    def _write_frame(self, model: Transmitter) -> None:
        frame = model.frame
        self.rtl.write(("frame_controller", "preamble_index"), symbol=0)
        for i, q in frame.preamble.tolist():
            self.rtl.write(("frame_controller", "preamble_symbol"), i=i, q=q)
        for section, length in frame.lengths.items():
            if section is not Section.HEADER:
                self.rtl.write(("frame_controller", section.value), length=length)
        self.rtl.write(("frame_controller", "header"), repetition=frame.header_repetition)
        for name in ("header_symbol", "calibration_symbol"):
            i, q = getattr(frame, name)
            self.rtl.write(("frame_controller", name), i=i, q=q)

    def _write_shaper(self, shaper: PulseShaper | InterpolatingShaper) -> None:
        for tap, value in enumerate(shaper.taps.tolist()):
            if isinstance(shaper, InterpolatingShaper):
                self.rtl.write(("pulse_shaper", "tap"), value=value, index=tap)
            else:
                symbol, sample = divmod(tap, shaper.samples_per_symbol)
                self.rtl.write(("pulse_shaper", "tap"), value=value, sample=sample, symbol=symbol)
        self.rtl.write(("pulse_shaper", "shift"), amount=shaper.shift)

    def _write_predistortion(self, predistortion: Predistortion) -> None:
        for k, tap in enumerate(predistortion.taps.tolist()):
            self.rtl.write(("predistortion", f"tap_{k}"), value=tap)
        self.rtl.write(("predistortion", "control"), begin_tables=1)
        for table in predistortion.tables.tolist():
            for constant, slope in table:
                self.rtl.write(("predistortion", "row"), constant=constant, slope=slope)

    def begin_entropy(self, mode: Source, *, instance: int = 0, blocks_per_key: int = 0) -> None:
        """Choose where random words come from; the claim for the stream's samples is 0.95 of their width."""
        tests = health_tests(self.core.entropy.health.sample_bits)
        self.rtl.write(("entropy", "repetition"), cutoff=tests.repetition_cutoff)
        self.rtl.write(("entropy", "proportion"), cutoff=tests.proportion_cutoff)
        self.rtl.write(("entropy", "instance"), number=instance)
        self.rtl.write(("entropy", "blocks_per_key"), count=blocks_per_key)
        self.rtl.write(("entropy", "source"), mode=mode)

    def seed(self, key: NDArray[np.uint32]) -> int:
        """Give ChaCha20 a key, uint32 of shape (8,); returns the epoch, the other part of its nonce."""
        assert key.shape == (KEY_WORDS,), "a key is eight words"
        epoch = self.rtl.read(("entropy", "epoch_low"), "count")
        for word in key.tolist():
            self.rtl.write(("entropy", "key"), word=word)
        self.rtl.write(("entropy", "control"), seed=1)
        self.wait_until("entropy", "control", "seed", 0)
        return epoch

    def run(self, running: bool) -> None:
        """Let frames follow each other, or end with the one under way."""
        self.rtl.write(("frame_controller", "control"), run=int(running))

    def wait_until(self, page: str, register: str, field: str, value: int, *, reads: int = 10_000) -> None:
        """Read a field until it has a value."""
        for _ in range(reads):
            if self.rtl.read((page, register), field) == value:
                return
        raise AssertionError(f"{page}.{register}.{field} does not become {value}")

    def receive(self, frames: int) -> Received:
        """The next frames and their packets, waited for; those that come after them are kept for the next call."""
        samples, packets = (inbox.take(frames) for inbox in self._inboxes)
        n = self.core.pulse_shaper.symbols_per_clock
        return Received(
            [frame.words().reshape(-1, 2) for frame in samples],
            [read_packet(packet.words().reshape(-1, 2), symbols_per_clock=n) for packet in packets],
            np.concatenate([np.zeros(0, np.uint64), *(frame.clocks for frame in samples)]),
        )

    def waiting(self) -> tuple[int, int]:
        """Whole frames, and packets, that have come and that :meth:`receive` has not yet given."""
        frames, packets = (inbox.waiting() for inbox in self._inboxes)
        return frames, packets


class _Inbox:
    """Frame by frame what an output gives."""

    def __init__(self, rtl: RtlModel, stream: str) -> None:
        self._rtl = rtl
        self._stream = stream
        self._whole: list[Beats] = []
        self._begun: list[Beats] = []

    def clear(self) -> None:
        self._whole.clear()
        self._begun.clear()

    def waiting(self) -> int:
        self._collect()
        return len(self._whole)

    def take(self, frames: int) -> list[Beats]:
        self._collect()
        while len(self._whole) < frames:
            self._rtl.wait(self._stream, frames=frames - len(self._whole))
            self._collect()
        taken, self._whole = self._whole[:frames], self._whole[frames:]
        return taken

    def _collect(self) -> None:
        for part in self._rtl.received(self._stream).frames():
            self._begun.append(part)
            if part.last[-1]:
                names = ("data", "user", "last", "clocks")
                self._whole.append(
                    Beats(*(np.concatenate([getattr(begun, name) for begun in self._begun]) for name in names))
                )
                self._begun.clear()


def health_tests(sample_bits: int) -> HealthTests:
    """The tests' settings for a source that claims 0.95 bit of min-entropy per bit."""
    claim = 0.95 * sample_bits
    return HealthTests(sample_bits, repetition_cutoff(claim), proportion_cutoff(claim, window(sample_bits)))


def keystream(key: NDArray[np.uint32], epoch: int, symbols: int) -> NDArray[np.uint32]:
    """Words for so many symbols, rounded up to whole blocks, from one key of the host; uint32."""
    return Entropy().host(key, epoch, -(-symbols * WORD_BITS // BLOCK_BITS))


def random_settings(core: TransmitterCore, rng: np.random.Generator, payload: int, *, vacuum: int = 0) -> Transmitter:
    """Settings in which every part has something to do and nothing is clipped. The head is the shortest there may be.

    Args:
        core: that they are for.
        rng: of preamble, taps, frequencies and phases.
        payload: symbols, rounded up to whole beats.
        vacuum: likewise.
    """
    n = core.pulse_shaper.symbols_per_clock
    limits = core.frame_controller.limits
    # The header takes 32 beats at least: where the shortest head has no room for it, there is none.
    repetition = n if limits.minimum_head >= 34 * n else 0
    guard = n
    preamble = limits.minimum_head - guard - NUMBER_BITS * repetition
    words = [int(word) for word in rng.integers(0, 2**32, 5)]
    return Transmitter(
        source=GaussianSource(int(rng.integers(MINIMUM_DEVIATION, MAXIMUM_DEVIATION))),
        frame=FrameSettings(
            limits,
            guard=guard,
            preamble=rng.integers(-(2**14), 2**14, (preamble, 2)).astype(np.int16),
            header_repetition=repetition,
            header_symbol=(9000, -32768),
            payload=-(-payload // n) * n,
            vacuum=-(-vacuum // n) * n,
            calibration=n,
            calibration_symbol=(-3000, 8000),
        ),
        shaper=_random_shaper(core, rng),
        shift_word=words[0],
        pilots=(Pilot(words[1], 6000, words[2]), Pilot(words[3], 900, words[4])),
        predistortion=None
        if core.predistortion is None
        else Predistortion(inverse_sinc(), np.stack([arcsine_table(0.3), arcsine_table(0.2)])),
    )


def _random_shaper(core: TransmitterCore, rng: np.random.Generator) -> PulseShaper | InterpolatingShaper:
    """Random taps, so small that no sum of products exceeds a symbol."""
    m, span = core.pulse_shaper.samples_per_symbol, core.pulse_shaper.span
    largest = 2**15 // span
    if isinstance(core.pulse_shaper, InterpolatingShaperCore):
        # Each of three half-bands can nearly double what it is given.
        return InterpolatingShaper(rng.integers(-largest, largest, span).astype(np.int16), m, 18)
    return PulseShaper(rng.integers(-largest, largest, m * span).astype(np.int16), m, 16)
