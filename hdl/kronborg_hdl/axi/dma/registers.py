"""Registers of the DMA engine: offsets and bits of AXI DMA in simple mode (AMD PG021), so that its drivers drive it.

They do not begin with the head that other cores have: ``pynq.lib.DMA`` expects what is here.
"""

from __future__ import annotations

from ..registers import Access, Field, Register, RegisterMap

LENGTH_BITS = 27
"""Transfers of up to 2**27 - 1 bytes; a vendor's core stops a bit before."""
SEND, RECEIVE = 0x00, 0x30
"""Offsets of the two halves: from memory to the stream, and from the stream to memory."""


def _half(name: str, base: int, address: str, length: Field) -> tuple[Register, ...]:
    return (
        Register(
            f"{name}_control",
            base,
            "What the host orders.",
            (
                Field(
                    "run",
                    0,
                    1,
                    Access.READ_WRITE,
                    "The channel takes transfers. Without it, the one under way is given up.",
                ),
                Field("reset", 2, 1, Access.COMMAND, "Both channels give their transfers up and forget errors."),
                Field("interrupt_on_complete", 12, 1, Access.READ_WRITE, "A finished transfer raises the interrupt."),
                Field("interrupt_on_error", 14, 1, Access.READ_WRITE, "An error raises the interrupt."),
            ),
        ),
        Register(
            f"{name}_status",
            base + 0x04,
            "How it is.",
            (
                Field("halted", 0, 1, Access.READ, "The channel is stopped, by the host or by an error."),
                Field("idle", 1, 1, Access.READ, "The last transfer is finished, all of it in memory or taken."),
                Field("internal_error", 4, 1, Access.READ, "A length of zero, or a packet longer than its buffer."),
                Field("slave_error", 5, 1, Access.READ, "Memory answered with an error."),
                Field("decode_error", 6, 1, Access.READ, "There is nothing at the address."),
                Field("completed", 12, 1, Access.EXCHANGE, "A transfer has finished. Written: forget it."),
                Field("failed", 14, 1, Access.EXCHANGE, "An error has stopped the channel. Written: forget it."),
            ),
        ),
        Register(
            f"{name}_{address}",
            base + 0x18,
            "Where the buffer begins, a multiple of the width of memory.",
            (Field("low", 0, 32, Access.READ_WRITE, "Its lower bits.", unit="B"),),
        ),
        Register(
            f"{name}_{address}_high",
            base + 0x1C,
            "The same.",
            (Field("high", 0, 32, Access.READ_WRITE, "Its upper bits.", unit="B"),),
        ),
        Register(f"{name}_length", base + 0x28, "A write begins a transfer.", (length,)),
    )


REGISTERS = RegisterMap(
    "dma",
    (
        *_half(
            "send",
            SEND,
            "source",
            Field(
                "bytes",
                0,
                LENGTH_BITS,
                Access.EXCHANGE,
                "Written: length of the packet, whole beats of the stream. Read: the same.",
                unit="B",
            ),
        ),
        *_half(
            "receive",
            RECEIVE,
            "destination",
            Field(
                "bytes",
                0,
                LENGTH_BITS,
                Access.EXCHANGE,
                "Written: length of the buffer. Read: what of it the packet filled.",
                unit="B",
            ),
        ),
    ),
)
