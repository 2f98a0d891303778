"""What is proven of which core. To add a core: a line in FOLLOWS for its stream, or a :class:`Claim` of your own.

That offers stay is claimed of every core in ``kronborg_hdl.synthesis.cores``, without a line here. A core with a large
memory needs one in SMALL, for memories become flip-flops, and so does an assembly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth import Const, Module, Value
from amaranth.lib import wiring

from kronborg_hdl.axi.bank import PagedBank, RegisterBank
from kronborg_hdl.axi.dma.channels import Receiver as DmaReceiver
from kronborg_hdl.axi.dma.channels import Sender as DmaSender
from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.axi.serial_bridge.manager import Manager
from kronborg_hdl.axi.stream import Fork, SkidBuffer, complex_words
from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator
from kronborg_hdl.compensation.pilot_tracker.core import PilotTracker
from kronborg_hdl.decimation.matched_filter.core import MatchedFilter
from kronborg_hdl.decimation.resampler.core import Resampler
from kronborg_hdl.modulation.alphabet.core import AlphabetSource
from kronborg_hdl.modulation.entropy.chacha20.core import Expander
from kronborg_hdl.modulation.entropy.core import Entropy
from kronborg_hdl.modulation.entropy.health.core import HealthTests
from kronborg_hdl.modulation.frame_controller.core import FrameController
from kronborg_hdl.modulation.gaussian.core import GaussianSource
from kronborg_hdl.modulation.interpolating_shaper.core import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.core import Predistortion
from kronborg_hdl.modulation.pulse_shaper.core import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots.core import ShiftAndPilots
from kronborg_hdl.modulation.symbol_record.core import SymbolRecord
from kronborg_hdl.receiver.core import OneSampleLate, Receiver
from kronborg_hdl.receiver.tap.core import Tap
from kronborg_hdl.synchronisation.frame_synchroniser.core import FrameSynchroniser
from kronborg_hdl.synchronisation.frame_synchroniser.cutter import FrameCutter
from kronborg_hdl.synthesis.cores import CORES, small
from kronborg_hdl.transmitter.core import Transmitter

from .cutter import CutsWholeFrames, short_sizes
from .engine import Verdict, prove
from .entropy import PassesWhatIsGood, StopsAtOnce
from .frames import FramesWhatIsTaken, RecordsWhatIsSent, TellsNobody
from .harness import Harness
from .manager import CarriesOutWhatIsOrdered
from .memory import ReadsWhatIsOrdered, WritesWhatIsOrdered
from .registers import KeepsTheProtocol, MeansWhatTheTableSays, one_of_each
from .streams import (
    DecimatedFrames,
    DelaysByOneSample,
    DeliversInOrder,
    FollowsReference,
    HandsOutCopies,
    KeepsOffers,
    Reference,
    StretchedFrames,
    WaitingFrames,
)

PRODUCTS = ("t:$mul",)
"""Multipliers only carry data: no valid, ready or last depends on a product."""
COMPARISONS = ("t:$ge", "t:$gt", "t:$le", "t:$lt")
"""Whatever a comparison of data finds, and not only what these data make it find."""
MEMORIES = ("t:$mem_v2",)
"""Words that wait; how many, registers count."""
SUMS = ("t:$add",)
"""With them go counters: what holds for any count holds for the right one."""


def _parts(*names: str) -> tuple[str, ...]:
    """Parts of a core as a whole: whatever they give, and even if they withdrew it."""
    return tuple(f"t:*.core.{name}" for name in names)


OFFERS = "keeps its offers"


@dataclass(frozen=True)
class Claim:
    """A harness, and the sizes for which its claims are to be proven.

    Attributes:
        core: name of the core, or of a part of cores.
        title: the claim in a few words.
        make: the harness for a size: mostly samples, or symbols, per clock.
        sizes: the tests prove the first of them, the command can prove all.
        cut, merge, complete: see ``engine.prove``.
    """

    core: str
    title: str
    make: Callable[[int], Harness]
    sizes: tuple[int, ...] = (1,)
    cut: tuple[str, ...] = ()
    merge: bool = False
    complete: bool = False

    def prove(self, size: int, *, depth: int = 12, search_seconds: int = 2, seconds: int = 300) -> Verdict:
        """Prove it for one size, see ``engine.prove``."""
        return prove(
            self.make(size),
            depth,
            cut=self.cut,
            merge=self.merge,
            complete=self.complete,
            search_seconds=search_seconds,
            seconds=seconds,
        )


def _loaded(core: wiring.Component, m: Module) -> Value:
    return core.port.control.loaded


def _always(core: wiring.Component, m: Module) -> Value:
    return Const(1)


def _alphabet(n: int) -> Harness:
    def is_open(core: wiring.Component, m: Module) -> Value:
        return core.port.control.loaded & core.port.control.run

    core = AlphabetSource(symbols_per_clock=n)
    return FollowsReference(core, Reference(before=core.latency - 1), is_open)


def _gaussian(n: int) -> Harness:
    def is_open(core: wiring.Component, m: Module) -> Value:
        return core.port.control.scale_valid

    core = GaussianSource(symbols_per_clock=n)
    return FollowsReference(core, Reference(before=core.latency - 1), is_open)


def _shift_and_pilots(lanes: int) -> Harness:
    core = ShiftAndPilots(lanes=lanes)
    return FollowsReference(core, Reference(before=core.latency - 1), _loaded)


def _pulse_shaper(lanes: int) -> Harness:
    core = PulseShaper(lanes=lanes, samples_per_symbol=2, span=5)
    clocks = core.clocks_per_symbol
    tail = (core.span - 1) // core.symbols_per_clock * clocks
    return FollowsReference(core, StretchedFrames(clocks=clocks, tail=tail, after=core.latency - 1), _loaded)


def _interpolating_shaper(lanes: int) -> Harness:
    core = InterpolatingShaper(lanes=lanes, samples_per_symbol=2, span=2)
    clocks = core.clocks_per_symbol
    tail = core.tail // core.symbols_per_clock * clocks
    return FollowsReference(core, StretchedFrames(clocks=clocks, tail=tail, after=core.latency - 1), _loaded)


def _predistortion(lanes: int) -> Harness:
    core = Predistortion(lanes=lanes)
    # A beat comes to the line when its table has answered, and waits there for those that its filter reaches.
    before = 2
    after = core.latency - 1 - before - core.reach
    reference = WaitingFrames(before=before, places=core.reach, after=after)
    return FollowsReference(core, reference, lambda core, m: core.i.ready)


def _matched_filter(lanes: int) -> Harness:
    core = MatchedFilter(lanes=lanes, samples_per_symbol=2, span=3)
    reference = DecimatedFrames(clocks=core.clocks_per_symbol, after=core.latency - 1)
    return FollowsReference(core, reference, _loaded)


FOLLOWS = {
    "alphabet": _alphabet,
    "gaussian": _gaussian,
    "shift_and_pilots": _shift_and_pilots,
    "pulse_shaper": _pulse_shaper,
    "interpolating_shaper": _interpolating_shaper,
    "predistortion": _predistortion,
    "matched_filter": _matched_filter,
}
"""Cores whose output is in every clock what a reference says: nothing is lost, doubled, made up or late."""


def _transmitter() -> Transmitter:
    core = Transmitter(lanes=2, samples_per_symbol=2, span=3, predistortion=False, preamble_capacity=2)
    core.symbol_record = SymbolRecord(symbols_per_clock=1, depth=2)
    return core


SMALL: dict[str, tuple[Callable[[], wiring.Component], tuple[str, ...]]] = {
    "entropy": (lambda: Entropy(rounds_per_clock=4, sample_bits=1), SUMS),
    "fibre_emulator": (lambda: FibreEmulator(lanes=1), (*PRODUCTS, *SUMS, *_parts("gaussian", "oscillator"))),
    "frame_controller": (lambda: FrameController(symbols_per_clock=1, preamble_capacity=2), ()),
    "frame_synchroniser": (
        lambda: FrameSynchroniser(symbols_per_clock=1, preamble=64, detector_chips=8, chain=1),
        _parts("detector", "measurer", "solver", "cutter"),
    ),
    "predistortion": (lambda: Predistortion(lanes=1), PRODUCTS),
    "receiver": (
        lambda: Receiver(lanes=1, halvings=1, preamble=64, detector_chips=8, packet_depth=2, picture_depth=2),
        _parts(
            "converter_input",
            "mixer",
            "pilot_tracker",
            "phase_smoother",
            "unit_phasor",
            "half_band_0",
            "rotator",
            "resampler",
            "symbol_filter",
            "frame_synchroniser",
        ),
    ),
    "symbol_record": (lambda: SymbolRecord(symbols_per_clock=1, depth=2), ()),
    "tap": (lambda: Tap(places={"samples": complex_words(1)}, depth=2), PRODUCTS),
    "pilot_tracker": (lambda: PilotTracker(hops_per_clock=1, halvings=2), _parts("measure", "decide")),
    "transmitter": (_transmitter, (*PRODUCTS, *SUMS, *_parts("entropy", "gaussian", "alphabet", "frame_controller"))),
}
"""Cores for whose offers ``synthesis.cores.small`` is not small enough, or for which other cells are to be cut."""


LISTENERS = ("power_meter",)
"""Cores that drive no stream: they have no offers to keep."""
ASSEMBLIES = ("loopback",)
"""Cores whose streams are all those of their parts: the parts' claims are theirs."""


def _keeps_offers(name: str) -> Claim:
    make, cut = SMALL.get(name, (lambda: small(name).build(), (*PRODUCTS, *SUMS, *COMPARISONS)))
    return Claim(name, OFFERS, lambda size: KeepsOffers(make()), cut=cut)


def _paged_bank(pages: int) -> PagedBank:
    return PagedBank(PageMap("pages", tuple((f"page_{number}", one_of_each()) for number in range(pages))))


def _frame_controller(n: int) -> FrameController:
    return FrameController(symbols_per_clock=n, preamble_capacity=2 * n)


CLAIMS = (
    Claim("skid_buffer", "delivers in order", lambda bits: DeliversInOrder(SkidBuffer(bits), 2), sizes=(8, 64)),
    Claim("skid_buffer", OFFERS, lambda bits: KeepsOffers(SkidBuffer(bits)), sizes=(8, 64)),
    Claim(
        "fork",
        OFFERS,
        lambda branches: KeepsOffers(Fork(2, branches=branches), given=True),
        sizes=(2, 5),
    ),
    Claim("fork", "hands out copies", lambda branches: HandsOutCopies(Fork(2, branches=branches)), sizes=(2, 5)),
    Claim(
        "one_sample_late",
        OFFERS,
        lambda words: KeepsOffers(OneSampleLate(words_per_clock=words), given=True),
        sizes=(1, 2, 8),
    ),
    Claim(
        "one_sample_late",
        "delays by one sample",
        lambda words: DelaysByOneSample(OneSampleLate(words_per_clock=words)),
        sizes=(2, 1, 8),
    ),
    Claim(
        "resampler",
        OFFERS,
        lambda words: KeepsOffers(Resampler(words_per_clock=words, depth=2)),
        sizes=(1, 2),
        cut=(*PRODUCTS, *SUMS, *_parts("orders")),
    ),
    Claim("registers", "keep AXI4-Lite", lambda size: KeepsTheProtocol(RegisterBank(one_of_each()))),
    Claim("registers", "mean what the table says", lambda size: MeansWhatTheTableSays(RegisterBank(one_of_each()))),
    Claim(
        "register_pages",
        "keep AXI4-Lite",
        lambda pages: KeepsTheProtocol(
            PagedBank(PageMap("pages", tuple((f"p{n}", one_of_each()) for n in range(pages))))
        ),
        sizes=(2, 3),
    ),
    Claim(
        "serial_manager",
        "carries out what is ordered",
        lambda bits: CarriesOutWhatIsOrdered(Manager(bits)),
        sizes=(4, 32),
    ),
    Claim(
        "dma",
        "reads what is ordered",
        lambda bits: ReadsWhatIsOrdered(DmaSender(address_bits=64, data_bits=bits)),
        sizes=(64, 32, 128),
        cut=MEMORIES,
        complete=True,
    ),
    Claim(
        "dma",
        "writes what is ordered",
        lambda bits: WritesWhatIsOrdered(DmaReceiver(address_bits=64, data_bits=bits)),
        sizes=(64, 32, 128),
        cut=MEMORIES,
        complete=True,
    ),
    Claim("chacha20", OFFERS, lambda rounds: KeepsOffers(Expander(rounds_per_clock=rounds)), sizes=(4, 2), cut=SUMS),
    Claim("health_tests", OFFERS, lambda bits: KeepsOffers(HealthTests(sample_bits=bits)), cut=COMPARISONS),
    Claim(
        "health_tests",
        "pass what is good",
        lambda bits: PassesWhatIsGood(HealthTests(sample_bits=bits)),
        cut=COMPARISONS,
    ),
    Claim(
        "entropy",
        "stops at once",
        lambda size: StopsAtOnce(Entropy(rounds_per_clock=4, sample_bits=1)),
        cut=COMPARISONS,
    ),
    Claim(
        "frame_controller",
        "frames what is taken",
        lambda n: FramesWhatIsTaken(_frame_controller(n)),
        sizes=(1, 2, 4, 8),
    ),
    Claim(
        "frame_controller",
        "tells nobody",
        lambda n: TellsNobody(_frame_controller(n), _frame_controller(n)),
        sizes=(1, 2, 4, 8),
        merge=True,
    ),
    Claim(
        "symbol_record",
        "records what is sent",
        lambda n: RecordsWhatIsSent(SymbolRecord(symbols_per_clock=n, depth=2)),
        sizes=(1, 2, 4, 8),
        merge=True,
    ),
    Claim(
        "frame_cutter",
        "cuts whole frames",
        lambda n: CutsWholeFrames(FrameCutter(short_sizes(n), age=0)),
        sizes=(8, 4, 2, 1),
        complete=True,
    ),
    *(Claim(core, "follows its reference", make, sizes=(1, 2, 4), cut=PRODUCTS) for core, make in FOLLOWS.items()),
    *(_keeps_offers(core) for core in CORES if core not in (*LISTENERS, *ASSEMBLIES)),
)
"""All that is proven."""
