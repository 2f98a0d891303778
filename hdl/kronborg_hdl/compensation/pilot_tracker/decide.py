"""What comes of a period of the pilots, in Amaranth: the model's decisions, once a period."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.stream import CLOCK, RETUNE
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate
from ...dsp.formats import Format
from ...dsp.nco import PHASE_BITS
from ..mixer.model import HOP_BITS, PILOTS
from .measure import OF_A_PILOT, SLOPE_BITS
from .model import (
    BEAT_FRACTION,
    BLOCK_LOG2,
    CLOCK_BITS,
    COUNTER_BITS,
    GAIN_BITS,
    HOPS_LOG2,
    LIFT,
    MAGNITUDE_BITS,
    SLOT_LOG2,
    TRIAL_BITS,
    Kind,
)
from .registers import AMBIGUITY_BITS, NEIGHBOURHOOD_BITS, PATIENCE_BITS

NUMBER_BITS = HOP_BITS - HOPS_LOG2
"""Sub-blocks are numbered as hops are."""
ESTIMATE_BITS = PHASE_BITS + BEAT_FRACTION
DEEPEST_SHIFT = 2 * (BLOCK_LOG2[1] - BLOCK_LOG2[0])

PERIOD = data.StructLayout({"kind": Kind, "beat": PHASE_BITS, "long": 1, "trial": TRIAL_BITS})
SETTINGS = data.StructLayout(
    {
        "threshold": MAGNITUDE_BITS,
        "two_pilots": 1,
        "start": PHASE_BITS,
        "step": PHASE_BITS,
        "last_trial": TRIAL_BITS,
        "slot_log2": 4,
        "neighbourhood": NEIGHBOURHOOD_BITS,
        "ambiguity": AMBIGUITY_BITS,
        "block_log2": 4,
        "gain": GAIN_BITS,
        "patience": PATIENCE_BITS,
    }
)
STATUS = data.StructLayout({"lost": 1, "slip": 1, "missing": 1, "ambiguous": 1})
COUNTS = data.StructLayout({name: COUNTER_BITS for name in ("slips", "losses", "missing", "ambiguous")})

STEPS = data.StructLayout(
    dict.fromkeys(("means", "levels", "compare", "record", "error", "move", "settle", "verdict", "launch", "emit"), 1)
)
"""A decision's clocks, in their order; the last one waits until what it gives is taken."""


def settings_as_written(port: Any) -> Value:
    """The registers' settings, each within its range."""

    def within(word: Value, limits: tuple[int, int]) -> Value:
        return Mux(word < limits[0], limits[0], Mux(word > limits[1], limits[1], word))

    trials = port.search.trials
    written = {
        "threshold": Mux(port.threshold.word == 0, 1, port.threshold.word),
        "two_pilots": port.mode.two_pilots,
        "start": port.start.word,
        "step": port.step.word,
        "last_trial": (trials - trials.any())[:TRIAL_BITS],
        "slot_log2": within(port.follow.slot_log2, SLOT_LOG2),
        "neighbourhood": port.search.neighbourhood,
        "ambiguity": port.search.ambiguity,
        "block_log2": within(port.follow.block_log2, BLOCK_LOG2),
        "gain": port.follow.gain,
        "patience": port.follow.patience,
    }
    return Cat(written[name][: field.width] for name, field in SETTINGS)


class Decide(wiring.Component):
    """The model's end of a period, a step of it in each clock.

    Args:
        halvings: half-band stages D.

    Members:
        settings: held while decisions are made.
        measured: of both pilots; stays from `done` until the next period ends.
        done: a pulse: a period is measured.
        ended, ended_first: that period, and the number of its first sub-block.
        now: the period after it, which is under way.
        begins: number of the first sub-block of the one after that.
        restart: begin from the settings; not while a decision is made.
        clear_counters: a pulse.
        retune, clock: commands and figures.
        waits: a command or a figure is not taken: hold the pilots.
        launch: a pulse: `period` is the one that was commanded.
        abandon: a pulse: `now` is of no interest.
        finished: a pulse: the decision is made, and taken.
        locked, beat, magnitudes, rate, best, second: for the registers.
        status, counts: events, and their counters.
    """

    def __init__(self, *, halvings: int) -> None:
        self.halvings = halvings
        super().__init__(
            {
                "settings": In(SETTINGS),
                "measured": In(data.ArrayLayout(OF_A_PILOT, PILOTS)),
                "done": In(1),
                "ended": In(PERIOD),
                "ended_first": In(NUMBER_BITS),
                "now": In(PERIOD),
                "begins": In(NUMBER_BITS),
                "restart": In(1),
                "clear_counters": In(1),
                "retune": Out(stream.Signature(RETUNE)),
                "clock": Out(stream.Signature(CLOCK)),
                "waits": Out(1),
                "launch": Out(1),
                "period": Out(PERIOD),
                "abandon": Out(1),
                "finished": Out(1),
                "locked": Out(1),
                "beat": Out(PHASE_BITS),
                "magnitudes": Out(data.ArrayLayout(unsigned(MAGNITUDE_BITS), PILOTS)),
                "rate": Out(signed(CLOCK_BITS)),
                "best": Out(MAGNITUDE_BITS),
                "second": Out(MAGNITUDE_BITS),
                "status": Out(STATUS),
                "counts": Out(COUNTS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        settings, measured, ended = self.settings, self.measured, self.ended
        # The model's state.
        plan, trial, trial_beat = Signal(Kind, init=Kind.IDLE), Signal(TRIAL_BITS), Signal(PHASE_BITS)
        best_trial, best_beat = Signal(TRIAL_BITS), Signal(PHASE_BITS)
        again = Signal(MAGNITUDE_BITS)
        estimate = Signal(ESTIMATE_BITS)
        bad_blocks = Signal(PATIENCE_BITS)
        # Between the steps.
        means = [Signal(MAGNITUDE_BITS, name=f"mean_{pilot}") for pilot in range(PILOTS)]
        levels = [Signal(MAGNITUDE_BITS, name=f"level_{pilot}") for pilot in range(PILOTS)]
        enough = Signal(PILOTS)
        strength, limit, distance = Signal(MAGNITUDE_BITS), Signal(MAGNITUDE_BITS), Signal(signed(TRIAL_BITS + 1))
        near, stronger, missing, ambiguous, good, impatient = (Signal() for _ in range(6))
        operand = Signal(signed(SLOPE_BITS + 1))
        difference = Signal.like(operand)
        dropped = Signal(signed(len(operand) + LIFT + 1))
        slope, target = Signal(signed(len(operand) + LIFT)), Signal(ESTIMATE_BITS)
        rate, off, move = Signal(signed(CLOCK_BITS)), Signal(signed(ESTIMATE_BITS)), Signal(signed(ESTIMATE_BITS + 1))
        slope_off, by = Signal.like(slope), Signal(signed(ESTIMATE_BITS))
        retune_due, clock_due = Signal(), Signal()
        slips = Signal(range(2 * (2 << BLOCK_LOG2[1])))

        shift = Signal(range(DEEPEST_SHIFT + self.halvings + 1))
        m.d.sync += shift.eq(((settings.block_log2 - BLOCK_LOG2[0]) << 1) + self.halvings)
        log2 = Mux(ended.long, settings.block_log2, settings.slot_log2)
        follows = (ended.kind == Kind.PULL) | (ended.kind == Kind.TRACK)
        is_last = ended.trial == settings.last_trial

        lost, searched_in_vain, found_two = (Signal(name=name) for name in ("lost", "in_vain", "found_two"))
        slipped = Signal.like(slips)
        anew = Signal()
        step = Signal(STEPS)
        finished = step.emit & ~self.waits
        m.d.sync += Value.cast(step).eq(Cat(self.done, Value.cast(step)))
        with m.If(step.emit & ~finished):
            m.d.sync += step.emit.eq(1)
        with m.If(step.means):
            for pilot in range(PILOTS):
                # A mean is no longer than what it is of.
                m.d.sync += means[pilot].eq(measured[pilot].total >> log2)
            m.d.sync += [
                operand.eq(measured[0].slope),
                difference.eq(measured[1].slope - measured[0].slope),
                distance.eq(ended.trial - best_trial),
                slips.eq(measured[0].slips + Mux(settings.two_pilots, measured[1].slips, 0)),
            ]
        with m.If(step.levels):
            least = Mux(self.locked, settings.threshold >> 1, settings.threshold)
            for level, mean in zip(levels, means, strict=True):
                m.d.sync += level.eq(Mux(mean >> 1 > least, mean >> 1, least))
            m.d.sync += [
                strength.eq(Mux(settings.two_pilots & (means[1] < means[0]), means[1], means[0])),
                near.eq((distance <= settings.neighbourhood) & (distance + settings.neighbourhood >= 0)),
                dropped.eq(drop_bits(operand << LIFT, shift)),
                operand.eq(difference),
            ]
        with m.If(step.compare):
            m.d.sync += [
                enough.eq(Cat(of.least >= level for of, level in zip(measured, levels, strict=True))),
                stronger.eq(
                    Mux(ended.kind == Kind.SEARCH, strength > self.best, strength > Mux(near, again, self.second))
                ),
                slope.eq(round_last_bit(dropped)),
                dropped.eq(drop_bits(operand << LIFT, shift)),
            ]
        with m.If(step.record):
            first = ended.trial == 0
            with m.If((ended.kind == Kind.SEARCH) & (first | stronger)):
                m.d.sync += self.best.eq(strength), best_trial.eq(ended.trial), best_beat.eq(ended.beat)
            with m.If(ended.kind == Kind.CHECK):
                with m.If(first):
                    m.d.sync += again.eq(Mux(near, strength, 0)), self.second.eq(Mux(near, 0, strength))
                with m.Elif(stronger & near):
                    m.d.sync += again.eq(strength)
                with m.Elif(stronger):
                    m.d.sync += self.second.eq(strength)
            m.d.sync += [
                good.eq(enough[0] & (enough[1] | ~settings.two_pilots)),
                target.eq((ended.beat << BEAT_FRACTION) + slope),
                slope_off.eq(round_last_bit(dropped)),
            ]
        with m.If(step.error):
            m.d.sync += [
                off.eq(target - estimate),
                rate.eq(saturate(slope_off, Format(CLOCK_BITS, 0))[0]),
                missing.eq((self.best < settings.threshold) | (again < settings.threshold)),
                limit.eq(self.best - (self.best >> settings.ambiguity)),
            ]
        with m.If(step.move):
            m.d.sync += [
                move.eq(drop_bits(off, Mux(ended.kind == Kind.TRACK, settings.gain, 0))),
                ambiguous.eq(self.second > limit),
            ]
        with m.If(step.settle):
            m.d.sync += by.eq(round_last_bit(move)), impatient.eq(bad_blocks >= settings.patience)
        with m.If(step.verdict):
            with m.If((ended.kind == Kind.CHECK) & is_last):
                m.d.comb += [
                    searched_in_vain.eq(missing),
                    found_two.eq(~missing & ambiguous),
                    anew.eq(missing | ambiguous),
                ]
                m.d.sync += plan.eq(Kind.PULL)
            with m.If(follows):
                m.d.sync += [
                    *(kept.eq(mean) for kept, mean in zip(self.magnitudes, means, strict=True)),
                    self.locked.eq(good & (self.locked | (ended.kind == Kind.TRACK))),
                ]
                m.d.comb += slipped.eq(Mux(self.locked, slips, 0)), lost.eq(self.locked & ~good)
                with m.If(good):
                    m.d.sync += [
                        estimate.eq(estimate + by),
                        bad_blocks.eq(0),
                        plan.eq(Kind.TRACK),
                    ]
                    with m.If(settings.two_pilots & (self.locked | (ended.kind == Kind.TRACK))):
                        m.d.sync += clock_due.eq(1), self.rate.eq(rate)
                with m.Elif(ended.kind == Kind.PULL):
                    m.d.comb += searched_in_vain.eq(1), anew.eq(1)
                with m.Elif(impatient):
                    m.d.sync += bad_blocks.eq(0)
                    m.d.comb += anew.eq(1)
                with m.Else():
                    m.d.sync += bad_blocks.eq(bad_blocks + 1)
            with m.If(anew):
                m.d.sync += plan.eq(Kind.SEARCH), trial.eq(0), trial_beat.eq(settings.start)
        with m.If(step.launch):
            m.d.sync += retune_due.eq(plan != Kind.IDLE), self.retune.payload.words.at.eq(self.begins << HOPS_LOG2)
            m.d.sync += self.retune.payload.words.beat.eq(self.period.beat)
            with m.If((plan == Kind.SEARCH) | (plan == Kind.CHECK)):
                m.d.sync += trial.eq(trial + 1), trial_beat.eq(trial_beat + settings.step)
                with m.If(trial == settings.last_trial):
                    m.d.sync += [
                        trial.eq(0),
                        trial_beat.eq(settings.start),
                        plan.eq(Mux(plan == Kind.SEARCH, Kind.CHECK, Kind.IDLE)),
                    ]
            m.d.comb += self.launch.eq(1)
        with m.If(step.emit):
            m.d.comb += [
                self.retune.valid.eq(retune_due),
                self.clock.valid.eq(clock_due),
                self.waits.eq((retune_due & ~self.retune.ready) | (clock_due & ~self.clock.ready)),
            ]
            with m.If(self.retune.ready):
                m.d.sync += retune_due.eq(0)
            with m.If(self.clock.ready):
                m.d.sync += clock_due.eq(0)

        with m.If(self.restart):
            m.d.sync += [
                plan.eq(Kind.SEARCH),
                trial.eq(0),
                bad_blocks.eq(0),
                self.locked.eq(0),
            ]
        # The settings are there a clock after the restart.
        restarted = Signal()
        m.d.sync += restarted.eq(self.restart)
        with m.If(restarted):
            m.d.sync += trial_beat.eq(settings.start)
        long = (plan == Kind.PULL) | (plan == Kind.TRACK)
        rounded = (estimate + (1 << (BEAT_FRACTION - 1))) >> BEAT_FRACTION
        m.d.comb += [
            self.beat.eq(estimate >> BEAT_FRACTION),
            self.abandon.eq(anew),
            self.finished.eq(finished),
            self.clock.payload.words.at.eq(self.ended_first << HOPS_LOG2),
            self.clock.payload.words.rate.eq(self.rate),
            self.period.kind.eq(plan),
            self.period.long.eq(long),
            self.period.trial.eq(Mux(long, 0, trial)),
        ]
        with m.Switch(plan):
            with m.Case(Kind.PULL):
                m.d.comb += self.period.beat.eq(best_beat)
            with m.Case(Kind.TRACK):
                m.d.comb += self.period.beat.eq(rounded)
            with m.Default():
                m.d.comb += self.period.beat.eq(trial_beat)
        self._count(m, lost, slipped, searched_in_vain, found_two)
        return m

    def _count(self, m: Module, lost: Value, slipped: Value, missing: Value, ambiguous: Value) -> None:
        """Counters and flags."""
        events = {"slips": slipped, "losses": lost, "missing": missing, "ambiguous": ambiguous}
        for name, event in events.items():
            m.d.comb += self.counts[name].eq(event_counter(m, COUNTER_BITS, event, self.clear_counters))
        m.d.comb += [
            self.status.lost.eq(lost),
            self.status.slip.eq(slipped.any()),
            self.status.missing.eq(missing),
            self.status.ambiguous.eq(ambiguous),
        ]
