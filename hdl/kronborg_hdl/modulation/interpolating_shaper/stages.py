"""Stages of the interpolating shaper: the pulse at two samples a symbol, and a half-band that doubles the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth import Const, Module, Mux, Signal, Value, signed

from ...decimation.half_band.model import HalfBand
from ...dsp.arithmetic import drop_bits, round_last_bit, saturate
from ...dsp.constant_sum import constant_sum, sum_steps
from ...dsp.formats import BASEBAND, SAMPLE, Format
from ...dsp.pipeline import Pipeline
from .model import GUARD_BITS

RAILS = ("i", "q")
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


def half_band_steps(half_band: HalfBand) -> int:
    """Steps from a word to those that :func:`interpolate` makes of it."""
    # Line; pair; sums; rounding.
    return 2 + sum_steps(half_band.taps) + 1


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
    # Line; choice; pair; product; sums; their sum over clocks; shifter; rounding.
    gathering = period // 2 if period > 2 else 0
    return 4 + tree_steps(shared_multipliers(span, period)) + gathering + 2


def shared_pulse(
    m: Module,
    pipeline: Pipeline,
    symbols: Sequence[Word],
    begins: Value,
    period: int,
    taps: Sequence[Value],
    shift: Value,
    to: Format,
) -> Samples:
    """What :func:`pulse` makes where symbols stand for several clocks, with that many times fewer multipliers.

    Each multiplier has one product of a sample's sum after the other: those of the sample between symbols in the first
    half of a symbol's clocks, those of the sample on them in the second.

    Args:
        m, pipeline, symbols, begins, shift, to: as of :func:`pulse`; a beat is one symbol.
        period: clocks from a symbol to the next, 2 or more.
        taps: c_0 ... c_(K-1), from two steps later on, as long as the symbol stands.
    """
    span, half_period = len(taps), period // 2
    line = Pipeline(m, pipeline.advance & begins)
    (symbol,) = symbols
    lines = {rail: _latest_first(line, [symbol[rail]], span) for rail in RAILS}
    kept = GUARD_BITS if to == BASEBAND else 0
    multipliers = shared_multipliers(span, period)
    steps = tree_steps(multipliers)
    # In which clock of its symbol the choice is, the step behind, and so on to the sums.
    clocks = [pipeline.history(begins, 1 + clock + 3 + steps, reset=True)[1 + clock :] for clock in range(period)]
    chosen, paired = ([flags[step] for flags in clocks] for step in (0, 1))

    def term(multiplier: int, clock: int) -> tuple[int, int, int] | None:
        """Places of the two symbols that share a tap, and which tap; of a symbol alone the places are the same."""
        half, number = divmod(clock, half_period)
        near = multiplier * half_period + number
        if near >= _terms(span, half):
            return None
        far = span - 1 - half - near
        return near, far, abs(2 * near + half - (span - 1))

    terms = [[term(multiplier, clock) for clock in range(period)] for multiplier in range(multipliers)]
    weights = [
        pipeline.register(_choose(paired, [None if of is None else taps[of[2]] for of in row], SAMPLE.width))
        for row in terms
    ]
    word, clipped = {}, []
    for rail in RAILS:
        products = []
        for row, weight in zip(terms, weights, strict=True):
            near = [None if of is None else lines[rail][of[0]] for of in row]
            far = [None if of is None or of[0] == of[1] else lines[rail][of[1]] for of in row]
            pair = [pipeline.register(_choose(chosen, each, SAMPLE.width)) for each in (near, far)]
            products.append(pipeline.register(pipeline.register(pair[0] + pair[1]) * weight))
        bits = 2 * SAMPLE.width + (span - 1).bit_length()
        total = _sum(pipeline, products, steps, bits)
        if half_period > 1:
            # The flags of the step in which a clock's sum is there.
            opens = clocks[0][3 + steps] | clocks[half_period][3 + steps]
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


def _choose(flags: Sequence[Value], words: Sequence[Value | None], bits: int) -> Value:
    """The word whose flag is up; zero where there is none."""
    chosen: Value = Const(0, bits)
    for flag, word in zip(flags, words, strict=True):
        if word is not None:
            chosen = chosen | (word.as_unsigned() & flag.replicate(bits))
    return chosen.as_signed()


def _gather(m: Module, pipeline: Pipeline, term: Value, opens: Value, bits: int, name: str) -> Value:
    """The sum of terms from the one on with which it opens, a step later."""
    total = Signal(signed(bits), name=f"total_{name}", reset_less=True)
    with m.If(pipeline.advance):
        m.d.sync += total.eq(Mux(opens, 0, total) + term)
    return total


def interpolate(m: Module, pipeline: Pipeline, samples: Samples, half_band: HalfBand, to: Format) -> Samples:
    """Twice as many samples, :func:`half_band_steps` later: each as it is, and one between it and the next.

    Adders only: one for each pair that shares a tap, and a tree of them for the digits of the taps.

    Args:
        m: module of the core.
        pipeline: that moves the whole.
        samples: Q1.17.
        half_band: the filter.
        to: format of what comes out.
    """
    reach, count = len(half_band.taps), len(samples.words)
    line = Pipeline(m, pipeline.advance & samples.valid)
    lines = {rail: _latest_first(line, [word[rail] for word in samples.words], count + 2 * reach - 1) for rail in RAILS}
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
        for rail in RAILS:
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
    return _in_turn(pipeline, made, samples.valid, half_band_steps(half_band), samples.period)


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
