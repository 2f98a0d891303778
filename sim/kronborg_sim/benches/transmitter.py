"""The transmitter on its RTL: settings through its registers, frames and packets from its streams.

What a driver on a board does, and in its order; ``docs/transmitter.md`` has the same as a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.alphabet.model import AlphabetSource
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.health.model import HealthTests, proportion_cutoff, repetition_cutoff, window
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.frame_controller.model import Section
from kronborg_hdl.modulation.predistortion.model import Predistortion
from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot
from kronborg_hdl.modulation.symbol_record.model import Packet, read_packet
from kronborg_hdl.transmitter.core import Transmitter as TransmitterCore
from kronborg_hdl.transmitter.model import Transmitter
from kronborg_hdl.transmitter.registers import Symbols

from ..rtl.model import RtlModel

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
    """A transmitter's RTL, and its registers.

    Args:
        core: what is built.
        directory: where; see ``RtlModel``.
    """

    def __init__(self, core: TransmitterCore, directory: Path | None = None) -> None:
        self.core = core
        self.rtl = RtlModel(Skin(core).to_verilog("transmitter"), "transmitter", core.registers, directory)

    def configure(self, model: Transmitter) -> None:
        """Write and apply all settings of frames, samples and source; wait until they are in use."""
        self._write_source(model.source)
        self._write_frame(model)
        for tap, value in enumerate(model.shaper.taps.tolist()):
            symbol, sample = divmod(tap, model.shaper.samples_per_symbol)
            self.rtl.write(("pulse_shaper", "tap"), value=value, sample=sample, symbol=symbol)
        self.rtl.write(("pulse_shaper", "shift"), amount=model.shaper.shift)
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

    def _write_source(self, source: object) -> None:
        if isinstance(source, AlphabetSource):
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

    def _write_predistortion(self, predistortion: Predistortion) -> None:
        for k, tap in enumerate(predistortion.taps.tolist()):
            self.rtl.write(("predistortion", f"tap_{k}"), value=tap)
        self.rtl.write(("predistortion", "control"), begin_tables=1)
        for table in predistortion.tables.tolist():
            for constant, slope in table:
                self.rtl.write(("predistortion", "row"), constant=constant, slope=slope)

    def begin_entropy(self, mode: Source, *, instance: int = 0) -> None:
        """Choose where random words come from; the claim for the stream's samples is 0.95 of their width."""
        bits = self.core.entropy.health.sample_bits
        tests = health_tests(bits)
        self.rtl.write(("entropy", "repetition"), cutoff=tests.repetition_cutoff)
        self.rtl.write(("entropy", "proportion"), cutoff=tests.proportion_cutoff)
        self.rtl.write(("entropy", "instance"), number=instance)
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

    def receive(self, frames: int, *, within: int = 1_000_000) -> Received:
        """The next frames and their packets, waited for."""
        self.rtl.wait(CONVERTER, frames=frames, within=within)
        self.rtl.wait(MEMORY, frames=frames, within=within)
        samples = self.rtl.received(CONVERTER)
        packets = self.rtl.received(MEMORY)
        n = self.core.pulse_shaper.symbols_per_clock
        return Received(
            [frame.words().reshape(-1, 2) for frame in samples.frames()],
            [read_packet(packet.words().reshape(-1, 2), symbols_per_clock=n) for packet in packets.frames()],
            samples.clocks,
        )


def health_tests(sample_bits: int) -> HealthTests:
    """The tests' settings for a source that claims 0.95 bit of min-entropy per bit."""
    claim = 0.95 * sample_bits
    return HealthTests(sample_bits, repetition_cutoff(claim), proportion_cutoff(claim, window(sample_bits)))


def keystream(key: NDArray[np.uint32], epoch: int, symbols: int, *, instance: int = 0) -> NDArray[np.uint32]:
    """Words for at least so many symbols from one key of the host."""
    return Entropy(instance=instance).host(key, epoch, -(-symbols // 8))
