"""Rounding and saturation in Amaranth: the same functions as in ``formats``, bit for bit.

Nothing here truncates or wraps unsaid: widths follow from the arguments.
"""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.hdl import ValueLike

from .formats import Format


def drop_bits(word: ValueLike, shift: ValueLike) -> Value:
    """First half of a rounding shift: the signed word shifted right by `shift`, with one bit kept below the point.

    Followed by :func:`round_last_bit` it equals ``formats.round_shift(word, shift)``; a register may stand between
    the two, so that neither the shifter nor the adder after it waits for the other.
    """
    value = Value.cast(word)
    return (value << 1) >> shift


def round_last_bit(word: ValueLike) -> Value:
    """Second half of a rounding shift: drop one bit, to nearest, ties towards plus infinity."""
    return (Value.cast(word) + 1) >> 1


def saturate(word: ValueLike, to: Format) -> tuple[Value, Value]:
    """Clip a signed word to the range of `to`: the clipped word (signed, of the format's width) and whether it was."""
    value = Value.cast(word)
    if len(value) <= to.width:
        raise ValueError(f"a word of {len(value)} bits always fits {to}: there is nothing to saturate")
    sign = value[-1]
    # The word fits when all bits above the format's sign bit repeat it.
    above = value[to.width - 1 :]
    overflow = above.any() & ~above.all()
    clipped = Cat((~sign).replicate(to.width - 1), sign)
    return Mux(overflow, clipped, value[: to.width]).as_signed(), overflow


def add_or_subtract(a: Value, b: Value, subtracts: Value) -> Value:
    """``a - b`` where `subtracts` is one, else ``a + b``, of two signed words: by one adder, not by two and a choice.

    The sum has as many bits as `a`: it must be known to fit.
    """
    changed = (b ^ subtracts.replicate(len(b)))[: len(b)]
    # One below the last bit, and where it subtracts another: so they carry.
    total = Cat(1, a).as_signed() + Cat(subtracts, changed).as_signed()
    return total[1 : len(a) + 1].as_signed()


def negate_where(negative: Value, word: Value) -> Value:
    """``-word`` where `negative` is one, else the signed word, in one more bit: by one adder without a choice."""
    return add_or_subtract(Const(0, signed(len(word) + 1)), word, negative)


def multiply_in_logic(word: ValueLike, factor: ValueLike) -> Value:
    """The exact product of two signed words as a sum of shifted words: a multiplier is too much for a few bits.

    A synthesiser may take a ``*`` of any width for a multiplier. The cost is an adder per bit of the factor.
    """
    value, weights = Value.cast(word), Value.cast(factor)
    terms = [Mux(bit, value << place, 0) for place, bit in enumerate(weights)]
    return (sum(terms[:-1], Const(0, signed(1))) - terms[-1])[: len(value) + len(weights)].as_signed()


def word_shape(of: Format) -> Shape:
    """The Amaranth shape of a format's words."""
    return Shape(of.width, signed=True)


def event_counter(m: Module, bits: int, increment: ValueLike, clear: ValueLike) -> Signal:
    """A counter that rises by `increment` every clock and stays at its largest value: it never starts over unsaid.

    What happens in the clock of `clear` is counted. Both act a clock later, so that the count's adder does not stand
    behind the logic that they come from.
    """
    count, rise, wipe = Signal(bits), Signal(Value.cast(increment).shape()), Signal()
    m.d.sync += rise.eq(increment), wipe.eq(clear)
    total = Mux(wipe, 0, count) + rise
    beyond = total[bits:].any()
    if len(rise) == 1:
        # One more than its largest value: as it is, it is that, and needs no choice.
        with m.If(~beyond):
            m.d.sync += count.eq(total)
    else:
        m.d.sync += count.eq(Mux(beyond, (1 << bits) - 1, total))
    return count
