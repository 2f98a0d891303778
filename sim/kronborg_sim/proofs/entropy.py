"""Claims about the entropy source: what its tests do not pass does not come out."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover

from kronborg_hdl.axi.stream import SkidBuffer
from kronborg_hdl.dsp.pipeline import Pipeline
from kronborg_hdl.modulation.entropy.core import Entropy
from kronborg_hdl.modulation.entropy.health.core import HealthTests
from kronborg_hdl.modulation.entropy.health.model import BEAT_BITS, START_UP_SAMPLES

from .harness import Harness


class PassesWhatIsGood(Harness):
    """A beat comes out of the health tests, unchanged and in its turn, if it passed; and no other beat does.

    It passed if the start-up test was over before it came to be judged, and no test had failed by then, on this beat
    or on one before.

    Args:
        core: the health tests.
    """

    core: HealthTests

    def claim(self, m: Module) -> None:
        """See the class."""
        core, i, o = self.core, self.core.i, self.core.o
        m.submodules.skid = skid = SkidBuffer(BEAT_BITS)
        pipeline = Pipeline(m, ~o.valid | o.ready)
        m.d.comb += [
            skid.i.valid.eq(i.valid),
            skid.i.payload.eq(i.payload),
            skid.o.ready.eq(pipeline.advance),
            Assert(i.ready == skid.i.ready, "it is ready when it should be"),
        ]
        *_, judged, valid = pipeline.history(skid.o.valid, core.latency - 1, reset=True)
        beat = pipeline.history(skid.o.payload, core.latency - 1, reset=True)[-1]
        started = pipeline.register(core.started, reset=True)
        needed = START_UP_SAMPLES // core.samples
        tested = Signal(range(needed + 1))
        with m.If(pipeline.advance & judged & (tested != needed)):
            m.d.sync += tested.eq(tested + 1)
        failed = core.repetition_failed | core.proportion_failed
        m.d.comb += [
            Assert(core.started == (tested == needed), "the start-up test takes as many samples as it should"),
            Assert(o.valid == (valid & started & ~failed), "what comes out has passed, and what passed comes out"),
            Assert(~o.valid | (o.payload == beat), "a beat comes out in its turn, unchanged"),
            Cover(o.valid & ~o.ready & ~i.ready, "a good beat waits"),
            Cover(valid & started & failed, "a bad beat is dropped"),
        ]


class StopsAtOnce(Harness):
    """After a failed test, or a write to ``source``, no new word is offered; one that was offered may wait.

    Args:
        core: the entropy source.
    """

    core: Entropy

    def claim(self, m: Module) -> None:
        """See the class."""
        port, o = self.core.port, self.core.o
        erased, waits = Signal(), Signal()
        m.d.sync += erased.eq(port.control.stopped | port.source.written), waits.eq(o.valid & ~o.ready)
        m.d.comb += [
            Assert(~(erased & o.valid) | waits, "nothing new is offered of what was given up"),
            Cover(erased & o.valid, "an offer outlasts the failure"),
            Cover(erased & ~o.valid & self.core.fault, "the output falls silent"),
        ]
