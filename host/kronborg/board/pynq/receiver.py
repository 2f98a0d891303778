"""The receiver of a board: its settings, its frames, and what its power meter measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.decimation.power_meter.model import ALL_SECTIONS, GATE_BITS, Measurement, Section
from kronborg_hdl.overlays.description import DATA_BITS
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.synchronisation.frame_synchroniser.packet import MAGIC, Packet, read_packet
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import TRAILER_WORDS

from ...errors import BoardError, InputError
from ..receiver_writes import APPLIED, receiver_writes
from .dma import InTurn, check_timeout

SYMBOL_BYTES = 4


def without_filling(words: NDArray[np.int16], width: int) -> NDArray[np.int16]:
    """A packet without the zeros with which memory's last word is filled up where a frame was cut short.

    Args:
        words: one transfer, int16, shape (n, 2).
        width: of a word of memory, in symbols.
    """
    for end in range(len(words), len(words) - width, -1):
        if end >= TRAILER_WORDS and not words[end:].any():
            trailer = np.ascontiguousarray(words[end - TRAILER_WORDS : end], "<i2").view("<u4").ravel()
            if trailer[0] == MAGIC and trailer[2] == end - TRAILER_WORDS:
                return words[:end]
    return words


class Receiver:
    """The receiver of the overlays ``receiver`` and ``loopback``.

    Args:
        overlay: as ``pynq.Overlay`` gives it.
        engine: name of the DMA engine that takes its packets.
        timeout_s: how long a frame may take.

    Attributes:
        registers: the driver, with a page for each part.

    Raises:
        InputError: a time that is none.
    """

    def __init__(self, overlay: Any, engine: str, *, timeout_s: float = 10.0) -> None:
        check_timeout(timeout_s)
        self.registers = overlay.receiver
        self._packets = getattr(overlay, engine).recvchannel
        self._device, self._timeout_s = overlay.device, timeout_s
        self._settings: ClosedLoop | None = None
        # Of the engine: where processors have ports of 128 bits, so has this one. A serial line has no memory.
        self._memory_bytes: int = max(DATA_BITS // 8, getattr(self._packets, "_align", 0))

    def configure(self, settings: ClosedLoop, *, source_waits: bool = False) -> None:
        """Stop, and write all settings; samples go in with :meth:`start`.

        Args:
            settings: those of the model.
            source_waits: samples come from memory, or from a transmitter that waits: none of them is lost.

        Raises:
            InputError: settings that the board is not built for, or a frame that is no whole words of memory.
            BoardError: the board refuses them.
        """
        sizes, pages = settings.synchroniser.settings.sizes, self.registers.pages
        built = pages["frame_synchroniser"]
        for name, wanted, there in (
            ("half-band stages", settings.mixer.halvings, self.registers.halvings),
            ("symbols a clock", sizes.symbols_per_clock, built.symbols_per_clock),
            ("chips of a preamble", sizes.preamble, built.preamble),
            ("chips of the detector", sizes.detector_chips, built.detector_chips),
        ):
            if wanted != there:
                raise InputError(f"settings for {wanted} {name}: this bitstream has {there}")
        payload = settings.synchroniser.settings.payload
        bits = 8 * self._memory_bytes
        if payload * SYMBOL_BYTES % self._memory_bytes:
            even = "even" if bits == DATA_BITS else f"a multiple of {self._memory_bytes // SYMBOL_BYTES}"
            raise InputError(f"a payload of {payload} symbols: memory's words have {bits} bits, so make it {even}")
        self.stop()
        for name in (*APPLIED, "frame_synchroniser"):  # before anything is written: what refuses a tap says so then
            pages[name].clear_status()
        for page, register, words in receiver_writes(settings):
            if (page, register) != ("frame_synchroniser", "control"):
                pages[page].put(register, **words)
        self.registers.put("control", source_waits=int(source_waits))
        for name in (*APPLIED, "frame_synchroniser"):
            if name == "frame_synchroniser":
                pages[name].run = True
            pages[name].apply()
        self.registers.clear_status()
        refused = [f"{name}: {what}" for name, page in pages.items() for what in page.happened() if "refused" in what]
        if refused:
            raise BoardError(f"the board refuses the settings: {', '.join(refused)}")
        self._settings = settings

    def start(self) -> None:
        """Let samples in.

        Raises:
            InputError: there are no settings.
        """
        if self._settings is None:
            raise InputError("the receiver has no settings: call configure() first")
        self.registers.run = True

    def stop(self) -> None:
        """Throw samples away from now on, and look for no more frames."""
        self.registers.run = False
        self.registers.frame_synchroniser.run = False

    def taker(self) -> InTurn:
        """Buffers for packets; a frame that is cut short makes a shorter one.

        Raises:
            InputError: there are no settings.
        """
        if self._settings is None:
            raise InputError("the receiver has no settings: call configure() first")
        words = self._settings.synchroniser.settings.payload + TRAILER_WORDS
        return InTurn(self._device, self._packets, words, "packets", may_be_short=True)

    def take(self, taker: InTurn, alive: Callable[[], None], *, more: bool) -> Packet:
        """The next frame.

        Args:
            taker: of :meth:`taker`.
            alive: is called now and then while the frame is waited for.
            more: another one is wanted after it.

        Raises:
            BoardError: it does not come, or is no packet.
        """
        try:
            words = taker.take(self._timeout_s, alive, more=more)
            return read_packet(without_filling(words, self._memory_bytes // SYMBOL_BYTES))
        except BoardError as error:
            raise BoardError(f"{error}; {self.explain()}") from None
        except ValueError as error:
            raise BoardError(f"what memory has is no frame: {error}") from None

    def explain(self) -> str:
        """Why there may be no frames, in a line: what happened, and how the loops stand."""
        pages = self.registers.pages
        synchroniser, tracker = pages["frame_synchroniser"], pages["pilot_tracker"]
        happened = [*self.registers.happened(), *synchroniser.happened(), *tracker.happened()]
        return (
            f"receiver: {'runs' if self.registers.run else 'is stopped'}, pilots"
            f" {'locked' if tracker.state_locked else 'not locked'}, frames good {synchroniser.frames_good}, marked"
            f" {synchroniser.frames_marked}, missing {synchroniser.frames_missing}, overruns"
            f" {self.registers.overruns}; since it was cleared: {', '.join(happened) or 'nothing'}"
        )

    def begin_measurement(self, symbols: int, sections: frozenset[Section] = ALL_SECTIONS) -> None:
        """Let the power meter measure so many symbols of these sections, again and again from the next symbol on.

        All sections are the whole stream.

        Raises:
            InputError: more symbols than it counts, or no section.
        """
        if not 0 < symbols < 1 << GATE_BITS:
            raise InputError(f"a measurement of {symbols} symbols: must be 1 to 2**{GATE_BITS} - 1")
        if not sections:
            raise InputError("a measurement of no section never has a symbol: name one")
        meter = self.registers.power_meter
        meter.put("gate", symbols=symbols)
        meter.put("sections", **{section.name.lower(): int(section in sections) for section in Section})
        meter.apply()

    def measurement(self) -> Measurement | None:
        """The figures of a measurement that is complete, each once; None if there are none."""
        meter = self.registers.power_meter
        if not meter.complete:
            return None
        touched = int(meter.touched)

        def total(name: str) -> int:
            high, low = meter.table[f"{name}_high"]["word"].extract(meter.get(f"{name}_high")), meter.get(f"{name}_low")
            return int(high << 32 | low)

        sums, squares = ((total(f"{what}_i"), total(f"{what}_q")) for what in ("sum", "square"))
        measured = Measurement(int(meter.get("count")), sums, squares, touched)
        meter.release()
        return measured
