"""Registers of the entropy source.

The host writes the cut-offs and ``blocks_per_key``, then ``source``, which erases everything and begins anew. For a
host's key it then writes ``key`` eight times, word 0 first, and CONTROL.seed. After a failed health test nothing comes
out until ``source`` is written again.
"""

from __future__ import annotations

from enum import IntEnum

from ...axi.registers import Access, Field, Register, RegisterMap, head


class Source(IntEnum):
    """Where random words come from: the values of ``source.mode``."""

    OFF = 0
    """Nowhere: no word comes out, no sample is taken."""
    HOST = 1
    """ChaCha20 with the host's keys. The stream is tested and thrown away."""
    STREAM = 2
    """ChaCha20 with keys from the stream, each XORed onto the one before it; the host may give the first."""
    DIRECT = 3
    """The stream itself."""


REGISTERS = RegisterMap(
    "entropy",
    (
        *head(
            "KBEN",
            (1, 0),
            capabilities=(
                Field("rounds_per_clock", 0, 8, Access.READ, "Of ChaCha20: 512 / 20 bits per clock for each."),
                Field("sample_bits", 8, 8, Access.READ, "Width of a sample of the stream.", unit="bit"),
                Field("word_bits", 16, 16, Access.READ, "Width of the output.", unit="bit"),
            ),
            control=(
                Field("seed", 0, 1, Access.COMMAND, "Use the eight words in `key` from the next block on."),
                Field("keyed", 8, 1, Access.READ, "ChaCha20 has a key."),
                Field("started", 9, 1, Access.READ, "The stream's start-up test is over."),
                Field(
                    "stopped", 10, 1, Access.READ, "The stream is needed and failed: nothing until `source` is written."
                ),
            ),
            status=(
                Field(
                    "repetition_failed", 0, 1, Access.STICKY, "Repetition count test; lasts until `source` is written."
                ),
                Field("proportion_failed", 1, 1, Access.STICKY, "Adaptive proportion test; lasts likewise."),
                Field("starved", 2, 1, Access.STICKY, "Words were wanted, and there was no key or no sample for them."),
                Field(
                    "key_refused",
                    3,
                    1,
                    Access.STICKY,
                    "`seed` without eight words, in a mode that takes none or while stopped; `key` while `seed` waits.",
                ),
            ),
        ),
        Register(
            "source",
            0x14,
            "A write erases keys, samples and failures, and begins with the start-up test.",
            (Field("mode", 0, 2, Access.READ_WRITE, "0 off, 1 host, 2 stream, 3 direct."),),
        ),
        Register(
            "key",
            0x18,
            "The last eight words count, word 0 first. Erased by `seed`, by `source` and by reset.",
            (Field("word", 0, 32, Access.WRITE_ONLY, "Little-endian word of the 256-bit key."),),
        ),
        Register(
            "instance",
            0x1C,
            "First word of the nonce; the other two are `epoch`.",
            (Field("number", 0, 32, Access.READ_WRITE, "Of this core: instances that share a key must differ in it."),),
        ),
        Register(
            "blocks_per_key",
            0x20,
            "Life of a key.",
            (Field("count", 0, 32, Access.READ_WRITE, "Blocks of 64 bytes; 0 stands for 2**32.", unit="block"),),
        ),
        Register(
            "repetition",
            0x24,
            "Repetition count test.",
            (Field("cutoff", 0, 16, Access.READ_WRITE, "Equal samples in a row that fail.", unit="sample"),),
        ),
        Register(
            "proportion",
            0x28,
            "Adaptive proportion test.",
            (Field("cutoff", 0, 16, Access.READ_WRITE, "Equal samples in a window that fail.", unit="sample"),),
        ),
        Register(
            "epoch_low",
            0x2C,
            "Keys taken since the device was configured. Reset does not set it back: no nonce comes twice.",
            (Field("count", 0, 32, Access.READ, "Low word.", unit="key"),),
        ),
        Register(
            "epoch_high", 0x30, "Likewise.", (Field("count", 0, 32, Access.READ, "High word.", unit="2**32 keys"),)
        ),
    ),
)
"""The entropy source."""
