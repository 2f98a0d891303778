"""The receiver's registers over its integer model: samples that go in become packets, as they do in gateware.

Settings hold when they are applied. A receiver to whose settings something is applied begins anew with the next sample,
as after a reset: in gateware what is in the chain goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.compensation.converter_input.model import ConverterInput
from kronborg_hdl.compensation.mixer.model import Mixer
from kronborg_hdl.compensation.phase_smoother.model import STAGES, PhaseSmoother
from kronborg_hdl.compensation.pilot_tracker.model import PilotTracker
from kronborg_hdl.compensation.pilot_tracker.model import Settings as TrackerSettings
from kronborg_hdl.compensation.rotator.model import MOST_DELAY
from kronborg_hdl.decimation.power_meter.model import ALL_SECTIONS, Measurement, PowerMeter, Section
from kronborg_hdl.decimation.power_meter.registers import SUMS
from kronborg_hdl.decimation.resampler.kernel import KERNELS
from kronborg_hdl.decimation.resampler.model import Resampler
from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, REACH, SymbolFilter
from kronborg_hdl.receiver.closed_loop import ClosedLoop
from kronborg_hdl.receiver.core import Receiver as Core
from kronborg_hdl.receiver.stream import ReceiverStream
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser, Settings, Slot
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag, Packet
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes
from kronborg_hdl.synchronisation.frame_synchroniser.timing import Gains, TimingSettings

from .model_gateware import Table

WORD_MASK = (1 << 32) - 1


def nothing() -> None:
    """What a page tells the others when its settings hold, before it has any."""


class Page(Table):
    """A part's registers, whose settings hold when they are applied.

    Attributes:
        used: fields as they were when they were last applied, by register and field; None before.
    """

    used: dict[tuple[str, str], int] | None = None
    changed: Callable[[], None] = staticmethod(nothing)

    def written(self, register: str, given: dict[str, int]) -> None:
        """Put settings to use."""
        if register == "control" and given.get("apply"):
            self.used = dict(self.shown)
            if ("control", "loaded") in {("control", field.name) for field in self.registers["control"].fields}:
                self.shown["control", "loaded"] = 1
            self.changed()

    def words(self, register: str) -> dict[str, int]:
        """Fields of a register that are in use."""
        of = self.shown if self.used is None else self.used
        return {field.name: of.get((register, field.name), 0) for field in self.registers[register].fields}

    def word(self, register: str) -> int:
        """The one field of a register that is in use."""
        (value,) = self.words(register).values()
        return value


class FilterPage(Page):
    """The symbol filter, whose taps are written one by one."""

    taps: NDArray[np.int32] | None = None

    def written(self, register: str, given: dict[str, int]) -> None:
        """A tap, or their use."""
        if self.taps is None:
            self.taps = np.zeros(DISTINCT_TAPS, np.int32)
        if register == "tap":
            if given["index"] > REACH:
                self.shown["status", "tap_refused"] = 1
            else:
                self.taps = self.taps.copy()
                self.taps[given["index"]] = given["value"]
        super().written(register, given)


class SynchroniserPage(Page):
    """The frame synchroniser.

    Args:
        registers: its table.
        sizes: of the core.
    """

    sizes: Sizes
    chips: NDArray[np.int8]
    settings: Settings | None = None

    def written(self, register: str, given: dict[str, int]) -> None:
        """A chip, or the use of all settings, if they are possible ones."""
        if register == "chip":
            if given["index"] >= self.sizes.preamble:
                self.shown["status", "chip_refused"] = 1
            else:
                signs = (1 - 2 * given["negative_i"], 1 - 2 * given["negative_q"])
                self.chips[given["index"]] = signs
        elif register == "control" and given["clear_counters"]:
            self.shown |= {(f"frames_{what}", "count"): 0 for what in ("good", "marked", "missing")}
        elif register == "control" and given["apply"]:
            before = self.used
            self.used = dict(self.shown)
            try:
                self.settings = self._settings()
            except ValueError:
                self.used = before
                self.shown["status", "settings_refused"] = 1
                return
            self.shown["control", "loaded"] = 1
            self.changed()

    def _settings(self) -> Settings:
        acquire, track = (
            Gains(self.word(f"{name}_phase"), self.word(f"{name}_drift"), self.word(f"{name}_frequency"))
            for name in ("acquire", "track")
        )
        step = self.word("step_low") | self.word("step_high") << 32
        retime_after = self.word("retime_after")
        timing = TimingSettings(
            self.word("slope"), self.word("weak"), self.word("wide"), step, acquire, track, retime_after
        )
        header = self.words("header")
        return Settings(
            self.sizes,
            self.chips.copy(),
            self.word("threshold"),
            header["repetition"],
            header["eighths"],
            self.word("payload"),
            self.word("period"),
            self.word("tolerance"),
            timing,
            self.word("vacuum"),
            self.word("calibration"),
            self.word("margin"),
        )


class MeterPage(Page):
    """The power meter."""

    meter: PowerMeter | None = None
    under_way = Measurement()

    def written(self, register: str, given: dict[str, int]) -> None:
        """A measurement begins, or its figures were read."""
        if register != "control":
            return
        if given["apply"]:
            sections = frozenset(s for s in Section if self.shown["sections", s.name.lower()])
            n = self.shown["capabilities", "symbols_per_clock"]
            self.meter = PowerMeter(max(1, self.shown["gate", "symbols"]), sections, n)
            self.under_way = Measurement()
            self.shown["control", "complete"] = 0
        if given["release"]:
            self.shown["control", "complete"] = 0
        if given["clear_counters"]:
            self.shown |= {("measurements", "count"): 0, ("lost", "count"): 0}

    def take(self, symbols: NDArray[np.int16], sections: NDArray[np.uint8]) -> None:
        """Measure a piece of the stream."""
        if self.meter is None:
            return
        done, self.under_way = self.meter.process(symbols, sections, self.under_way)
        for measurement in done:
            self.shown["measurements", "count"] = self.shown.get(("measurements", "count"), 0) + 1
            if self.shown.get(("control", "complete")):
                self.shown["status", "lost"] = 1
                self.shown["lost", "count"] = self.shown.get(("lost", "count"), 0) + 1
                continue
            self.shown["control", "complete"] = self.shown["status", "measured"] = 1
            self.shown["count", "symbols"] = measurement.symbols
            for name, total in zip(SUMS, (*measurement.sums, *measurement.squares), strict=True):
                self.shown[f"{name}_low", "word"] = total & WORD_MASK
                self.shown[f"{name}_high", "word"] = total >> 32


class OwnPage(Table):
    """The receiver's own page."""

    changed: Callable[[], None] = staticmethod(nothing)
    _ran = 0

    def written(self, register: str, given: dict[str, int]) -> None:
        """Samples are thrown away, or no more."""
        if register == "control" and given["run"] != self._ran:
            self._ran = given["run"]
            self.changed()


class ReceiverModel:
    """The receiver.

    Args:
        core: the hardware whose sizes it has; it is not elaborated.
        give: takes the bytes of a packet.

    Attributes:
        tables: of each page, by its name, in their order.
    """

    def __init__(self, core: Core, give: Callable[[bytes], None]) -> None:
        self._give = give
        self._lanes, self._halvings = core.mixer.lanes, core.halvings
        self._stream: ReceiverStream | None = None
        self._waiting = np.zeros(0, np.int16)
        tables = dict(core.registers.pages)
        kinds: dict[str, type[Table]] = {
            "receiver": OwnPage,
            "symbol_filter": FilterPage,
            "frame_synchroniser": SynchroniserPage,
            "power_meter": MeterPage,
        }
        self.tables: dict[str, Table] = {name: kinds.get(name, Page)(table) for name, table in tables.items()}
        synchroniser = core.frame_synchroniser
        self._sizes = synchroniser.sizes
        page = self._page("frame_synchroniser", SynchroniserPage)
        page.sizes, page.chips = self._sizes, np.ones((self._sizes.preamble, 2), np.int8)
        for table in self.tables.values():
            if isinstance(table, Page | OwnPage):
                table.changed = self._begin_anew
        self._show_sizes(core)

    def _show_sizes(self, core: Core) -> None:
        decimated = core.rotator.samples_per_clock
        n, hop = self._sizes.symbols_per_clock, core.mixer.hop
        sizes: dict[str, dict[str, int]] = {
            "receiver": {"lanes": self._lanes, "halvings": self._halvings, "complex_input": 0},
            "converter_input": {"lanes": self._lanes},
            "mixer": {"lanes": self._lanes, "hop": hop},
            "pilot_tracker": {"hops_per_clock": core.mixer.hops_per_clock, "hop": hop},
            "phase_smoother": {"hops_per_clock": core.mixer.hops_per_clock, "stages": STAGES},
            "rotator": {"samples_per_clock": decimated},
            "resampler": {"words_per_clock": decimated},
            "symbol_filter": {"words_per_clock": decimated, "reach": REACH},
            "frame_synchroniser": {
                "symbols_per_clock": n,
                "preamble": self._sizes.preamble,
                "detector_chips": self._sizes.detector_chips,
            },
            "power_meter": {"symbols_per_clock": n},
        }
        for page, fields in sizes.items():
            self.tables[page].shown |= {("capabilities", name): value for name, value in fields.items()}

    def _page(self, name: str, kind: type[Table] = Page) -> Any:
        table = self.tables[name]
        assert isinstance(table, kind)
        return table

    def _begin_anew(self) -> None:
        self._stream = None

    def _settings(self) -> ClosedLoop | None:
        """As they are in use; None where something was never applied."""
        synchroniser = self._page("frame_synchroniser", SynchroniserPage).settings
        resampler, tracker = self._page("resampler"), self._page("pilot_tracker")
        if synchroniser is None or resampler.used is None:
            return None
        mixer = self._page("mixer")
        weights: dict[str, int] = {}
        for number in range(2):
            weights |= self._page("phase_smoother").words(f"weights_{number}")
        converter, filter_ = self._page("converter_input"), self._page("symbol_filter", FilterPage)
        threshold, tracking = converter.words("threshold"), converter.words("tracking")
        return ClosedLoop(
            mixer=Mixer(
                tuple(mixer.word(f"{name}_offset") for name in ("signal", "pilot_0", "pilot_1")),
                self._halvings,
                max(1, self._lanes // (2 << self._halvings)),
            ),
            tracker=PilotTracker(
                TrackerSettings(
                    halvings=self._halvings,
                    threshold=tracker.word("threshold"),
                    two_pilots=bool(tracker.word("mode")),
                    start=tracker.word("start"),
                    step=tracker.word("step"),
                    **tracker.words("search"),
                    **tracker.words("follow"),
                )
            ),
            smoother=PhaseSmoother(tuple(weights[f"stage_{stage}"] for stage in range(STAGES))),
            resampler=Resampler(KERNELS[resampler.word("kernel")], max(1, self._lanes >> self._halvings)),
            symbol_filter=SymbolFilter(filter_.taps, filter_.word("shift")),
            synchroniser=FrameSynchroniser(synchroniser),
            converter_input=ConverterInput(
                tracking["averaging"],
                bool(tracking["hold"]),
                converter.word("gain"),
                converter.word("skew"),
                threshold["upper"],
                threshold["lower"],
            ),
        )

    def take(self, samples: NDArray[np.int16]) -> None:
        """Samples of the converter, int16, shape (n,)."""
        if not self.tables["receiver"].shown["control", "run"]:
            return
        if self._stream is None:
            settings = self._settings()
            if settings is None:
                return
            rotator = self._page("rotator")
            self._stream = ReceiverStream(
                settings,
                turns=not rotator.word("mode"),
                beat=self._page("mixer").word("beat"),
                delay=max(-MOST_DELAY, min(MOST_DELAY, rotator.word("delay"))),
            )
            self._waiting = np.zeros(0, np.int16)
            self._symbols, self._first = np.zeros((0, 2), np.int16), 0
        self._waiting = np.concatenate([self._waiting, samples])
        whole = max(self._lanes, 2 << self._halvings)
        count = len(self._waiting) // whole * whole
        piece = self._stream.process(self._waiting[:count])
        self._waiting = self._waiting[count:]
        self._measure(piece.symbols, piece.slots)
        for packet in piece.packets:
            self._count(packet)
            self._give(packet.words().astype("<i2").tobytes())
        tracker = self.tables["pilot_tracker"].shown
        tracker["state", "locked"] = int(self._stream.locked)
        if piece.saturated:
            self.tables["receiver"].shown["status", "saturated"] = 1

    def _count(self, packet: Packet) -> None:
        shown = self.tables["frame_synchroniser"].shown
        which = "frames_marked" if packet.flags else "frames_good"
        shown[which, "count"] = shown.get((which, "count"), 0) + 1
        for flag in Flag:
            if flag & packet.flags:
                shown["status", str(flag.name).lower()] = 1

    def _measure(self, symbols: NDArray[np.int16], slots: tuple[Slot, ...]) -> None:
        """Let the power meter see the stream, or of it the stretches that are known to be of a section."""
        meter = self._page("power_meter", MeterPage)
        if meter.meter is None:
            return
        if meter.meter.sections == ALL_SECTIONS:
            meter.take(symbols, np.zeros(len(symbols), np.uint8))
            return
        self._symbols = np.concatenate([self._symbols, symbols])
        for slot in slots:
            part = self._symbols[slot.first - self._first : slot.end - self._first]
            meter.take(part, np.full(len(part), slot.section, np.uint8))
        if slots:
            done = slots[-1].first - self._first
            self._symbols, self._first = self._symbols[done:], self._first + done
