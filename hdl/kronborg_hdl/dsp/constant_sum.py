"""Sums of words by constant weights, of adders only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth import Cat, Value, signed

from .pipeline import Pipeline


def signed_digits(weight: int) -> list[tuple[int, int]]:
    """The weight as a sum of powers of two with signs, no two of them next to each other: place and sign of each.

    The canonic signed digits; no other sum of this kind has fewer terms (Reitwieser, Binary Arithmetic, 1960).
    """
    digits = []
    place = 0
    while weight:
        if weight & 1:
            sign = 2 - (weight & 3)  # a one with a one above it is a minus one and a carry
            digits.append((place, sign))
            weight -= sign
        weight >>= 1
        place += 1
    return digits


def sum_steps(weights: Sequence[int]) -> int:
    """Steps that :func:`constant_sum` takes for words of these weights."""
    return (sum(len(signed_digits(weight)) for weight in weights) - 1).bit_length()


@dataclass(frozen=True)
class _Term:
    """``sign * word * 2**place``, and the largest magnitude that the word can have."""

    word: Value
    place: int
    sign: int
    bound: int


def constant_sum(pipeline: Pipeline, words: Sequence[tuple[Value, int, int]]) -> Value:
    """The exact sum of words by their weights, :func:`sum_steps` later.

    A word is taken for each digit of its weight; these are summed in pairs, neighbours in place first, so that sums
    stay narrow: what lies below the other summand's lowest bit passes by the adder. A register follows each adder.

    Args:
        pipeline: its registers.
        words: signed word, the largest magnitude that it can have, weight.

    Raises:
        ValueError: there is nothing to sum.
    """
    terms = [_Term(word, place, sign, bound) for word, bound, weight in words for place, sign in signed_digits(weight)]
    if not terms:
        raise ValueError("no word has a weight")
    terms.sort(key=lambda term: term.place)
    while len(terms) > 1:
        last = len(terms) == 2
        sums = [_add(pipeline, *terms[n : n + 2], last=last) for n in range(0, len(terms) - 1, 2)]
        if len(terms) % 2:
            left = terms[-1]
            sums.append(_Term(pipeline.register(left.word), left.place, left.sign, left.bound))
        terms = sums
    (total,) = terms
    placed = total.word << total.place
    return placed if total.sign > 0 else -placed


def _add(pipeline: Pipeline, low: _Term, high: _Term, *, last: bool) -> _Term:
    """The sum of two terms, a step later; the sign is of `low`, but in the `last` sum it is plus."""
    up = high.place - low.place
    bound = low.bound + (high.bound << up)
    shape = signed(bound.bit_length() + 1)
    above = low.word >> up
    if last and low.sign < 0 < high.sign:
        return _Term(pipeline.register((high.word << up) - low.word, shape), low.place, 1, bound)
    total = above + high.word if low.sign == high.sign else above - high.word
    return _Term(pipeline.register(Cat(low.word[:up], total).as_signed(), shape), low.place, low.sign, bound)
