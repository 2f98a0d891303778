"""Memories that are mapped to block RAMs hold what memories hold, in each width that a block RAM has."""

from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib.memory import Memory

from kronborg_sim.rtl.model import RtlModel
from kronborg_sim.rtl.netlist import netlist_of

CLOCKS = 3000
SIZES = [(72, 512), (36, 512), (36, 1024), (18, 1024), (18, 2048), (9, 2048), (4, 4096), (2, 8192), (1, 16384)]
"""Bits of a word, and words; those of several bytes of nine bits are written byte by byte."""


def memories(rng: np.random.Generator) -> tuple[str, list[list[int]]]:
    """RTLIL of a memory of each size, and what they hold at the begin."""
    m = Module()
    m.domains.sync = sync = ClockDomain("sync")
    aclk, aresetn = Signal(), Signal()
    read_at, write_at, given = Signal(14), Signal(14), Signal(72)
    reads, writes = Signal(), Signal(8)
    m.d.comb += sync.clk.eq(aclk), sync.rst.eq(~aresetn)
    ports = {
        "aclk": aclk,
        "aresetn": aresetn,
        "read_at": read_at,
        "write_at": write_at,
        "given": given,
        "reads": reads,
        "writes": writes,
    }
    contents = []
    for number, (bits, words) in enumerate(SIZES):
        init = [int.from_bytes(rng.bytes(9), "little") % (1 << bits) for _ in range(words)]
        contents.append(init)
        memory = Memory(shape=bits, depth=words, init=init, attrs={"ram_style": "block", "syn_ramstyle": "block_ram"})
        m.submodules[f"memory_{number}"] = memory
        write = memory.write_port(granularity=9 if bits > 9 else None)
        read = memory.read_port()
        m.d.comb += [
            read.addr.eq(read_at),
            read.en.eq(reads),
            write.addr.eq(write_at),
            write.data.eq(given),
            write.en.eq(writes),
        ]
        ports[f"read_{number}"] = seen = Signal(bits)
        m.d.comb += seen.eq(read.data)
    return rtlil.convert(m, name="memories", ports={n: (s, None) for n, s in ports.items()}, emit_src=False), contents


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_block_rams_hold_what_memories_hold(family: str) -> None:
    rng = np.random.default_rng(1)
    hardware, contents = memories(rng)
    rtl: Any = RtlModel(netlist_of(hardware, "memories", family), "memories")
    expected = [rtl.get(f"read_{number}") for number in range(len(SIZES))]
    for _ in range(CLOCKS):
        # Few places, the last among them, so that what was written is read, at times in the same clock.
        read_at, write_at = (int(place) for place in rng.integers(-8, 8, 2) % 2**14)
        given, reads, writes = int.from_bytes(rng.bytes(9), "little"), int(rng.integers(2)), int(rng.integers(256))
        for port, value in (("read_at", read_at), ("write_at", write_at), ("given", given)):
            rtl.set(port, value)
        rtl.set("reads", reads)
        rtl.set("writes", writes)
        rtl.run(1)
        for number, (memory, (bits, words)) in enumerate(zip(contents, SIZES, strict=True)):
            if reads:
                expected[number] = memory[read_at % words]
            mask = sum(0x1FF << 9 * byte for byte in range(8) if writes >> byte & 1) if bits > 9 else -(writes & 1)
            held = memory[write_at % words]
            memory[write_at % words] = held & ~mask | given & mask & (1 << bits) - 1
            assert rtl.get(f"read_{number}") == expected[number], (bits, words)
