"""The entropy source in Amaranth: health tests, ChaCha20, and the choice between them."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.bank import register_port
from ...axi.stream import unsigned_words
from .chacha20.core import WORD_BITS, Expander
from .chacha20.model import BLOCK_WORDS, KEY_WORDS
from .health.core import HealthTests
from .health.model import BEAT_BITS
from .registers import REGISTERS, Source

BLOCK_BITS = WORD_BITS * BLOCK_WORDS
KEY_BITS = WORD_BITS * KEY_WORDS


class Entropy(wiring.Component):
    """Random words for the modulation, from a quantum random number generator or expanded by ChaCha20.

    ``source.mode`` says from where, see ``registers.Source``. The incoming stream is tested in every mode but OFF. In
    those that need it a failed test stops the output, erases keys and gathered samples, and lasts until the host writes
    ``source``. What already stood at the output may still be taken, as AXI demands: one beat, from before the failure.

    Keys: the host's take effect at the next block; a key of the stream waits until the one in use is spent and is XORed
    onto it, so that it is unknown to anyone who lacks one of the two. The nonce is (instance, epoch): the epoch counts
    keys since configuration and is the one register that reset leaves alone, so that no keystream comes twice even if
    a key does. Keystream is never rewound: what a consumer throws away is lost.

    Throughput: 512 R / 20 bits per clock for R rounds per clock, in words of :attr:`word_bits`; R = 2: 51.2 of 64,
    R = 4: 102.4 of 128, R = 10: 256, R = 20: 512. A complex symbol takes 64. In mode DIRECT what the stream gives, up
    to 64. Latency from a key to its first word: ``Expander.latency`` and the output register's one clock.

    Args:
        rounds_per_clock: R of ChaCha20, 2, 4, 10 or 20.
        sample_bits: width of the stream's samples, 1, 2, 4, 8 or 16.

    Members:
        i: the stream: 64 bits per clock, the oldest sample lowest. ``last`` has no meaning.
        o: random words of 32 bits, the oldest lowest. ``last`` marks every 512th bit.
        fault: the output cannot be trusted to be random, or pauses for want of entropy: a frame with it is no key.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: rounds per clock or sample width out of range.
    """

    registers = REGISTERS

    def __init__(self, *, rounds_per_clock: int, sample_bits: int) -> None:
        self.expander = Expander(rounds_per_clock=rounds_per_clock)
        self.health = HealthTests(sample_bits=sample_bits)
        bits_per_clock = BLOCK_BITS // self.expander.clocks_per_block
        self.word_bits = 1 << (bits_per_clock - 1).bit_length()
        super().__init__(
            {
                "i": In(stream.Signature(unsigned_words(self.health.samples, sample_bits))),
                "o": Out(stream.Signature(unsigned_words(self.word_bits // WORD_BITS, WORD_BITS))),
                "fault": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port, mode = self.port, self.port.source.mode
        restart = port.source.written
        taking = Signal()
        stopped = Signal()
        erase = Signal()
        m.submodules.health = ResetInserter(restart)(self.health)
        m.submodules.expander = ResetInserter(erase)(self.expander)
        health, expander = self.health, self.expander
        failed = health.repetition_failed | health.proportion_failed
        m.d.comb += [
            stopped.eq(failed & ((mode == Source.STREAM) | (mode == Source.DIRECT))),
            erase.eq(restart | stopped),
            taking.eq((mode != Source.OFF) & ~restart),
            health.i.valid.eq(self.i.valid & taking),
            self.i.ready.eq(health.i.ready & taking),
            health.i.payload.eq(self.i.payload.words),
            health.repetition_cutoff.eq(port.repetition.cutoff),
            health.proportion_cutoff.eq(port.proportion.cutoff),
            port.control.keyed.eq(expander.keyed),
            port.control.started.eq(health.started),
            port.control.stopped.eq(stopped),
            port.status.repetition_failed.eq(health.repetition_failed),
            port.status.proportion_failed.eq(health.proportion_failed),
            port.capabilities.rounds_per_clock.eq(expander.rounds_per_clock),
            port.capabilities.sample_bits.eq(health.sample_bits),
            port.capabilities.word_bits.eq(self.word_bits),
        ]
        gathered, full, taken = self._gather(m, erase)
        seed, seeding = self._stage_seed(m, erase)
        self._offer_keys(m, seed, seeding, gathered, full & (mode == Source.STREAM) & ~stopped, taken)
        self._give_words(m, erase, gathered, full & (mode == Source.DIRECT), taken)
        return m

    def _gather(self, m: Module, erase: Value) -> tuple[Signal, Signal, Signal]:
        """Collect beats of the stream to a key or to an output word. Returns them, whether complete, and `taken`.

        `taken` is driven by who takes them, in the same clock.
        """
        health, mode = self.health, self.port.source.mode
        beats_per_word, beats_per_key = self.word_bits // BEAT_BITS, KEY_BITS // BEAT_BITS
        places = max(beats_per_word, beats_per_key)  # a power of two
        gathered = Signal(places * BEAT_BITS)
        count = Signal(range(places + 1))
        full = Signal()
        taken = Signal()
        m.d.comb += [
            full.eq(count == Mux(mode == Source.STREAM, beats_per_key, beats_per_word)),
            health.o.ready.eq((mode == Source.HOST) | ~full | taken),
        ]
        with m.If(taken):
            m.d.sync += gathered.eq(0), count.eq(0)
        with m.If(health.o.valid & health.o.ready & (mode != Source.HOST)):
            position = Mux(taken, 0, count[: exact_log2(places)])
            m.d.sync += gathered.word_select(position, BEAT_BITS).eq(health.o.payload), count.eq(position + 1)
        with m.If(erase):
            m.d.sync += gathered.eq(0), count.eq(0)
        return gathered, full, taken

    def _stage_seed(self, m: Module, erase: Value) -> tuple[Signal, Signal]:
        """The host's key until it is in use: the last eight words, and whether they are offered to the expander."""
        port, mode = self.port, self.port.source.mode
        seed = Signal(KEY_BITS)
        count = Signal(range(KEY_WORDS + 1))
        seeding = Signal()
        start = port.control.seed.start
        may = (count == KEY_WORDS) & ((mode == Source.HOST) | (mode == Source.STREAM)) & ~seeding & ~erase
        m.d.comb += [
            port.control.seed.busy.eq(seeding),
            port.status.key_refused.eq((start & ~may) | (port.key.written & seeding)),
        ]
        with m.If(port.key.written & ~seeding):
            m.d.sync += (
                seed.eq(Cat(seed[WORD_BITS:], port.key.word)),
                count.eq(Mux(count == KEY_WORDS, count, count + 1)),
            )
        with m.If(start & may):
            m.d.sync += seeding.eq(1)
        with m.If(erase | (seeding & self.expander.key.ready)):
            m.d.sync += seed.eq(0), count.eq(0), seeding.eq(0)
        return seed, seeding

    def _offer_keys(self, m: Module, seed: Value, seeding: Value, gathered: Value, full: Value, taken: Signal) -> None:
        """Hand keys to the expander, the host's before the stream's, each with a nonce of its own."""
        key = self.expander.key
        epoch = Signal(2 * WORD_BITS, reset_less=True)
        key_words = Mux(seeding, seed, gathered[:KEY_BITS])
        m.d.comb += [
            key.valid.eq(seeding | full),
            key.payload.words.eq(Cat(key_words, self.port.instance.number, epoch)),
            key.payload.replaces.eq(seeding),
            self.expander.limit.eq(self.port.blocks_per_key.count),
            self.port.epoch_low.count.eq(epoch[:WORD_BITS]),
            self.port.epoch_high.count.eq(epoch[WORD_BITS:]),
        ]
        with m.If(key.valid & key.ready):
            m.d.sync += epoch.eq(epoch + 1)
            with m.If(~seeding):
                m.d.comb += taken.eq(1)

    def _give_words(self, m: Module, erase: Value, gathered: Value, full: Value, taken: Signal) -> None:
        """The output register, from the expander's block in beats or from gathered samples."""
        expander, mode, o = self.expander, self.port.source.mode, self.o
        beats = BLOCK_BITS // self.word_bits
        beat = Signal(range(beats))
        give = Signal()
        load = Signal()
        last = Signal()
        given = Signal()
        m.d.comb += [
            last.eq(beat == beats - 1),
            give.eq(Mux(mode == Source.DIRECT, full, expander.o.valid) & ~erase),
            load.eq(~o.valid | o.ready),
        ]
        with m.If(load):
            m.d.sync += o.valid.eq(give)
            with m.If(give):
                m.d.sync += [
                    o.payload.words.eq(
                        Mux(
                            mode == Source.DIRECT,
                            gathered[: self.word_bits],
                            Value.cast(expander.o.payload).word_select(beat, self.word_bits),
                        )
                    ),
                    o.payload.last.eq(last),
                    beat.eq(beat + 1),
                    given.eq(1),
                ]
                with m.If(mode == Source.DIRECT):
                    m.d.comb += taken.eq(1)
                with m.Else():
                    m.d.comb += expander.o.ready.eq(last)
        with m.If(erase):
            m.d.sync += beat.eq(0), given.eq(0)

        # Starved: words have come since the start, another is wanted, and none can be made.
        dry = Mux(mode == Source.DIRECT, 1, expander.dry)
        m.d.comb += self.port.status.starved.eq(given & dry & o.ready & ~o.valid & ~erase)
        m.d.comb += self.fault.eq(erase | self.port.status.starved)
