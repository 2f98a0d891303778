"""Cores with a mistake in them are refuted: the proofs can fail, and say why."""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kronborg_hdl.axi import bank, stream
from kronborg_hdl.axi.dma import channels
from kronborg_hdl.compensation.pilot_tracker import core as pilot_tracker
from kronborg_hdl.decimation.resampler import core as resampler
from kronborg_hdl.modulation.entropy import core as entropy
from kronborg_hdl.modulation.entropy.health import core as health
from kronborg_hdl.modulation.frame_controller import core as frame_controller
from kronborg_hdl.modulation.pulse_shaper import core as pulse_shaper
from kronborg_hdl.modulation.symbol_record import core as symbol_record
from kronborg_hdl.receiver import core as receiver
from kronborg_hdl.synchronisation.frame_synchroniser import core as frame_synchroniser
from kronborg_hdl.synchronisation.frame_synchroniser import cutter
from kronborg_sim.proofs.claims import COMPARISONS, MEMORIES, PRODUCTS, SMALL, SUMS, _loaded
from kronborg_sim.proofs.cutter import CutsWholeFrames, short_sizes
from kronborg_sim.proofs.engine import Outcome, prove
from kronborg_sim.proofs.entropy import PassesWhatIsGood, StopsAtOnce
from kronborg_sim.proofs.frames import FramesWhatIsTaken, RecordsWhatIsSent, TellsNobody
from kronborg_sim.proofs.harness import Harness
from kronborg_sim.proofs.memory import ReadsWhatIsOrdered, WritesWhatIsOrdered
from kronborg_sim.proofs.registers import KeepsTheProtocol, MeansWhatTheTableSays, one_of_each
from kronborg_sim.proofs.streams import (
    DelaysByOneSample,
    DeliversInOrder,
    FollowsReference,
    HandsOutCopies,
    KeepsOffers,
    StretchedFrames,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*created but never used")


def with_a_mistake(module: ModuleType, right: str, wrong: str) -> Any:
    """The module, written with one mistake."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in {module.__name__}"
    broken = ModuleType(f"{module.__name__}_with_a_mistake")
    broken.__package__, broken.__file__ = module.__package__, module.__file__
    sys.modules[broken.__name__] = broken
    try:
        exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), broken.__dict__)
    finally:
        del sys.modules[broken.__name__]
    return broken


def _shaper(module: Any) -> Harness:
    core = module.PulseShaper(lanes=1, samples_per_symbol=2, span=3)
    return FollowsReference(core, StretchedFrames(clocks=2, tail=4, after=core.latency - 1), _loaded)


def _frames(module: Any) -> Any:
    return module.FrameController(symbols_per_clock=1, preamble_capacity=2)


def _record(module: Any) -> Harness:
    return RecordsWhatIsSent(module.SymbolRecord(symbols_per_clock=1, depth=2))


def _cutter(module: Any) -> Harness:
    core = module.FrameCutter(short_sizes(8), age=0)
    return CutsWholeFrames(core, bits=1, inside=False)


def _bank(module: Any) -> Any:
    return module.RegisterBank(one_of_each())


def _entropy(module: Any) -> Any:
    return module.Entropy(rounds_per_clock=4, sample_bits=1)


def _sender(module: Any) -> Harness:
    return ReadsWhatIsOrdered(module.Sender(address_bits=16, data_bits=32), inside=False)


def _receiver_of_packets(module: Any) -> Harness:
    return WritesWhatIsOrdered(module.Receiver(address_bits=16, data_bits=32), inside=False)


MISTAKES: dict[str, tuple[ModuleType, str, str, Callable[[Any], Harness], tuple[str, ...], str]] = {
    "an offer is withdrawn": (
        stream,
        "self.o.valid.eq(full | self.i.valid), full.eq(0)",
        "self.o.valid.eq(full | self.i.valid), full.eq(0)\n        with m.If(self.i.valid & full):\n            "
        "m.d.sync += self.o.valid.eq(0)",
        lambda module: KeepsOffers(module.SkidBuffer(2)),
        (),
        "o: valid stays until ready",
    ),
    "a payload is written over": (
        stream,
        "m.d.sync += full.eq(1)",
        "m.d.sync += full.eq(1), self.o.payload.eq(self.i.payload)",
        lambda module: KeepsOffers(module.SkidBuffer(2)),
        (),
        "o: the payload stays until ready",
    ),
    "a payload is lost": (
        stream,
        "m.d.sync += full.eq(1)",
        "m.d.sync += full.eq(0)",
        lambda module: DeliversInOrder(module.SkidBuffer(2), 2),
        (),
        "payload: no more goes in than there is room for",
    ),
    "what is spare is written over": (
        stream,
        "with m.If(~full):\n            m.d.sync += spare",
        "with m.If(self.i.valid):\n            m.d.sync += spare",
        lambda module: DeliversInOrder(module.SkidBuffer(2), 2),
        (),
        "payload",
    ),
    "a branch gets a payload twice": (
        stream,
        "m.d.sync += taken.eq(Mux(self.i.ready, 0, finished))",
        "m.d.sync += taken.eq(0)",
        lambda module: HandsOutCopies(module.Fork(2, branches=2)),
        (),
        "o_",
    ),
    "a branch is passed over": (
        stream,
        "self.i.ready.eq(finished.all())",
        "self.i.ready.eq(finished.any())",
        lambda module: HandsOutCopies(module.Fork(2, branches=2)),
        (),
        "a payload is taken when the last branch has it",
    ),
    "a sample is taken while its beat waits": (
        receiver,
        "with m.If(self.i.valid & self.i.ready):",
        "with m.If(self.i.valid):",
        lambda module: DelaysByOneSample(module.OneSampleLate(words_per_clock=1)),
        (),
        "samples come one later",
    ),
    "a packet's beat is withdrawn when symbols pause": (
        frame_synchroniser,
        "wiring.connect(m, skid.o, wiring.flipped(self.o))",
        "m.d.comb += self.o.valid.eq(skid.o.valid & self.i.valid), self.o.payload.eq(skid.o.payload)\n"
        "        m.d.comb += skid.o.ready.eq(self.o.ready)",
        lambda module: KeepsOffers(
            module.FrameSynchroniser(symbols_per_clock=1, preamble=64, detector_chips=8, chain=1)
        ),
        SMALL["frame_synchroniser"][1],
        "o: valid stays until ready",
    ),
    "a restart withdraws a command": (
        pilot_tracker,
        "m.submodules.skid_retune = skid_retune = SkidBuffer(RETUNE)",
        "from amaranth import ResetInserter\n        skid_retune = SkidBuffer(RETUNE)\n"
        "        m.submodules.skid_retune = ResetInserter(port.control.apply.start)(skid_retune)",
        lambda module: KeepsOffers(module.PilotTracker(hops_per_clock=1, halvings=2)),
        SMALL["pilot_tracker"][1],
        "retune: valid stays until ready",
    ),
    "a sample is not held": (
        resampler,
        "wiring.connect(m, skid.o, wiring.flipped(self.o))",
        "m.d.comb += self.o.valid.eq(skid.o.valid), self.o.payload.eq(skid.i.payload)\n"
        "        m.d.comb += skid.o.ready.eq(self.o.ready)",
        lambda module: KeepsOffers(module.Resampler(words_per_clock=1, depth=2)),
        (*PRODUCTS, *SUMS, "t:*.core.orders"),
        "o: the payload stays until ready",
    ),
    "the tail is a beat short": (
        pulse_shaper,
        "follow.eq(Mux(starts, Mux(closing, left - 1, tail), left))",
        "follow.eq(Mux(starts, Mux(closing, left - 1, tail - 1), left))",
        _shaper,
        PRODUCTS,
        "it is ready when it should be",
    ),
    "a symbol is taken twice": (
        frame_controller,
        "self.i.ready.eq(due & o.ready)",
        "self.i.ready.eq(due & o.ready & ~beat.last)",
        lambda module: FramesWhatIsTaken(_frames(module)),
        (),
        "symbols: nothing comes out that did not go in",
    ),
    "a symbol is sent in the guard": (
        frame_controller,
        "with m.If(beat.payload):",
        "with m.If(~beat.header):",
        lambda module: TellsNobody(_frames(module), _frames(module)),
        (),
        "words that are not recorded are the same",
    ),
    "a symbol is recorded and not sent": (
        symbol_record,
        "o.valid.eq(i.valid & passes)",
        "o.valid.eq(i.valid & passes & ~i.payload.starved)",
        _record,
        (),
        "sent: ",
    ),
    "a symbol is sent and not recorded": (
        symbol_record,
        "store, closes = accept & self.i.payload.recorded",
        "store, closes = accept & self.i.payload.recorded & ~self.i.payload.last",
        _record,
        (),
        "symbols are recorded in their turn, unchanged",
    ),
    "an event is missed in the clock in which the frame leaves": (
        symbol_record,
        "with m.If(leaving & ~gone):",
        "with m.If(leaving & ~gone & ~self.left):",
        _record,
        (),
        "a trailer says what happened to its frame",
    ),
    "a row too much is handed on": (
        cutter,
        "left.eq((lengths.payload >> shift) - 1)",
        "left.eq(lengths.payload >> shift)",
        _cutter,
        (),
        "listeners are told of payload rows and of the last one",
    ),
    "an event in the row that ends the frame is missed": (
        cutter,
        "marked.eq(marks | self.events)",
        "marked.eq(marks)",
        _cutter,
        (),
        "flags are what happened to the frame",
    ),
    "a frame that is cut short has no mark": (
        cutter,
        "was_cut.eq(cut)",
        "was_cut.eq(cut & ~self.part[0])",
        _cutter,
        (),
        "flags are what happened to the frame",
    ),
    "the last row is not counted": (
        cutter,
        "count.eq((rows + pays) << shift)",
        "count.eq(rows << shift)",
        _cutter,
        (),
        "the trailer's word 2 is right",
    ),
    "a transfer goes on that a reset has given up": (
        channels,
        "giving_up.eq(stop & busy & ~quiet)",
        "giving_up.eq(0)",
        _sender,
        MEMORIES,
        "given up: nothing more is sent",
    ),
    "a burst crosses a row of addresses": (
        channels,
        "left_in_row = BURST_BEATS - place[:ROW_BITS]",
        "left_in_row = BURST_BEATS",
        _sender,
        MEMORIES,
        "none crosses a row",
    ),
    "a buffer is given back while memory still writes": (
        channels,
        "quiet=unanswered == 0,\n            finished=written",
        "quiet=self.bursts.level == 0,\n            finished=written",
        _receiver_of_packets,
        MEMORIES,
        "idle: ",
    ),
    "the rest of a packet begins a transfer": (
        channels,
        "with m.If(busy & stop & ~self.giving_up & taken.any() & ~ended):",
        "with m.If(busy & stop & self.giving_up & taken.any() & ~ended):",
        _receiver_of_packets,
        MEMORIES,
        "a transfer begins with a packet",
    ),
    "an answer is withdrawn": (
        bank,
        "with m.If(bus.rready):",
        "with m.If(1):",
        lambda module: KeepsTheProtocol(_bank(module)),
        (),
        "read: the answer stays until it is taken",
    ),
    "a strobe is ignored": (
        bank,
        "m.d.sync += member.eq((data & strobed) | (member & ~strobed))",
        "m.d.sync += member.eq(data)",
        lambda module: MeansWhatTheTableSays(_bank(module)),
        (),
        "setting.",
    ),
    "a beat with a long run passes": (
        health,
        "failed = self.repetition_failed | self.proportion_failed | too_long | too_frequent",
        "failed = self.repetition_failed | self.proportion_failed | too_frequent",
        lambda module: PassesWhatIsGood(module.HealthTests(sample_bits=1)),
        COMPARISONS,
        "what comes out has passed, and what passed comes out",
    ),
    "a word follows the failure": (
        entropy,
        "give.eq(Mux(mode == Source.DIRECT, full, expander.o.valid) & ~erase)",
        "give.eq(Mux(mode == Source.DIRECT, full, expander.o.valid))",
        lambda module: StopsAtOnce(_entropy(module)),
        COMPARISONS,
        "nothing new is offered of what was given up",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_is_found(mistake: str) -> None:
    module, right, wrong, make, cut, broken = MISTAKES[mistake]
    verdict = prove(make(with_a_mistake(module, right, wrong)), depth=24, cut=cut, search_seconds=20)
    assert verdict.outcome is Outcome.REFUTED, str(verdict)
    assert any(text.startswith(broken) for text in verdict.broken), str(verdict)
