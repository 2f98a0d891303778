"""The transmitter of a board: its settings, its keys, its frames and their records."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.watchdog.registers import COUNTER_BITS
from kronborg_hdl.modulation.alphabet.model import AlphabetSource
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.health.model import (
    FALSE_ALARM,
    HealthTests,
    proportion_cutoff,
    repetition_cutoff,
    window,
)
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.frame_controller.model import Section
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.model import Predistortion
from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot
from kronborg_hdl.modulation.symbol_record.model import Packet, read_packet, trailer_beats
from kronborg_hdl.overlays.description import DATA_BITS
from kronborg_hdl.transmitter.model import Transmitter as Settings
from kronborg_hdl.transmitter.registers import Symbols

from ...errors import BoardError, InputError
from .dma import LOOKS, InTurn, again, allocate, check_timeout

NUMBERS = 1 << 32
"""Frames are numbered modulo this."""
SYMBOL_BYTES = SAMPLE_BYTES = 4
APPLIED = ("frame_controller", "pulse_shaper", "shift_and_pilots", "predistortion")
"""Pages whose settings are used together, by a command."""
WRITTEN = ("alphabet", *APPLIED)
"""Pages that may refuse what is written."""


@dataclass(frozen=True, eq=False)
class SentFrame:
    """What memory has of one frame.

    Attributes:
        packet: its record: number, symbols, and whether it may become key.
        samples: as the converter has them, int16, shape (n, 2); None where they go to a receiver instead. They hold
            the raw key: not in the repr.
    """

    packet: Packet
    samples: NDArray[np.int16] | None = field(repr=False)


class Transmitter:
    """The transmitter of the overlays ``transmitter`` and ``loopback``.

    Frames are emitted between :meth:`start` and :meth:`stop`, while they are taken: taking them is the sign of life
    that the board's watch-dog waits for. A program that ends, is killed or hangs leaves a board that stops by itself,
    after :attr:`silence_s`, with the frame under way. As a context manager it stops whatever happens.

    Args:
        overlay: as ``pynq.Overlay`` gives it.
        clock_hz: of the fabric; pynq.Clocks.fclk0_mhz says it.
        silence_s: what the watch-dog allows.
        timeout_s: how long a frame may take.
        behind: channels of what stands behind the transmitter, and makes it wait until their packets are taken.

    Raises:
        InputError: times that are none, or that the watch-dog cannot count.
        BoardError: the overlay on the board is another.
    """

    def __init__(
        self,
        overlay: Any,
        clock_hz: float,
        *,
        silence_s: float = 1.0,
        timeout_s: float = 10.0,
        behind: Sequence[Any] = (),
    ) -> None:
        check_timeout(timeout_s)
        longest = ((1 << COUNTER_BITS) - 1) / clock_hz
        if not 1 <= silence_s * clock_hz <= longest * clock_hz:
            raise InputError(f"a silence of {silence_s:g} s: the watch-dog counts {1 / clock_hz:g} to {longest:.3g} s")
        self._registers = overlay.transmitter
        self._watchdog = overlay.watchdog
        self._record = overlay.record
        self._samples = None if "receiver" in overlay.ip_dict else overlay.samples
        self._device = overlay.device
        self._timeout_s, self._behind = timeout_s, behind
        self._settings: Settings | None = None
        self._next: int | None = None
        self.silence_s = silence_s
        self._silence_clocks = silence_s * clock_hz
        self._watchdog.armed = False

    def __enter__(self) -> Transmitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def symbols_per_clock(self) -> int:
        """Of the record's beats."""
        return max(1, self._registers.lanes // self._registers.samples_per_symbol)

    def configure(self, settings: Settings) -> None:
        """Stop, write all settings, and wait until they are in use.

        Raises:
            InputError: a frame whose record is not whole words of memory, or settings that the board is not built for.
            BoardError: the board refuses them.
        """
        self._check_sizes(settings)
        word = DATA_BITS // 8
        if self._record_words(settings) * SYMBOL_BYTES % word or settings.samples * SAMPLE_BYTES % word:
            raise InputError(
                f"a frame of {settings.frame.payload} payload symbols and {settings.samples} samples: memory's words"
                f" have {DATA_BITS} bits, so make both even"
            )
        self.stop()
        pages = self._registers.pages
        if settings.predistortion is not None and "predistortion" not in pages:
            raise InputError("this bitstream has no pre-distortion: build it with, or leave it out of the settings")
        written = [pages[name] for name in WRITTEN if name in pages]
        for page in written:  # before anything is written: what refuses a tap or a row says so then
            page.clear_status()
        self._write_source(settings)
        self._write_frame(settings)
        self._write_shaper(settings)
        self._write_shift_and_pilots(settings)
        if "predistortion" in pages:
            self._write_predistortion(settings.predistortion or Predistortion())
        for name in APPLIED:
            if name in pages:
                pages[name].apply()
        refused = [name for page in written for name in page.happened() if name.endswith("refused")]
        if refused:
            raise BoardError(f"the board refuses the settings: {', '.join(refused)}")
        self._settings = settings

    def _record_words(self, settings: Settings) -> int:
        """Of a frame's record: symbols, and a trailer of whole beats."""
        n = self.symbols_per_clock
        return settings.frame.payload + trailer_beats(n) * n

    def _check_sizes(self, settings: Settings) -> None:
        """Whether the gateware makes frames of this shape. Raises InputError."""
        there = self._registers
        shaper = there.pages["pulse_shaper"]
        interpolates = isinstance(settings.shaper, InterpolatingShaper)
        if interpolates != ("index" in (entry.name for entry in shaper.table["tap"].fields)):
            raise InputError(f"this bitstream has the {shaper.table.name}: the settings are for another shaper")
        for name, wanted, built in (
            ("samples a symbol", settings.shaper.samples_per_symbol, there.samples_per_symbol),
            ("symbols of a pulse", settings.shaper.span, there.span),
            ("symbols a clock", settings.frame.limits.symbols_per_clock, self.symbols_per_clock),
        ):
            if wanted != built:
                raise InputError(f"settings for {wanted} {name}: this bitstream has {built}")

    def _write_source(self, settings: Settings) -> None:
        source = settings.source
        if isinstance(source, AlphabetSource):
            alphabet = self._registers.alphabet
            alphabet.put("control", run=0)
            rows = zip(source.share.tolist(), source.own.tolist(), source.other.tolist(), strict=True)
            for index, (share, own, other) in enumerate(rows):
                alphabet.put("levels", own=own, other=other)
                alphabet.put("row", share=share, index=index)
            alphabet.put("control", run=1)
            self._registers.put("source", select=Symbols.ALPHABET)
        else:
            self._registers.gaussian.put("scale", deviation=source.deviation)
            self._registers.put("source", select=Symbols.GAUSSIAN)

    def _write_frame(self, settings: Settings) -> None:
        frame, page = settings.frame, self._registers.frame_controller
        page.put("preamble_index", symbol=0)
        for i, q in frame.preamble.tolist():
            page.put("preamble_symbol", i=i, q=q)
        for section, length in frame.lengths.items():
            if section is not Section.HEADER:
                page.put(section.value, length=length)
        page.put("header", repetition=frame.header_repetition)
        for name in ("header_symbol", "calibration_symbol"):
            i, q = getattr(frame, name)
            page.put(name, i=i, q=q)

    def _write_shaper(self, settings: Settings) -> None:
        shaper, page = settings.shaper, self._registers.pulse_shaper
        for tap, value in enumerate(shaper.taps.tolist()):
            symbol, sample = divmod(tap, shaper.samples_per_symbol)
            where = {"index": tap} if isinstance(shaper, InterpolatingShaper) else {"symbol": symbol, "sample": sample}
            page.put("tap", value=value, **where)
        page.put("shift", amount=shaper.shift)

    def _write_shift_and_pilots(self, settings: Settings) -> None:
        page = self._registers.shift_and_pilots
        page.put("shift_increment", word=settings.shift_word)
        silent = (Pilot(0, 0),) * (PILOTS - len(settings.pilots))
        for number, pilot in enumerate((*settings.pilots, *silent)):
            page.put(f"pilot_{number}_increment", word=pilot.word)
            page.put(f"pilot_{number}_phase", word=pilot.phase)
            page.put(f"pilot_{number}_amplitude", word=pilot.amplitude)

    def _write_predistortion(self, predistortion: Predistortion) -> None:
        page = self._registers.predistortion
        for k, tap in enumerate(predistortion.taps.tolist()):
            page.put(f"tap_{k}", value=tap)
        page.put("control", begin_tables=1)
        for table in predistortion.tables.tolist():
            for constant, slope in table:
                page.put("row", constant=constant, slope=slope)

    def seed(self, key: NDArray[np.uint32], *, blocks_per_key: int = 0, instance: int = 0) -> int:
        """Draw symbols from ChaCha20 with a key of the host.

        Args:
            key: uint32, shape (8,). It is written and forgotten.
            blocks_per_key: blocks of 64 bytes after which there are no more symbols; 0 stands for 2**32.
            instance: of this core, where several share a key.

        Returns:
            The epoch: with key and instance it says which words come.

        Raises:
            InputError: it is no key, or a number that no register holds.
            BoardError: the board does not take it.
        """
        if key.shape != (KEY_WORDS,) or key.dtype != np.uint32:
            raise InputError(f"a key is {KEY_WORDS} words of 32 bits")
        entropy = self._registers.entropy
        entropy.put("instance", number=instance)
        entropy.put("blocks_per_key", count=blocks_per_key)
        entropy.put("source", mode=Source.HOST)
        epoch: int = entropy.epoch_low | entropy.epoch_high << 32
        entropy.clear_status()
        for word in key.tolist():
            entropy.put("key", word=word)
        entropy.seed()
        if "key_refused" in entropy.happened():
            raise BoardError("the board does not take the key: key_refused")
        return epoch

    def draw(
        self,
        source: Source,
        min_entropy: float,
        *,
        false_alarm: float = FALSE_ALARM,
        blocks_per_key: int = 0,
        instance: int = 0,
    ) -> HealthTests:
        """Draw symbols from a QRNG's stream, whose samples are tested all the time; docs/entropy.md: what rests on it.

        What was made of keys before is given up, and a stream that failed begins anew, with the start-up test.

        Args:
            source: ``DIRECT``, the stream itself, or ``STREAM``, ChaCha20 with keys from it.
            min_entropy: of a sample, that is claimed for the QRNG, bit.
            false_alarm: probability that a good sample, or window of samples, fails.
            blocks_per_key, instance: of ChaCha20, as :meth:`seed` has them.

        Returns:
            The tests, with the cut-offs that the board has now.

        Raises:
            InputError: a source without a stream, a claim that a sample cannot have or that no test can check, or a
                number that no register holds.
        """
        if source not in (Source.STREAM, Source.DIRECT):
            raise InputError(f"{source!r} has no stream: choose STREAM or DIRECT; seed() takes a key")
        entropy = self._registers.entropy
        tests = _health_tests(entropy.sample_bits, min_entropy, false_alarm)
        entropy.put("instance", number=instance)
        entropy.put("blocks_per_key", count=blocks_per_key)
        entropy.put("repetition", cutoff=tests.repetition_cutoff)
        entropy.put("proportion", cutoff=tests.proportion_cutoff)
        entropy.put("source", mode=source)
        entropy.clear_status()
        return tests

    def start(self, number: int = 0) -> None:
        """Emit frames, numbered from `number` on. They come with :meth:`frames`.

        Raises:
            InputError: there are no settings, or it is no number of a frame.
        """
        if self._settings is None:
            raise InputError("the transmitter has no settings: call configure() first")
        self._registers.frame_controller.put("next_frame", number=number)
        self._next = number
        self._watchdog.period = self._silence_clocks  # each time: a bitstream that is loaded anew has its own
        self._watchdog.armed = True
        self._watchdog.heartbeat = 0
        self._registers.frame_controller.run = True

    def stop(self) -> None:
        """End with the frame under way, wait for its end, and take the permission to emit away.

        What the engines were to receive is given up, so that a frame that nobody takes does not wait for ever.

        Raises:
            BoardError: the frame does not end.
        """
        controller = self._registers.frame_controller
        controller.run = False
        self._watchdog.armed = False
        channels = [engine.recvchannel for engine in (self._record, self._samples) if engine is not None]
        channels += self._behind
        drains = [self._drain(channel) for channel in channels]
        end = time.monotonic() + self._timeout_s
        for look in itertools.count():
            if not controller.active:
                break
            if look % LOOKS == 0:
                for drain in drains:
                    next(drain)
            if time.monotonic() > end:
                said = f"control {controller.get('control'):#x}, status {controller.get('status'):#x}"
                raise BoardError(f"the frame under way does not end within {self._timeout_s:g} s: {said}")
        for channel in channels:
            again(channel)

    def _drain(self, channel: Any) -> Iterator[None]:
        """Take packets that nobody wants, at each step a bit."""
        waste = allocate(self._device, 1 << 20, "u1")
        while True:
            if not channel.running:
                again(channel)
            if channel.idle or channel._first_transfer:
                channel.transfer(waste)
            yield

    def takers(self) -> list[InTurn]:
        """Buffers for records, and for samples where they go to memory."""
        if self._settings is None:
            raise InputError("the transmitter has no settings: call configure() first")
        record = self._record_words(self._settings)
        takers = [InTurn(self._device, self._record.recvchannel, record, "records")]
        if self._samples is not None:
            takers.append(InTurn(self._device, self._samples.recvchannel, self._settings.samples, "samples"))
        return takers

    def frames(self, count: int) -> Iterator[SentFrame]:
        """Take so many frames of those that are emitted, each as soon as it is whole.

        Raises:
            BoardError: one does not come, is cut, or is not the next one; or the watch-dog has stopped the board.
        """
        takers = self.takers()
        number: int | None = None
        try:
            for left in reversed(range(count)):
                for taker in takers:
                    taker.begin()
                frame = self.take(takers, number, more=left > 0)
                number = frame.packet.frame
                yield frame
        finally:
            for taker in takers:
                taker.erase()

    def take(self, takers: list[InTurn], before: int | None, *, more: bool) -> SentFrame:
        """The next frame.

        Args:
            takers: of :meth:`takers`.
            before: number of the frame before it; None if it is the first that is taken.
            more: another one is wanted after it.

        Raises:
            BoardError: as of :meth:`frames`.
        """
        self._watchdog.heartbeat = 0  # each time: of records that lie ready none is waited for
        try:
            record, *samples = (taker.take(self._timeout_s, self.alive, more=more) for taker in takers)
        except BoardError as error:
            raise BoardError(f"{error}; {self.explain()}") from None
        try:
            packet = read_packet(record, symbols_per_clock=self.symbols_per_clock)
        except ValueError as error:
            raise BoardError(f"what memory has is no record: {error}") from None
        if before is not None and packet.frame != (before + 1) % NUMBERS:
            raise BoardError(f"frame {packet.frame} comes after frame {before}: one is missing")
        if self._next not in (None, packet.frame):
            raise BoardError(f"frame {packet.frame} comes first and not frame {self._next}: load the overlay anew")
        self._next = None
        return SentFrame(packet, samples[0] if samples else None)

    def explain(self) -> str:
        """Why there may be no symbols, in a line: where they come from, and what happened there."""
        entropy = self._registers.entropy
        states = [name for name in ("keyed", "started", "stopped") if getattr(entropy, name)]
        return (
            f"entropy {Source(entropy.source).name}: {', '.join(states) or 'no key, and no stream that passed'};"
            f" since it was cleared: {', '.join(entropy.happened()) or 'nothing'}"
        )

    def alive(self) -> None:
        """Give a sign of life.

        Raises:
            BoardError: the watch-dog has stopped the board.
        """
        if self._watchdog.armed and not self._watchdog.permits:
            raise BoardError(
                f"the watch-dog has stopped the board: no frame was taken for {self.silence_s:g} s; start() begins anew"
            )
        self._watchdog.heartbeat = 0


def _health_tests(sample_bits: int, min_entropy: float, false_alarm: float) -> HealthTests:
    """The tests of samples of which so much entropy is claimed. Raises InputError."""
    if not 0 < min_entropy <= sample_bits:
        raise InputError(f"a sample of {sample_bits} bits has no entropy of {min_entropy:g} bit")
    try:
        proportion = proportion_cutoff(min_entropy, window(sample_bits), false_alarm)
        return HealthTests(sample_bits, repetition_cutoff(min_entropy, false_alarm), proportion)
    except ValueError as error:
        raise InputError(f"cut-offs of the health tests: {error}") from None
