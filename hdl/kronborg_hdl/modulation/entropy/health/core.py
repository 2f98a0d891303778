"""Continuous health tests of an entropy source in Amaranth."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ....axi.stream import SkidBuffer
from ....dsp.pipeline import Pipeline
from .model import BEAT_BITS, SAMPLE_BITS, START_UP_SAMPLES, window

CUTOFF_BITS = 16


@dataclass(frozen=True)
class Summary:
    """What is known of neighbouring samples. A "repeat" is a sample that equals the one before it.

    Attributes:
        samples: how many.
        head: repeats at their beginning, without a break.
        tail: repeats at their end, without a break.
        longest: the longest row of repeats in them.
        matches: samples that equal the first of their window.
    """

    samples: int
    head: Value
    tail: Value
    longest: Value
    matches: Value

    def joined(self, later: Summary) -> Summary:
        """The summary of these samples and the later ones."""
        middle = self.tail + later.head
        longest = Mux(self.longest > later.longest, self.longest, later.longest)
        return Summary(
            self.samples + later.samples,
            Mux(self.head == self.samples, self.samples + later.head, self.head),
            Mux(later.tail == later.samples, later.samples + self.tail, later.tail),
            Mux(middle > longest, middle, longest),
            self.matches + later.matches,
        )

    def delayed(self, pipeline: Pipeline) -> Summary:
        """The summary one step later."""
        shape = unsigned(self.samples.bit_length())
        values = (self.head, self.tail, self.longest, self.matches)
        return Summary(self.samples, *(pipeline.register(value, shape, reset=True) for value in values))


class HealthTests(wiring.Component):
    """Repetition count and adaptive proportion test of NIST SP 800-90B, at 64 bits per clock.

    Structure: equal neighbours and equality to the window's first sample are found for all samples of a beat at once;
    a tree joins them to one :class:`Summary` of the beat, a register at each level; two small state machines carry run
    and count from beat to beat. A beat travels beside its summary and leaves only if it and all before it are good.

    Start: after reset the tests see :data:`model.START_UP_SAMPLES` samples which are not given on. A failure lasts
    until reset; samples are still taken, and go nowhere.

    Throughput: one beat per clock. Latency: :attr:`latency` clocks.

    Source: Turan et al., NIST SP 800-90B (2018), sections 4.3 and 4.4.

    Args:
        sample_bits: width of a sample of the source: 1, 2, 4, 8 or 16.

    Members:
        i: beats of 64 bits, the oldest sample lowest.
        o: beats that passed.
        repetition_cutoff: see ``model.repetition_cutoff``; below 2 everything fails.
        proportion_cutoff: see ``model.proportion_cutoff``; below 2 everything fails.
        repetition_failed: a run was too long.
        proportion_failed: a sample was too frequent.
        started: the start-up test is over.

    Raises:
        ValueError: samples of another width.
    """

    def __init__(self, *, sample_bits: int) -> None:
        if sample_bits not in SAMPLE_BITS:
            raise ValueError(f"samples of {sample_bits} bits: must be one of {', '.join(map(str, SAMPLE_BITS))}")
        self.sample_bits = sample_bits
        self.samples = BEAT_BITS // sample_bits
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(BEAT_BITS))),
                "o": Out(stream.Signature(unsigned(BEAT_BITS))),
                "repetition_cutoff": In(CUTOFF_BITS),
                "proportion_cutoff": In(CUTOFF_BITS),
                "repetition_failed": Out(1),
                "proportion_failed": Out(1),
                "started": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to ``o`` when nothing pauses."""
        # Skid buffer; comparison; the tree; verdict.
        return 1 + 1 + exact_log2(self.samples) + 1

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(BEAT_BITS)
        wiring.connect(m, wiring.flipped(self.i), skid.i)
        pipeline = Pipeline(m, ~self.o.valid | self.o.ready)
        m.d.comb += skid.o.ready.eq(pipeline.advance)
        begins, summaries = self._compare(m, pipeline, skid.o)
        while len(summaries) > 1:
            summaries = [
                early.joined(late).delayed(pipeline)
                for early, late in zip(summaries[::2], summaries[1::2], strict=True)
            ]
        steps = self.latency - 2
        valid = pipeline.history(skid.o.valid, steps, reset=True)[-1]
        begins = pipeline.history(begins, steps, reset=True)[-1]
        beat = pipeline.history(skid.o.payload, steps, reset=True)[-1]
        good = self._judge(m, pipeline.advance & valid, begins, summaries[0])
        m.d.comb += self.o.valid.eq(pipeline.register(valid & good, reset=True))
        m.d.comb += self.o.payload.eq(pipeline.register(beat, reset=True))
        return m

    def _compare(self, m: Module, pipeline: Pipeline, beats: stream.Interface) -> tuple[Value, list[Summary]]:
        """Whether a beat begins a window, and a summary of each sample by itself."""
        samples = data.View(data.ArrayLayout(unsigned(self.sample_bits), self.samples), beats.payload)
        take = pipeline.advance & beats.valid
        beats_per_window = window(self.sample_bits) // self.samples
        number = Signal(range(beats_per_window))
        reference = Signal(self.sample_bits)
        previous = Signal(self.sample_bits)
        any_previous = Signal()
        begins, compared = number == 0, Mux(number == 0, samples[0], reference)
        with m.If(take):
            m.d.sync += [
                number.eq(Mux(number == beats_per_window - 1, 0, number + 1)),
                reference.eq(compared),
                previous.eq(samples[self.samples - 1]),
                any_previous.eq(1),
            ]
        summaries = []
        for n in range(self.samples):
            before = samples[n - 1] if n else previous
            repeat = (samples[n] == before) & (1 if n else any_previous)
            summaries.append(Summary(1, repeat, repeat, repeat, samples[n] == compared).delayed(pipeline))
        return begins, summaries

    def _judge(self, m: Module, take: Value, begins: Value, beat: Summary) -> Value:
        """Carry run and count from beat to beat. Returns whether a beat may go on."""
        carried = Signal(CUTOFF_BITS)
        count = Signal(CUTOFF_BITS)
        first, tail = carried + beat.head, carried + self.samples
        matches = Signal(CUTOFF_BITS)
        too_long = Signal()
        too_frequent = Signal()
        # Repeats that a run may not have. Both runs are compared at once: their maximum would come first otherwise.
        too_many = self.repetition_cutoff - 1
        m.d.comb += [
            matches.eq(Mux(begins, 0, count) + beat.matches),
            too_long.eq((first >= too_many) | (beat.longest >= too_many)),
            too_frequent.eq(matches >= self.proportion_cutoff),
        ]
        start_up_beats = START_UP_SAMPLES // self.samples
        tested = Signal(range(start_up_beats + 1))
        m.d.comb += self.started.eq(tested == start_up_beats)
        with m.If(take):
            saturated = Mux(tail[CUTOFF_BITS:].any(), (1 << CUTOFF_BITS) - 1, tail)
            m.d.sync += [
                carried.eq(Mux(beat.tail == self.samples, saturated, beat.tail)),
                count.eq(matches),
                tested.eq(tested + ~self.started),
                self.repetition_failed.eq(self.repetition_failed | too_long),
                self.proportion_failed.eq(self.proportion_failed | too_frequent),
            ]
        failed = self.repetition_failed | self.proportion_failed | too_long | too_frequent
        return self.started & ~failed
