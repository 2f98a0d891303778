"""All cores by name, and the sizes that each of them is synthesised for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature

from ..axi.skin import Core
from ..axi.stream import endless_words
from ..channel.fibre_emulator.core import FibreEmulator
from ..compensation.converter_input.core import ConverterInput
from ..compensation.mixer.core import Mixer
from ..compensation.phase_smoother.core import PhaseSmoother
from ..compensation.pilot_tracker.core import PilotTracker
from ..compensation.rotator.core import Rotator
from ..compensation.unit_phasor.core import UnitPhasor
from ..decimation.half_band.core import HalfBandDecimator
from ..decimation.half_band.model import WIDE
from ..decimation.matched_filter.core import MatchedFilter
from ..decimation.power_meter.core import PowerMeter
from ..decimation.resampler.core import Resampler
from ..decimation.symbol_filter.core import SymbolFilter
from ..dsp.formats import BASEBAND, SAMPLE
from ..dsp.rates import LANES
from ..loopback.core import Loopback
from ..modulation.alphabet.core import AlphabetSource
from ..modulation.entropy.chacha20.core import ROUNDS_PER_CLOCK
from ..modulation.entropy.chacha20.model import ROUNDS
from ..modulation.entropy.core import BLOCK_BITS, Entropy
from ..modulation.frame_controller.core import FrameController
from ..modulation.gaussian.core import GaussianSource
from ..modulation.gaussian.tables import WORD_BITS
from ..modulation.interpolating_shaper.core import InterpolatingShaper
from ..modulation.predistortion.core import Predistortion
from ..modulation.pulse_shaper.core import PulseShaper
from ..modulation.shift_and_pilots.core import ShiftAndPilots
from ..modulation.symbol_record.core import SymbolRecord
from ..receiver.core import Receiver
from ..receiver.tap.core import Tap
from ..synchronisation.frame_synchroniser.core import FrameSynchroniser
from ..transmitter.core import Transmitter

SYMBOLS_PER_CLOCK = LANES[:-1]
"""Of cores that work on symbols, or on hops, which are as long: there are two samples to a symbol at least."""
HALVINGS = 2
"""Half-band stages of a receiver, where a core depends on them: for 8 samples a symbol."""


@dataclass(frozen=True)
class Entry:
    """A core of the register.

    Attributes:
        make: the core at so many `lanes` and, where it has those parameters, `samples_per_symbol` and `span`.
        lanes: of its rows in the table.
        checked_on: the device on which the tests synthesise it, :func:`small`; None for an assembly of such cores, or
            where it takes minutes.
    """

    make: Callable[..., Core]
    lanes: tuple[int, ...]
    checked_on: str | None

    @property
    def needs(self) -> tuple[str, ...]:
        """Which of `lanes`, `samples_per_symbol` and `span` the core depends on."""
        parameters = signature(self.make).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.default is Parameter.empty)


def _entropy(lanes: int) -> Entropy:
    """With the fewest rounds per clock that give so many symbols their 64 bits each."""
    rounds = next((r for r in ROUNDS_PER_CLOCK if BLOCK_BITS * r >= WORD_BITS * ROUNDS * lanes), None)
    if rounds is None:
        raise ValueError(f"{lanes} symbols per clock: ChaCha20 gives {BLOCK_BITS // WORD_BITS} at most")
    return Entropy(rounds_per_clock=rounds, sample_bits=8)


def _frame_controller(lanes: int) -> FrameController:
    """For a chain behind it of 64 clocks, about what a transmitter of 8 lanes has."""
    return FrameController(symbols_per_clock=lanes, minimum_head=64 * lanes)


def _frame_synchroniser(lanes: int, samples_per_symbol: int) -> FrameSynchroniser:
    """Behind a converter of so many lanes."""
    return FrameSynchroniser(symbols_per_clock=max(1, lanes // samples_per_symbol))


def _receiver(lanes: int, samples_per_symbol: int) -> Receiver:
    """For a whole number of halvings down to two samples a symbol."""
    halvings = samples_per_symbol.bit_length() - 2
    if samples_per_symbol != 2 << halvings:
        raise ValueError(f"{samples_per_symbol} samples a symbol: half-bands bring 2, 4, 8 or 16 to two")
    return Receiver(lanes=lanes, halvings=halvings)


def _half_band(lanes: int) -> HalfBandDecimator:
    """The wide one: of the two it has more taps."""
    return HalfBandDecimator(words_per_clock=lanes, half_band=WIDE)


def _tap(lanes: int) -> Tap:
    """At the converter, behind the mixer, and at a quarter of the rate."""
    words = {"samples": (lanes, SAMPLE), "signal": (lanes, BASEBAND), "decimated": (max(1, lanes // 4), BASEBAND)}
    return Tap(places={name: endless_words(count, of) for name, (count, of) in words.items()})


CORES = {
    "alphabet": Entry(lambda lanes: AlphabetSource(symbols_per_clock=lanes), SYMBOLS_PER_CLOCK, "xczu48dr"),
    "converter_input": Entry(ConverterInput, LANES, "xc7z020"),
    "entropy": Entry(_entropy, SYMBOLS_PER_CLOCK, "xc7z020"),
    "fibre_emulator": Entry(lambda lanes: FibreEmulator(lanes=lanes), LANES, "xc7z020"),
    "frame_controller": Entry(_frame_controller, SYMBOLS_PER_CLOCK, "xczu48dr"),
    "frame_synchroniser": Entry(_frame_synchroniser, (8, 16), None),
    "gaussian": Entry(lambda lanes: GaussianSource(symbols_per_clock=lanes), SYMBOLS_PER_CLOCK, "xc7z020"),
    "half_band": Entry(_half_band, LANES, "xc7z020"),
    "interpolating_shaper": Entry(InterpolatingShaper, LANES, "xc7z020"),
    "loopback": Entry(Loopback, (1, 2, 4), None),
    "matched_filter": Entry(MatchedFilter, LANES, "xczu48dr"),
    "mixer": Entry(lambda lanes: Mixer(lanes=lanes, halvings=HALVINGS), LANES, "xc7z020"),
    "phase_smoother": Entry(lambda lanes: PhaseSmoother(hops_per_clock=lanes), SYMBOLS_PER_CLOCK, "xc7z020"),
    "pilot_tracker": Entry(lambda lanes: PilotTracker(hops_per_clock=lanes, halvings=2), SYMBOLS_PER_CLOCK, "xc7z020"),
    "power_meter": Entry(lambda lanes: PowerMeter(symbols_per_clock=lanes), SYMBOLS_PER_CLOCK, "xc7z020"),
    "predistortion": Entry(Predistortion, LANES, "xczu48dr"),
    "pulse_shaper": Entry(PulseShaper, LANES, "xc7z020"),
    "receiver": Entry(_receiver, LANES, None),
    "resampler": Entry(lambda lanes: Resampler(words_per_clock=lanes), LANES, "xc7z020"),
    "rotator": Entry(lambda lanes: Rotator(samples_per_clock=lanes), LANES, "xczu48dr"),
    "shift_and_pilots": Entry(ShiftAndPilots, LANES, "xc7z020"),
    "symbol_filter": Entry(lambda lanes: SymbolFilter(words_per_clock=lanes), LANES, "xczu48dr"),
    "symbol_record": Entry(lambda lanes: SymbolRecord(symbols_per_clock=lanes), SYMBOLS_PER_CLOCK, "xc7z020"),
    "tap": Entry(_tap, LANES, "xc7z020"),
    "transmitter": Entry(Transmitter, LANES, None),
    "unit_phasor": Entry(lambda lanes: UnitPhasor(hops_per_clock=lanes), SYMBOLS_PER_CLOCK, "xczu48dr"),
}


@dataclass(frozen=True)
class Configuration:
    """A core and what it is built for; None where it does not depend on a figure.

    Attributes:
        core: its name.
        lanes: samples per clock; of a core that works on symbols or hops, so many of these.
        samples_per_symbol: M.
        span: K of the pulse, symbols.
    """

    core: str
    lanes: int
    samples_per_symbol: int | None = None
    span: int | None = None

    def build(self) -> Core:
        """The core.

        Raises:
            ValueError: it cannot be built so.
        """
        entry = CORES[self.core]
        return entry.make(**{name: getattr(self, name) for name in entry.needs})


def configure(core: str, lanes: int, samples_per_symbol: int | None = None, span: int | None = None) -> Configuration:
    """The configuration of a core for these figures, without those that it does not depend on.

    None stands for what the table has: 8 samples per symbol, such as 125 MBd from a converter at 1 GS/s, and a span of
    32 symbols and the tap at its end.
    """
    figures = {
        "lanes": lanes,
        "samples_per_symbol": 8 if samples_per_symbol is None else samples_per_symbol,
        "span": 33 if span is None else span,
    }
    return Configuration(core, **{name: figures[name] for name in CORES[core].needs})


def small(core: str) -> Configuration:
    """A configuration that is synthesised in seconds and has all that the core has."""
    return configure(core, 2 if "span" in CORES[core].needs else 1, 4, 3)
