"""The ChaCha20 expander in Amaranth."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ....axi.stream import SkidBuffer
from ....dsp.pipeline import Pipeline
from .model import BLOCK_WORDS, COLUMNS, CONSTANTS, DIAGONALS, KEY_WORDS, NONCE_WORDS, ROUNDS, STEPS

ROUNDS_PER_CLOCK = (2, 4, 10, 20)
WORD = unsigned(32)
WORD_BITS = 32
BLOCK = data.ArrayLayout(WORD, BLOCK_WORDS)
KEY_AND_NONCE = data.ArrayLayout(WORD, KEY_WORDS + NONCE_WORDS)
OFFER = data.StructLayout({"words": KEY_AND_NONCE, "replaces": 1})
"""A key to come, its nonce above it. With `replaces` it takes the place of the key in use at once. Without, it waits
until that one has given all its blocks, and is XORed onto it."""


@dataclass(frozen=True)
class Tag:
    """What travels beside a block: whether there is one, whether its key is of odd number, and its counter."""

    valid: Value
    odd: Value
    counter: Value


class Expander(wiring.Component):
    """Keystream of ChaCha20 (RFC 8439): blocks of 512 bits, counters 0, 1, 2, ... of one key after another.

    Structure: `rounds_per_clock` rounds R are laid out as a pipeline with a register after every add-xor-rotate, 4 R of
    them, and one more at the entrance. It is closed to a ring, which a block passes C = 20 / R times. A block enters
    every C clocks. As the ring's length 4 R + 1 has no factor in common with C, the place that comes by in an entrance
    clock is always that of a block which has made its C passes: it leaves, and a new one takes its place. So there is
    no bookkeeping, and all adders work in every clock.

    Keys: one at the entrance and one at the exit, which takes over that of the entrance as soon as the last block of
    the key before has left: it is erased by that. So blocks of the old key finish while those of the new one have
    begun; there is no gap as long as a key gives at least 4 R + 2 blocks. A counter never begins again: a key is spent
    after `limit` blocks, 2**32 at most, and then nothing comes until there is another. All registers that ever held
    key, state or keystream are cleared by reset.

    Throughput: 512 R / 20 bits per clock. Latency: :attr:`latency` clocks from a key's acceptance to its first block.

    Resources: 16 R adders of 32 bits for the rounds and 16 for the final sum; 512 (4 R + 1) registers in the ring,
    2 x 352 for keys, 3 x 512 behind it. No multiplier, no block RAM.

    Source: Nir & Langley, RFC 8439 (2018), sections 2.1 to 2.4.

    Args:
        rounds_per_clock: R: 2, 4, 10 or 20.

    Members:
        key: keys to come, see :data:`OFFER`.
        limit: blocks that a key gives; 0 stands for 2**32.
        o: blocks, word 0 lowest.
        keyed: there is a key, spent or not.
        dry: the key is spent, all its blocks were taken, and no other followed.

    Raises:
        ValueError: not one of these rounds per clock.
    """

    def __init__(self, *, rounds_per_clock: int) -> None:
        if rounds_per_clock not in ROUNDS_PER_CLOCK:
            choice = ", ".join(map(str, ROUNDS_PER_CLOCK))
            raise ValueError(f"{rounds_per_clock} rounds per clock: must be one of {choice}")
        self.rounds_per_clock = rounds_per_clock
        self.clocks_per_block = ROUNDS // rounds_per_clock
        self.ring = len(STEPS) * rounds_per_clock + 1
        super().__init__(
            {
                "key": In(stream.Signature(OFFER)),
                "limit": In(WORD_BITS),
                "o": Out(stream.Signature(BLOCK)),
                "keyed": Out(1),
                "dry": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the acceptance of a first key to its first block at ``o``: at most, for the entrance may be shut.

        It opens every C clocks.
        """
        # Key; up to C - 1 clocks at the entrance; the ring, C times; final sum; skid buffer.
        return 1 + (self.clocks_per_block - 1) + self.clocks_per_block * self.ring + 2

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(BLOCK)
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The ring moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        is_open = self._entrance(m, pipeline)
        entering = Signal(KEY_AND_NONCE)
        leaving = Signal(KEY_AND_NONCE)
        leaves = Tag(Signal(), Signal(), Signal(WORD_BITS))
        enters = self._manage_keys(m, entering, leaving, pipeline.advance & is_open, leaves)

        entrance = [Signal(WORD, name=f"entrance_{n}") for n in range(BLOCK_WORDS)]
        valid = Signal()
        odd = Signal()
        counter = Signal(WORD_BITS, reset_less=True)  # no secret: may lie in shift registers, which have no reset
        state = self._rounds(pipeline, entrance)
        steps = self.ring - 1
        m.d.comb += [
            leaves.valid.eq(pipeline.history(valid, steps, reset=True)[-1]),
            leaves.odd.eq(pipeline.history(odd, steps, reset=True)[-1]),
            leaves.counter.eq(pipeline.history(counter, steps)[-1]),
        ]
        with m.If(pipeline.advance):
            for word, fresh, returning in zip(entrance, self._initial(entering, enters), state, strict=True):
                m.d.sync += word.eq(Mux(is_open, fresh, returning))
            m.d.sync += [
                valid.eq(Mux(is_open, enters.valid, leaves.valid)),
                odd.eq(Mux(is_open, enters.odd, leaves.odd)),
                counter.eq(Mux(is_open, enters.counter, leaves.counter)),
            ]

        for n, (word, initial) in enumerate(zip(state, self._initial(leaving, leaves), strict=True)):
            m.d.comb += skid.i.payload[n].eq(pipeline.register((word + initial)[:WORD_BITS], reset=True))
        m.d.comb += skid.i.valid.eq(pipeline.register(is_open & leaves.valid, reset=True))
        with m.If(skid.i.valid | self.o.valid):
            m.d.comb += self.dry.eq(0)
        return m

    def _entrance(self, m: Module, pipeline: Pipeline) -> Value:
        """High in the one of C steps in which a block enters the ring and another leaves it."""
        if self.clocks_per_block == 1:
            return Const(1)
        phase = Signal(range(self.clocks_per_block))
        with m.If(pipeline.advance):
            m.d.sync += phase.eq(Mux(phase == self.clocks_per_block - 1, 0, phase + 1))
        return phase == 0

    def _manage_keys(self, m: Module, entering: data.View, leaving: data.View, step: Value, leaves: Tag) -> Tag:
        """Take keys, erase them, and say which block enters the ring. `step` is high when one may."""
        odd = Signal()
        keyed = Signal()
        spent = Signal()
        counter = Signal(WORD_BITS)
        last_counter = Signal(WORD_BITS)
        # Blocks in the ring, by whether their key's number is odd: two keys at most have any.
        users = [Signal(range(self.ring + 1), name=f"users_{n}") for n in range(2)]
        left = [Signal(name=f"left_{n}") for n in range(2)]
        enter = Signal()
        ends = Signal()
        m.d.sync += last_counter.eq(self.limit - 1)
        m.d.comb += [
            enter.eq(step & keyed & ~spent),
            ends.eq(enter & (counter >= last_counter)),
            self.keyed.eq(keyed),
            self.dry.eq(spent & ~users[0].any() & ~users[1].any()),
        ]
        with m.If(enter):
            m.d.sync += counter.eq(counter + 1), spent.eq(ends)
        for n in range(2):
            m.d.comb += left[n].eq(step & leaves.valid & (leaves.odd == n))
            m.d.sync += users[n].eq(users[n] + (enter & (odd == n)) - left[n])
        before = Mux(odd, users[0], users[1])
        with m.If((before == 0) | ((before == 1) & Mux(odd, left[0], left[1]))):
            m.d.sync += leaving.eq(entering)

        offer = self.key.payload
        its_turn = Signal()
        m.d.comb += [
            its_turn.eq(~keyed | spent | ends | offer.replaces),
            self.key.ready.eq((before == 0) & its_turn),
        ]
        with m.If(self.key.valid & self.key.ready):
            m.d.sync += odd.eq(~odd), keyed.eq(1), spent.eq(0), counter.eq(0)
            m.d.sync += entering.eq(offer.words)
            with m.If(~offer.replaces):
                for word in range(KEY_WORDS):
                    m.d.sync += entering[word].eq(offer.words[word] ^ entering[word])
        return Tag(enter, odd, counter)

    def _initial(self, key: data.View, tag: Tag) -> list[Value]:
        """The state with which a block begins: constants, key, counter, nonce."""
        words = list(key)
        constants: list[Value] = [Const(int(word), WORD) for word in CONSTANTS]
        return [*constants, *words[:KEY_WORDS], tag.counter, *words[KEY_WORDS:]]

    def _rounds(self, pipeline: Pipeline, state: list[Value]) -> list[Value]:
        """R rounds, column and diagonal rounds in turn, with a register after each step of their quarter rounds."""
        for number in range(self.rounds_per_clock):
            for x, y, z, bits in STEPS:
                state = list(state)
                for quarter in DIAGONALS if number % 2 else COLUMNS:
                    a, b, c = quarter[x], quarter[y], quarter[z]
                    total = (state[a] + state[b])[:WORD_BITS]
                    state[a], state[c] = total, (state[c] ^ total).rotate_left(bits)
                state = [pipeline.register(word, WORD, reset=True) for word in state]
        return state
