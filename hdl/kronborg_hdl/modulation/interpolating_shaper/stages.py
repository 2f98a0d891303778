"""Stages of the interpolating shaper: the pulse at two samples a symbol, and a half-band that doubles the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.utils import exact_log2

from ...decimation.half_band.model import HalfBand
from ...dsp.arithmetic import drop_bits, round_last_bit, saturate, word_shape
from ...dsp.constant_sum import constant_sum, sum_steps
from ...dsp.formats import BASEBAND, SAMPLE, Format
from ...dsp.pipeline import Pipeline
from .model import GUARD_BITS

RAILS = ("i", "q")
SYMBOL = data.StructLayout({rail: word_shape(SAMPLE) for rail in RAILS})
IN_BLOCKS = {"ram_style": "block", "no_rw_check": 1}
"""Attributes of memories. Nothing is read in the clock in which its place is written: without a word of that Yosys adds
registers and choices, as many as a block RAM has outputs, for what was there before."""
Word = dict[str, Value]
"""A rail's value by its name."""


@dataclass(frozen=True)
class Samples:
    """What a stage is given, or gives.

    Attributes:
        words: of a beat, the oldest first.
        valid: there is a beat. Only the pipeline moves from one clock to the next: whoever counts needs `advance` too.
        period: clocks from a beat to the next; if it is not one, a beat is one word.
        clipped: of the words of the beat, those that did not fit; a bit for each word that can.
    """

    words: list[Word]
    valid: Value
    period: int
    clipped: list[Value]


def tree_steps(terms: int) -> int:
    """Steps in which so many terms are summed in pairs."""
    return max(0, terms - 1).bit_length()


def pulse_steps(span: int) -> int:
    """Steps from symbols to the words that :func:`pulse` makes of them."""
    # Line; pair; product; sums; shifter; rounding.
    return 3 + tree_steps(-(-span // 2)) + 2


def half_band_steps(half_band: HalfBand, *, shared: bool = False) -> int:
    """Steps from a word to those that :func:`interpolate` makes of it."""
    # Line; pair; sums; rounding. Q comes a step after I.
    return 2 + sum_steps(half_band.taps) + 1 + shared


def pulse(
    m: Module,
    pipeline: Pipeline,
    symbols: Sequence[Word],
    begins: Value,
    period: int,
    taps: Sequence[Value],
    shift: Value,
    to: Format,
) -> Samples:
    """Two samples a symbol, :func:`pulse_steps` later, by a symmetric filter of 2 K - 1 taps.

    Symbols that share a tap are added before they are multiplied: of the samples between symbols and of those on them
    together there are K products for each rail and symbol.

    Args:
        m: module of the core.
        pipeline: that moves the whole.
        symbols: of a beat.
        begins: there are symbols.
        period: clocks from a beat of symbols to the next; if it is not one, samples come one after the other.
        taps: c_0 ... c_(K-1), in the step in which products are made: two later.
        shift: bits to drop, in the step of the shifter: `pulse_steps` less two later.
        to: format of the samples.
    """
    span, count = len(taps), len(symbols)
    line = Pipeline(m, pipeline.advance & begins)
    lines = {rail: _latest_first(line, [symbol[rail] for symbol in symbols], count + span - 1) for rail in RAILS}
    kept = GUARD_BITS if to == BASEBAND else 0
    steps = tree_steps(-(-span // 2))

    def sample(number: int, half: int) -> tuple[Word, list[Value]]:
        back = count - 1 - number
        furthest = span - 1 - half
        word, clipped = {}, []
        for rail in RAILS:
            products = []
            for near in range(furthest // 2 + 1):
                pair = lines[rail][back + near]
                if near != furthest - near:
                    pair = pair + lines[rail][back + furthest - near]
                tap = taps[abs(2 * near + half - (span - 1))]
                products.append(pipeline.register(pipeline.register(pair) * tap))
            total = _sum(pipeline, products, steps, 2 * SAMPLE.width + (span - 1).bit_length())
            dropped = pipeline.register(drop_bits(total << kept, shift))
            fitting, overflow = saturate(round_last_bit(dropped), to)
            word[rail] = pipeline.register(fitting)
            clipped.append(pipeline.register(overflow))
        return word, clipped

    made = [sample(number, half) for number in range(count) for half in (0, 1)]
    return _in_turn(pipeline, made, begins, pulse_steps(span), period)


def shared_multipliers(span: int, period: int) -> int:
    """Multipliers of each rail in :func:`shared_pulse`."""
    return -(-_terms(span, 0) // (period // 2))


def shared_pulse_steps(span: int, period: int) -> int:
    """Steps from symbols to the words that :func:`shared_pulse` makes of them."""
    # Line; memory; pair (2); product; sums; their sum over clocks; shifter; rounding.
    gathering = period // 2 if period > 2 else 0
    return 5 + tree_steps(shared_multipliers(span, period)) + gathering + 2


def can_share(span: int, period: int) -> bool:
    """Whether :func:`shared_pulse` can be built: several clocks, and a line long enough for both of its halves."""
    return period > 1 and span >= 2 + shared_multipliers(span, period) * (period // 2)


def shared_place(m: Module, span: int, period: int, index: Value) -> tuple[Value, Value]:
    """Which multiplier of :func:`shared_pulse` has the tap of an index, and in which clock of a symbol."""
    twice = Signal(range(span))  # the nearer symbol's place, twice, and one for the sample on symbols
    m.d.comb += twice.eq(span - 1 - index)
    bits = exact_log2(period // 2)
    return twice[1 + bits :], Cat(twice[1 : 1 + bits], twice[0])


def shared_pulse(
    m: Module,
    pipeline: Pipeline,
    symbols: Sequence[Word],
    begins: Value,
    clock: Value,
    period: int,
    span: int,
    weights: Sequence[Value],
    shift: Value,
    to: Format,
) -> Samples:
    """What :func:`pulse` makes where symbols stand for several clocks, with that many times fewer multipliers.

    Each multiplier has one product of a sample's sum after the other: those of the sample between symbols in the first
    half of a symbol's clocks, those of the sample on them in the second.

    Symbols lie in a line of small memories, of which each has both rails of the symbols of one multiplier, the nearer
    ones or the farther ones of its pairs. What one reads goes on to the next, so that all of a side have one address.
    In symbol s, half h and clock c of it, with H = P / 2, multiplier g has symbols s - g H - c, in place s - c of a
    ring of 2 H, and s - (K - 1) + g H + c + h, in place s + c + h. In the next memory both are H places further. They
    are not reset: after it K - 1 symbols of zero must come, and weights be zero until then.

    Args:
        m, pipeline, symbols, begins, shift, to: as of :func:`pulse`; a beat is one symbol.
        clock: of its symbol, a step behind `begins`.
        period: clocks from a symbol to the next, 2 or more.
        span: K, the number of taps.
        weights: the tap of each multiplier, four steps behind `begins` in a symbol's first clock.
    """
    half_period = period // 2
    multipliers = shared_multipliers(span, period)
    steps = tree_steps(multipliers)
    flags = pipeline.history(begins, period + 5 + steps, reset=True)
    (symbol,) = symbols
    newest = Signal(range(period))
    with m.If(begins & pipeline.advance):
        m.d.sync += newest.eq(newest + 1)
    number, half = clock[: exact_log2(half_period)], clock[-1]
    at_near, at_far = Signal(range(period)), Signal(range(period))
    m.d.comb += at_near.eq(newest - number), at_far.eq(newest + number + half)
    next_near = pipeline.register(at_near + half_period, range(period))
    next_far = pipeline.register(at_far + half_period, range(period))

    def memory(name: str, place: Value, word: Value, enable: Value, at: Value) -> data.View[data.StructLayout]:
        m.submodules[name] = memory = Memory(shape=SYMBOL, depth=period, init=[], attrs=IN_BLOCKS)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += write.addr.eq(place), Value.cast(write.data).eq(word), write.en.eq(enable & pipeline.advance)
        m.d.comb += read.addr.eq(at)
        return pipeline.register(read.data, SYMBOL)

    # Passed on is what enters the next memory's symbols with the next symbol.
    near = [memory("near_0", newest + 1, Cat(symbol[rail] for rail in RAILS), begins, at_near)]
    while len(near) < multipliers:
        near.append(memory(f"near_{len(near)}", next_near, near[-1].as_value(), flags[1 + half_period], at_near))
    # The farther half of the line begins with what the nearer one reads of this age.
    place, clock_of = divmod(span - 2 - multipliers * half_period, half_period)
    far = [
        memory(f"far_{multipliers - 1}", newest + 1 + half_period, near[place].as_value(), flags[2 + clock_of], at_far)
    ]
    while len(far) < multipliers:
        far.insert(0, memory(f"far_{multipliers - 1 - len(far)}", next_far, far[0].as_value(), flags[3], at_far))
    # A symbol that has its tap alone: it lies in the middle of an odd number of them.
    alone_half = (span - 1) % 2
    alone, alone_number = divmod((span - 1 - alone_half) // 2, half_period)
    alone_now = flags[2 + alone_half * half_period + alone_number]

    kept = GUARD_BITS if to == BASEBAND else 0
    word, clipped = {}, []
    for rail in RAILS:
        products = []
        for multiplier, weight in enumerate(weights):
            other = far[multiplier][rail]
            if multiplier == alone:
                other = Mux(alone_now, 0, other)
            # The second register becomes part of the multiplier.
            pair = pipeline.history(near[multiplier][rail] + other, 2)[-1]
            products.append(pipeline.register(pair * weight))
        bits = 2 * SAMPLE.width + (span - 1).bit_length()
        total = _sum(pipeline, products, steps, bits)
        if half_period > 1:
            # The flags of the step in which a clock's sum is there.
            opens = flags[5 + steps] | flags[5 + steps + half_period]
            total = _gather(m, pipeline, total, opens, bits, rail)
        dropped = pipeline.register(drop_bits(total << kept, shift))
        fitting, overflow = saturate(round_last_bit(dropped), to)
        word[rail] = pipeline.register(fitting)
        clipped.append(pipeline.register(overflow))
    valid = pipeline.history(begins, shared_pulse_steps(span, period) + half_period, reset=True)
    first, second = valid[-1 - half_period], valid[-1]
    return Samples([word], first | second, half_period, clipped)


def _terms(span: int, half: int) -> int:
    """Products of the sample on a symbol (0), or between it and the next (1)."""
    return (span - 1 - half) // 2 + 1


def _gather(m: Module, pipeline: Pipeline, term: Value, opens: Value, bits: int, name: str) -> Value:
    """The sum of terms from the one on with which it opens, a step later."""
    total = Signal(signed(bits), name=f"total_{name}", reset_less=True)
    with m.If(pipeline.advance):
        m.d.sync += total.eq(Mux(opens, 0, total) + term)
    return total


def interpolate(
    m: Module, pipeline: Pipeline, samples: Samples, half_band: HalfBand, to: Format, *, shared: bool = False
) -> Samples:
    """Twice as many samples, :func:`half_band_steps` later: each as it is, and one between it and the next.

    Adders only: one for each pair that shares a tap, and a tree of them for the digits of the taps.

    Args:
        m: module of the core.
        pipeline: that moves the whole.
        samples: Q1.17.
        half_band: the filter.
        to: format of what comes out.
        shared: one set of adders has I in one clock and Q in the next; for a beat that has several.
    """
    reach, count = len(half_band.taps), len(samples.words)
    if shared:
        lines = {"in_turn": _rails_in_turn(m, pipeline, samples, 2 * reach)}
    else:
        line = Pipeline(m, pipeline.advance & samples.valid)
        lines = {
            rail: _latest_first(line, [word[rail] for word in samples.words], count + 2 * reach - 1) for rail in RAILS
        }
    drop = BASEBAND.fraction - to.fraction
    steps = sum_steps(half_band.taps)

    def fit(word: Value, fraction: int) -> tuple[Value, Value]:
        """Round away so many bits and saturate, a step later."""
        fitting, overflow = saturate(round_last_bit(word >> (fraction - 1)), to)
        return pipeline.register(fitting), pipeline.register(overflow)

    def pair_of_samples(number: int) -> list[tuple[Word, list[Value]]]:
        back = count - 1 - number
        on: tuple[Word, list[Value]] = ({}, [])
        between: tuple[Word, list[Value]] = ({}, [])
        for rail in lines:
            passed = pipeline.history(lines[rail][back + reach], 1 + steps)[-1]
            if drop:
                on[0][rail], overflow = fit(passed, drop)
                on[1].append(overflow)
            else:
                on[0][rail] = pipeline.register(passed)
            pairs = []
            for k, tap in enumerate(half_band.taps):
                pair = lines[rail][back + reach + k] + lines[rail][back + reach - 1 - k]
                pairs.append((pipeline.register(pair), 2 * -BASEBAND.minimum, tap))
            between[0][rail], overflow = fit(constant_sum(pipeline, pairs), half_band.fraction - 1 + drop)
            between[1].append(overflow)
        return [on, between]

    made = [sample for number in range(count) for sample in pair_of_samples(number)]
    if shared:
        # The second sample waits until it is its turn: what it was made of does not stand still.
        made = [
            _rails_together(pipeline, *sample, wait)
            for sample, wait in zip(made, (0, samples.period // 2), strict=True)
        ]
    steps = half_band_steps(half_band, shared=shared)
    return _in_turn(pipeline, made, samples.valid, steps, samples.period)


def _rails_in_turn(m: Module, pipeline: Pipeline, samples: Samples, length: int) -> list[Value]:
    """The words of a rail that came last, the latest first: of I in one step, of Q in the next."""
    (word,) = samples.words
    second = pipeline.register(samples.valid, reset=True)
    line = Pipeline(m, pipeline.advance & (samples.valid | second))
    row = Mux(second, pipeline.register(word["q"]), word["i"]).as_signed()
    return _latest_first(line, [row], 2 * length)[::2]


def _rails_together(pipeline: Pipeline, word: Word, clipped: list[Value], wait: int) -> tuple[Word, list[Value]]:
    """Both rails of a sample, of which I came a step ago, so many steps later; and whether each was clipped."""
    q, i = pipeline.history(word["in_turn"], wait + 1)[-2:]
    return {"i": i, "q": q}, [bit for each in clipped for bit in pipeline.history(each, wait + 1)[-2:]]


def _latest_first(line: Pipeline, words: list[Value], length: int) -> list[Value]:
    """The words that came last, the latest first.

    They are reset, unlike others: a frame's flushed tail leaves zeros here, and so must a reset within it.
    """
    beats = -(-length // len(words))
    histories = [line.history(word, beats, reset=True)[1:] for word in words[::-1]]
    return [history[beat] for beat in range(beats) for history in histories]


def _sum(pipeline: Pipeline, terms: list[Value], steps: int, bits: int) -> Value:
    """The sum of terms in pairs, so many steps later; `bits` hold it, and every part of it."""
    for _ in range(steps):
        pairs = [terms[n : n + 2] for n in range(0, len(terms), 2)]
        terms = [pipeline.register(sum(pair[1:], pair[0]), signed(min(bits, len(pair[0]) + 1))) for pair in pairs]
    return terms[0] if terms else Const(0, signed(bits))


def _in_turn(
    pipeline: Pipeline, made: list[tuple[Word, list[Value]]], valid: Value, steps: int, period: int
) -> Samples:
    """All samples in one beat; or, where their beat has more clocks, the first and then the second.

    What they are made of stands still in the meantime, and so do they.
    """
    now = pipeline.history(valid, steps, reset=True)[-1]
    if period == 1:
        return Samples([word for word, _ in made], now, 1, [bit for _, bits in made for bit in bits])
    (first, first_clipped), (second, second_clipped) = made
    later = pipeline.history(now, period // 2, reset=True)[-1]
    word = {rail: Mux(later, second[rail], first[rail]).as_signed() for rail in RAILS}
    clipped = [bit & later for bit in second_clipped] + [bit & ~later for bit in first_clipped]
    return Samples([word], now | later, period // 2, clipped)
