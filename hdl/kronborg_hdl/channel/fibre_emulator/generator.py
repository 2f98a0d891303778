"""The emulator's random generators in Amaranth; ``generator_model`` has their mathematics, seeds and periods."""

from __future__ import annotations

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.registers import WORD_BITS
from ...axi.stream import unsigned_words
from .generator_model import SIGN_LAG, SIGN_TAP, SIGN_WORDS, STATE_BITS, STATE_WORDS, seed_words

_WORD = STATE_BITS // STATE_WORDS


class Generators(wiring.Component):
    """Signs of a walk, and words of uniform bits: one xoshiro256++ for each word of a clock.

    Not for keys: whoever sees a few words knows all others.

    Structure: all states are one chain, through which the host shifts the seed, 32 bits at a time. The two additions of
    xoshiro have a register each; its state does not wait for them.

    Resources: 128 + 256 G registers for the states, two adders of 64 bits for each generator. No memory, no multiplier.

    Throughput: a beat of words per clock. The first comes two clocks after `run`.

    Args:
        words_per_clock: G, generators.
        seed: of the states after reset.

    Members:
        seed: a word of the seed, taken with `seed_written`; what was made before it is thrown away.
        seed_written: for one clock.
        run: words are made; only when no seed is written.
        advance: the sign of this clock is used.
        sign: of this clock: one for up.
        o: words; ``last`` is low.
    """

    def __init__(self, *, words_per_clock: int, seed: int = 1) -> None:
        self.words_per_clock = words_per_clock
        words = seed_words(seed, words_per_clock)
        self._init = sum(word << WORD_BITS * place for place, word in enumerate(words.tolist()))
        super().__init__(
            {
                "seed": In(WORD_BITS),
                "seed_written": In(1),
                "run": In(1),
                "advance": In(1),
                "sign": Out(1),
                "o": Out(stream.Signature(unsigned_words(words_per_clock, _WORD))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        chain = Signal(SIGN_WORDS * WORD_BITS + STATE_BITS * self.words_per_clock, init=self._init)
        signs, states = chain[: SIGN_WORDS * WORD_BITS], chain[SIGN_WORDS * WORD_BITS :]
        lag = signs[:SIGN_LAG]
        made, valid, step = Signal(), Signal(), Signal()
        m.d.comb += [
            self.sign.eq(lag[0] ^ lag[SIGN_LAG - SIGN_TAP]),
            self.o.valid.eq(valid),
            step.eq(self.run & (~valid | self.o.ready)),
        ]
        with m.If(self.advance):
            m.d.sync += lag.eq(Cat(lag[1:], self.sign))
        with m.If(self.o.ready):
            m.d.sync += valid.eq(0)
        with m.If(step):
            m.d.sync += made.eq(1), valid.eq(made)
        for number in range(self.words_per_clock):
            state = states[number * STATE_BITS :][:STATE_BITS]
            self._generate(m, number, state, step)
        with m.If(self.seed_written):
            m.d.sync += chain.eq(Cat(chain[WORD_BITS:], self.seed)), made.eq(0), valid.eq(0)
        return m

    def _generate(self, m: Module, number: int, state: Value, step: Value) -> None:
        """One xoshiro256++: its next state, and its word in two steps."""
        s0, s1, s2, s3 = (state.word_select(place, _WORD) for place in range(STATE_WORDS))
        total, before = Signal(_WORD, name=f"total_{number}"), Signal(_WORD, name=f"before_{number}")
        with m.If(step):
            m.d.sync += [
                state.eq(Cat(s0 ^ s3 ^ s1, s1 ^ s2 ^ s0, s2 ^ s0 ^ (s1 << 17)[:_WORD], (s3 ^ s1).rotate_left(45))),
                total.eq(s0 + s3),
                before.eq(s0),
                self.o.payload.words[number].eq(total.rotate_left(23) + before),
            ]
