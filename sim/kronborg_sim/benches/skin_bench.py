"""What every bench of a core in its AXI skin needs: clock, reset, streams with pauses, and registers by name."""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from numpy.typing import NDArray

from kronborg_hdl.axi.registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES, Access, RegisterMap

CLOCK_NS = 4


class SkinBench:
    """Drives a ``kronborg_hdl.axi.skin.Skin``.

    Args:
        dut: the simulated module.
        registers: its table.
        seed: of the pauses.
        idle: pause the source at random.
        back_pressure: pause the sink at random.
    """

    def __init__(
        self, dut: Any, registers: RegisterMap, *, seed: int = 1, idle: bool = False, back_pressure: bool = False
    ) -> None:
        self.dut = dut
        self.registers = registers
        cocotb.start_soon(Clock(dut.aclk, CLOCK_NS, unit="ns").start())
        dut.aresetn.value = 0
        # Without TKEEP the width of a beat cannot be read from the bus.
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(
            AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, byte_lanes=len(dut.s_axis_tdata) // 8, **reset
        )
        self.sink = AxiStreamSink(
            AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, byte_lanes=len(dut.m_axis_tdata) // 8, **reset
        )
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **reset)
        for part in (self.source, self.sink):  # they log every frame word by word
            part.log.setLevel("ERROR")
        self._random = random.Random(seed)
        self._back_pressure = back_pressure
        if idle:
            self.source.set_pause_generator(self._random.random() < 0.4 for _ in itertools.count())
        self.release_output()

    def hold_output(self) -> None:
        """Take nothing more from the core."""
        self.sink.clear_pause_generator()
        self.sink.pause = True

    def release_output(self) -> None:
        """Take its output, with the pauses that the bench was made with."""
        self.sink.pause = False
        if self._back_pressure:
            # Few enough clocks are left that a core which gives a word every fourth clock is held up as well.
            self.sink.set_pause_generator(self._random.random() < 0.85 for _ in itertools.count())

    def drain_output(self) -> None:
        """Take all that the core still has, without pauses."""
        self.sink.clear_pause_generator()
        self.sink.pause = False

    async def reset(self) -> None:
        """Reset the core, and forget what the streams still held."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        self.source.clear()
        self.sink.clear()
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    async def write(self, register: str, **values: int) -> None:
        """Write a register: fields by name, the others zero."""
        entry = self.registers[register]
        response = await self.bus.write(entry.offset, entry.word(**values).to_bytes(WORD_BYTES, "little"))
        assert response.resp == AxiResp.OKAY, f"writing {register} was answered {response.resp!r}"

    async def read_word(self, register: str) -> int:
        """Read a register."""
        response = await self.bus.read(self.registers[register].offset, WORD_BYTES)
        assert response.resp == AxiResp.OKAY, f"reading {register} was answered {response.resp!r}"
        return int.from_bytes(response.data, "little")

    async def read(self, register: str, field: str) -> int:
        """Read one field."""
        return self.registers[register][field].extract(await self.read_word(register))

    def send(self, words: NDArray[np.int16]) -> None:
        """Queue a frame: int16, shape (n, 2), whole beats."""
        assert words.size * 2 % self.source.byte_lanes == 0, "a frame is whole beats"
        self.source.send_nowait(AxiStreamFrame(words.astype("<i2").tobytes()))

    async def receive(self) -> NDArray[np.int16]:
        """The next frame: int16, shape (n, 2)."""
        frame = await self.sink.recv()
        return np.frombuffer(bytes(frame.tdata), "<i2").reshape(-1, 2).astype(np.int16)

    def watch(self, prefix: str) -> list[int]:
        """Numbers of the clocks in which beats are accepted on a stream, from now on: the list grows."""
        clocks: list[int] = []
        valid, ready = getattr(self.dut, f"{prefix}_tvalid"), getattr(self.dut, f"{prefix}_tready")

        async def count() -> None:
            while True:
                await RisingEdge(self.dut.aclk)
                if int(valid.value) and int(ready.value):
                    clocks.append(round(get_sim_time("ns") / CLOCK_NS))

        cocotb.start_soon(count())
        return clocks

    async def walk_registers(self) -> None:
        """Check every register and every hole of the page against the table, after a reset.

        Reset values; every bit that the host may write, alone and by byte strobe; that nothing else changes by writing;
        SLVERR where there is nothing, or nothing to write.
        """
        everything = (1 << WORD_BITS) - 1
        for register in self.registers.registers:
            fixed = sum(f.mask for f in register.fields if f.access in (Access.CONSTANT, Access.READ_WRITE))
            unused = everything & ~sum(f.mask for f in register.fields)
            before = await self.read_word(register.name)
            assert before & fixed == register.reset & fixed, f"{register.name} resets to {before:#x}"
            assert before & unused == 0, f"{register.name} has bits of no field"
            kept = sum(f.mask for f in register.fields if f.access is Access.READ_WRITE)
            commands = sum(f.mask for f in register.fields if f.access is Access.COMMAND)
            patterns = [everything & ~commands, 0, *(1 << bit for bit in range(WORD_BITS) if not commands >> bit & 1)]
            for pattern in patterns:
                response = await self.bus.write(register.offset, pattern.to_bytes(WORD_BYTES, "little"))
                assert response.resp == (AxiResp.OKAY if register.host_writes else AxiResp.SLVERR), register.name
                after = await self.read_word(register.name)
                assert after == (before & ~kept) | (pattern & kept), f"{register.name}: {pattern:#x} gave {after:#x}"
            for byte in range(WORD_BYTES):
                # The master drives bytes without strobe to zero: only from all ones does it show that they are kept.
                await self.bus.write(register.offset, (everything & ~commands).to_bytes(WORD_BYTES, "little"))
                await self.bus.write(register.offset + byte, b"\x00")
                after = await self.read_word(register.name)
                expected = (before & ~kept) | (kept & ~(0xFF << 8 * byte))
                assert after == expected, f"{register.name}: zero in byte {byte} gave {after:#x}"
            restore = (register.reset & kept).to_bytes(WORD_BYTES, "little")
            if register.host_writes:
                await self.bus.write(register.offset, restore)
        known = {register.offset for register in self.registers.registers}
        top = 1 << ADDRESS_BITS
        holes = [
            at for at in (*range(0, 0x80, 4), *(1 << bit for bit in range(7, ADDRESS_BITS)), top - 4) if at not in known
        ]
        for offset in holes:
            assert (await self.bus.read(offset, WORD_BYTES)).resp == AxiResp.SLVERR, f"hole {offset:#x} answers a read"
            assert (await self.bus.write(offset, bytes(WORD_BYTES))).resp == AxiResp.SLVERR, f"hole {offset:#x}"
