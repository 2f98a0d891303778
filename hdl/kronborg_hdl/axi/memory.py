"""AXI4 to memory, as a DMA engine uses it: bursts that count up, one identifier, zero."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

BURST_BEATS = 16
"""The longest burst that the AXI3 ports of a Zynq-7000 take too."""
INCREMENTING = 0b01
NORMAL_BUFFERABLE = 0b0011
UNPRIVILEGED_DATA = 0b000
OKAY, SLVERR, DECERR = 0b00, 0b10, 0b11

_LENGTH_BITS = 8
_CONSTANTS = {"id": 1, "size": 3, "burst": 2, "cache": 4, "prot": 3}


def _address(channel: str, address_bits: int) -> dict[str, wiring.Member]:
    fields = {"addr": address_bits, "len": _LENGTH_BITS, **_CONSTANTS}
    return {
        **{f"{channel}{name}": Out(bits) for name, bits in fields.items()},
        f"{channel}valid": Out(1),
        f"{channel}ready": In(1),
    }


def axi4_read(address_bits: int, data_bits: int) -> wiring.Signature:
    """The read channels of AXI4 as the master has them."""
    return wiring.Signature(
        {
            **_address("ar", address_bits),
            "rid": In(1),
            "rdata": In(data_bits),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def axi4_write(address_bits: int, data_bits: int) -> wiring.Signature:
    """The write channels of AXI4 as the master has them."""
    return wiring.Signature(
        {
            **_address("aw", address_bits),
            "wdata": Out(data_bits),
            "wstrb": Out(data_bits // 8),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
        }
    )


def axi4(address_bits: int, data_bits: int) -> wiring.Signature:
    """All channels of AXI4 as the master has them."""
    return wiring.Signature(
        {**axi4_read(address_bits, data_bits).members, **axi4_write(address_bits, data_bits).members}
    )
