"""The transmitter's registers over its integer model: what the host writes makes frames, as it does in gateware.

Settings hold when they are applied; a frame is made at once, and is under way until memory has taken it. What the core
does in the middle of a frame, when entropy is given up or memory pauses, happens here between two frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.axi.watchdog.registers import REGISTERS as WATCHDOG
from kronborg_hdl.modulation.alphabet.model import ROWS as ALPHABET_ROWS
from kronborg_hdl.modulation.alphabet.model import AlphabetSource
from kronborg_hdl.modulation.alphabet.registers import REGISTERS as ALPHABET
from kronborg_hdl.modulation.entropy.chacha20.model import BLOCK_WORDS, KEY_WORDS, keystream
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.entropy.registers import REGISTERS as ENTROPY
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings, Section
from kronborg_hdl.modulation.frame_controller.registers import REGISTERS as FRAME_CONTROLLER
from kronborg_hdl.modulation.gaussian.model import MAXIMUM_DEVIATION, MINIMUM_DEVIATION, GaussianSource
from kronborg_hdl.modulation.gaussian.registers import REGISTERS as GAUSSIAN
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper, tail_symbols
from kronborg_hdl.modulation.predistortion.model import HALF_TAPS, ROWS, Predistortion
from kronborg_hdl.modulation.predistortion.registers import REGISTERS as PREDISTORTION
from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot
from kronborg_hdl.modulation.shift_and_pilots.registers import REGISTERS as SHIFT_AND_PILOTS
from kronborg_hdl.modulation.symbol_record.model import Flag, packet
from kronborg_hdl.modulation.symbol_record.registers import REGISTERS as SYMBOL_RECORD
from kronborg_hdl.transmitter.core import Transmitter as Core
from kronborg_hdl.transmitter.model import SentFrame, Transmitter
from kronborg_hdl.transmitter.registers import REGISTERS as TRANSMITTER
from kronborg_hdl.transmitter.registers import Symbols

from .model_gateware import Table


class Watchdog(Table):
    """The watch-dog, which counts the clocks that pass."""

    def __init__(self) -> None:
        super().__init__(WATCHDOG)
        self._left = self.shown["period", "clocks"]

    @property
    def permits(self) -> bool:
        """Whether frames may begin."""
        return bool(self.shown["control", "armed"] and self._left)

    def written(self, register: str, given: dict[str, int]) -> None:
        """A heartbeat, or the host arms or disarms it."""
        armed = self.shown["control", "armed"]
        if not armed or (register == "heartbeat" and self._left):
            self._left = self.shown["period", "clocks"]

    def pass_time(self, clocks: int) -> None:
        """Nearer to the end of the period."""
        if self.shown["control", "armed"]:
            self._left = max(0, self._left - clocks)

    def step(self) -> None:
        """Show how it stands."""
        if self.shown["control", "armed"] and not self._left:
            self.shown["status", "expired"] = 1
        self.shown |= {("control", "permits"): int(self.permits), ("left", "clocks"): self._left}


class EntropyPage(Table):
    """The entropy source with keys of the host; of a stream it knows nothing.

    Args:
        capabilities: how it is built.
    """

    def __init__(self, capabilities: dict[str, int]) -> None:
        super().__init__(ENTROPY)
        self.shown |= {("capabilities", name): value for name, value in capabilities.items()}
        self._epoch = 0
        self._erase()

    def _erase(self) -> None:
        self._given: list[int] = []
        self._key: NDArray[np.uint32] | None = None
        self._nonce = 0
        self._words = np.zeros(0, np.uint32)
        self._block = 0
        self.shown["control", "keyed"] = 0

    def written(self, register: str, given: dict[str, int]) -> None:
        """A key, and its use."""
        if register == "source":
            self._erase()
        elif register == "key":
            self._given = [*self._given, given["word"]][-KEY_WORDS:]
        elif register == "control" and given["seed"]:
            if len(self._given) < KEY_WORDS or self.shown["source", "mode"] not in (Source.HOST, Source.STREAM):
                self.shown["status", "key_refused"] = 1
                return
            self._key, self._given = np.array(self._given, np.uint32), []
            self._nonce, self._block, self._words = self._epoch, 0, np.zeros(0, np.uint32)
            self._epoch += 1
            self.shown |= {
                ("control", "keyed"): 1,
                ("epoch_low", "count"): self._epoch & 0xFFFFFFFF,
                ("epoch_high", "count"): self._epoch >> 32,
            }

    @property
    def ready(self) -> bool:
        """Whether there is a key, and a word of it."""
        return self._key is not None and (self._block < self._life or len(self._words) > 0)

    @property
    def _life(self) -> int:
        """Of a key, blocks."""
        return self.shown["blocks_per_key", "count"] or 1 << 32

    def take(self, count: int) -> NDArray[np.uint32]:
        """The next words, uint32, shape (count,), fewer where the key ends."""
        if self._key is not None and len(self._words) < count:
            nonce = Entropy(self.shown["instance", "number"]).nonce(self._nonce)
            blocks = min(-(-(count - len(self._words)) // BLOCK_WORDS), self._life - self._block)
            more = keystream(self._key, nonce, blocks, counter=self._block)
            self._words = np.concatenate([self._words, more.ravel()])
            self._block += blocks
        taken, self._words = self._words[:count], self._words[count:]
        return taken


class GaussianPage(Table):
    """The Gaussian source's scale.

    Args:
        symbols_per_clock: of the core.
    """

    def __init__(self, symbols_per_clock: int) -> None:
        super().__init__(GAUSSIAN)
        self.shown["capabilities", "symbols_per_clock"] = symbols_per_clock

    @property
    def source(self) -> GaussianSource | None:
        """The source, None while its scale is out of range."""
        deviation = self.shown["scale", "deviation"]
        return GaussianSource(deviation) if MINIMUM_DEVIATION <= deviation <= MAXIMUM_DEVIATION else None

    def step(self) -> None:
        """Show whether the scale is one."""
        valid = self.source is not None
        self.shown["control", "scale_valid"] = int(valid)
        if not valid:
            self.shown["status", "scale_refused"] = 1


class AlphabetPage(Table):
    """The rows of the discrete alphabets.

    Args:
        symbols_per_clock: of the core.
    """

    def __init__(self, symbols_per_clock: int) -> None:
        super().__init__(ALPHABET)
        self.shown["capabilities", "symbols_per_clock"] = symbols_per_clock
        self._share = np.zeros(ALPHABET_ROWS, np.int64)
        self._levels = np.zeros((ALPHABET_ROWS, 2), np.int16)
        self._rows: set[int] = set()

    def written(self, register: str, given: dict[str, int]) -> None:
        """A row."""
        if register != "row":
            return
        if self.shown["control", "run"]:
            self.shown["status", "row_refused"] = 1
            return
        row = given["index"]
        self._share[row] = given["share"]
        self._levels[row] = self.shown["levels", "own"], self.shown["levels", "other"]
        self._rows.add(row)
        self.shown["control", "loaded"] = int(len(self._rows) == ALPHABET_ROWS)

    @property
    def source(self) -> AlphabetSource | None:
        """The source, None while it does not run."""
        if not (self.shown["control", "run"] and self.shown.get(("control", "loaded"))):
            return None
        return AlphabetSource(self._share.copy(), self._levels[:, 0].copy(), self._levels[:, 1].copy())


class FramePage(Table):
    """The frame controller.

    Args:
        limits: of the core.
    """

    def __init__(self, limits: FrameLimits) -> None:
        super().__init__(FRAME_CONTROLLER)
        self.limits = limits
        self.settings: FrameSettings | None = None
        self.active = False
        self.number = 0
        self._preamble = np.zeros((limits.preamble_capacity, 2), np.int16)
        self.shown |= {
            ("capabilities", "symbols_per_clock"): limits.symbols_per_clock,
            ("capabilities", "preamble_capacity"): limits.preamble_capacity,
            ("head", "minimum"): limits.minimum_head,
        }

    @property
    def runs(self) -> bool:
        """As the host says."""
        return bool(self.shown["control", "run"])

    def written(self, register: str, given: dict[str, int]) -> None:
        """Settings, preamble and number."""
        if register == "control" and given["apply"]:
            self._apply()
        elif register == "control" and given["clear_counters"]:
            self.shown["starved_symbols", "count"] = 0
        elif register == "next_frame":
            self.number = given["number"]
        elif register == "preamble_symbol":
            place = self.shown["preamble_index", "symbol"]
            if place >= len(self._preamble) or self.runs or self.active:
                self.shown["status", "preamble_refused"] = 1
                return
            self._preamble[place] = given["i"], given["q"]
            self.shown["preamble_index", "symbol"] = place + 1

    def _apply(self) -> None:
        length = {section: self.shown[section.value, "length"] for section in Section if section is not Section.HEADER}
        header, calibration = (
            (self.shown[name, "i"], self.shown[name, "q"]) for name in ("header_symbol", "calibration_symbol")
        )
        try:
            if length[Section.PREAMBLE] > len(self._preamble):
                raise ValueError("longer than its memory")
            self.settings = FrameSettings(
                self.limits,
                length[Section.GUARD],
                self._preamble[: length[Section.PREAMBLE]].copy(),
                self.shown["header", "repetition"],
                header,
                length[Section.PAYLOAD],
                length[Section.VACUUM],
                length[Section.CALIBRATION],
                calibration,
            )
        except ValueError:
            self.shown["status", "settings_refused"] = 1

    def step(self) -> None:
        """Show how it stands."""
        self.shown |= {
            ("control", "loaded"): int(self.settings is not None),
            ("control", "active"): int(self.active),
            ("frames", "next"): self.number,
        }


class ShaperPage(Table):
    """The interpolating shaper.

    Args:
        registers: its table.
        capabilities: how it is built.
    """

    def __init__(self, registers: RegisterMap, capabilities: dict[str, int]) -> None:
        super().__init__(registers)
        self.shown |= {("capabilities", name): size for name, size in capabilities.items()}
        self._m = capabilities["samples_per_symbol"]
        self._taps = np.zeros(capabilities["span"], np.int16)
        self.shown["tail", "length"] = tail_symbols(self._m, len(self._taps))
        self.shaper: InterpolatingShaper | None = None

    def written(self, register: str, given: dict[str, int]) -> None:
        """Taps, and their use."""
        if register == "tap":
            if given["index"] < len(self._taps):
                self._taps[given["index"]] = given["value"]
            else:
                self.shown["status", "tap_refused"] = 1
        elif register == "control" and given["apply"]:
            self.shaper = InterpolatingShaper(self._taps.copy(), self._m, self.shown["shift", "amount"])
            self.shown["control", "loaded"] = 1


class ShiftPage(Table):
    """Shift and pilots.

    Args:
        lanes: samples per clock.
    """

    def __init__(self, lanes: int) -> None:
        super().__init__(SHIFT_AND_PILOTS)
        self.shown |= {("capabilities", "lanes"): lanes, ("capabilities", "pilots"): PILOTS}
        self.shift_word = 0
        self.pilots: tuple[Pilot, ...] | None = None

    def written(self, register: str, given: dict[str, int]) -> None:
        """Put settings to use."""
        if register == "control" and given["apply"]:
            self.shift_word = self.shown["shift_increment", "word"]
            self.pilots = tuple(
                Pilot(
                    self.shown[f"pilot_{number}_increment", "word"],
                    self.shown[f"pilot_{number}_amplitude", "word"],
                    self.shown[f"pilot_{number}_phase", "word"],
                )
                for number in range(PILOTS)
            )
            self.shown["control", "loaded"] = 1


class PredistortionPage(Table):
    """The pre-distortion.

    Args:
        lanes: samples per clock.
    """

    def __init__(self, lanes: int) -> None:
        super().__init__(PREDISTORTION)
        self.shown |= {
            ("capabilities", "lanes"): lanes,
            ("capabilities", "taps"): 2 * HALF_TAPS + 1,
            ("capabilities", "rows"): ROWS,
        }
        self.predistortion = Predistortion()
        self._rows: list[tuple[int, int]] = []

    def written(self, register: str, given: dict[str, int]) -> None:
        """Rows, and their use."""
        if register == "row":
            if len(self._rows) == 2 * ROWS:
                self.shown["status", "row_refused"] = 1
            else:
                self._rows.append((given["constant"], given["slope"]))
        elif register == "control" and given["begin_tables"]:
            self._rows = []
        elif register == "control" and given["apply"]:
            if 0 < len(self._rows) < 2 * ROWS:
                self.shown["status", "settings_refused"] = 1
                return
            taps = np.array([self.shown[f"tap_{k}", "value"] for k in range(HALF_TAPS + 1)])
            tables = np.array(self._rows).reshape(2, ROWS, 2) if self._rows else self.predistortion.tables
            self.predistortion, self._rows = Predistortion(taps, tables), []
        self.shown["rows", "written"] = len(self._rows)


class OwnPage(Table):
    """The transmitter's own page.

    Args:
        capabilities: how it is built.
        step: of the whole transmitter.
    """

    def __init__(self, capabilities: dict[str, int], step: Callable[[], None]) -> None:
        super().__init__(TRANSMITTER)
        self.shown |= {("capabilities", name): size for name, size in capabilities.items()}
        self._step = step

    def written(self, register: str, given: dict[str, int]) -> None:
        """Counters."""
        if register == "control" and given["clear_counters"]:
            self.shown |= {("frames", "count"): 0, ("gaps", "count"): 0}

    def step(self) -> None:
        """Let the transmitter do what it can."""
        self._step()


class TransmitterModel:
    """The transmitter.

    Args:
        core: the hardware whose sizes it has; it is not elaborated.
        permits: whether frames may begin.
        under_way: whether what was last given has not been taken.
        give: takes a frame, and the bytes of its record.

    Attributes:
        tables: of each page, by its name, in their order.
    """

    def __init__(
        self,
        core: Core,
        permits: Callable[[], bool],
        under_way: Callable[[], bool],
        give: Callable[[SentFrame], None],
    ) -> None:
        self._permits, self._under_way, self._give = permits, under_way, give
        shaper, n = core.pulse_shaper, core.pulse_shaper.symbols_per_clock
        sizes = {"lanes": shaper.lanes, "samples_per_symbol": shaper.samples_per_symbol, "span": shaper.span}
        entropy = core.entropy
        self.symbols_per_clock, self._lanes = n, shaper.lanes
        self._own = OwnPage(sizes, self._step)
        self._entropy = EntropyPage(
            {
                "rounds_per_clock": entropy.expander.rounds_per_clock,
                "sample_bits": entropy.health.sample_bits,
                "word_bits": entropy.word_bits,
            }
        )
        self._gaussian, self._alphabet = GaussianPage(n), AlphabetPage(n)
        self._frames = FramePage(core.frame_controller.limits)
        self._record = Table(SYMBOL_RECORD)
        self._record.shown |= {
            ("capabilities", "symbols_per_clock"): n,
            ("capabilities", "depth"): core.symbol_record.depth,
        }
        self._shaper, self._shift = ShaperPage(shaper.registers, sizes), ShiftPage(shaper.lanes)
        self._predistortion = PredistortionPage(shaper.lanes) if core.predistortion is not None else None
        self.tables: dict[str, Table] = {
            "transmitter": self._own,
            "entropy": self._entropy,
            "gaussian": self._gaussian,
            "alphabet": self._alphabet,
            "frame_controller": self._frames,
            "symbol_record": self._record,
            "pulse_shaper": self._shaper,
            "shift_and_pilots": self._shift,
        }
        if self._predistortion is not None:
            self.tables["predistortion"] = self._predistortion

    def _step(self) -> None:
        """Begin a frame where that is due."""
        self._own.shown["source", "active"] = self._own.shown["source", "select"]
        self._frames.active = self._under_way()
        if self._frames.active or not (self._frames.runs and self._permits() and self._entropy.ready):
            return
        selected = self._own.shown["source", "select"]
        source = self._alphabet.source if selected == Symbols.ALPHABET else self._gaussian.source
        frame, shaper, pilots = self._frames.settings, self._shaper.shaper, self._shift.pilots
        if source is None or frame is None or shaper is None or pilots is None:
            return
        predistortion = None if self._predistortion is None else self._predistortion.predistortion
        made = Transmitter(source, frame, shaper, self._shift.shift_word, pilots, predistortion)
        sent = next(made.run(self._entropy.take(2 * frame.payload), 1, number=self._frames.number))
        self._count(sent)
        self._own.spent += -(-len(sent.samples) // self._lanes)
        self._frames.number = (self._frames.number + 1) % 2**32
        self._frames.active = True
        self._give(sent)

    def record(self, sent: SentFrame) -> bytes:
        """The packet of a frame, as it goes to memory."""
        of = sent.packet
        words = packet(of.frame, of.symbols, of.flags, symbols_per_clock=self.symbols_per_clock)
        return words.astype("<i2").tobytes()

    def _count(self, sent: SentFrame) -> None:
        """What a frame leaves in counters and flags."""
        flags = sent.packet.flags
        for register in ("frames_marked", "frames_good"):
            if (register == "frames_marked") == bool(flags):
                self._record.shown[register, "count"] = self._record.shown.get((register, "count"), 0) + 1
        for flag in Flag:
            if flag & flags:
                self._record.shown["status", str(flag.name).lower()] = 1
        if Flag.STARVED in flags:
            self._frames.shown["status", "starved"] = 1
        self._own.shown["frames", "count"] = self._own.shown.get(("frames", "count"), 0) + 1
