"""What every bench of a core in its AXI skin needs: clock, reset, streams with pauses, and registers by name."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
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
from numpy.typing import DTypeLike, NDArray

from kronborg_hdl.axi.pages import PAGE_BYTES, PageMap
from kronborg_hdl.axi.registers import WORD_BITS, WORD_BYTES, Access, Register, RegisterMap

CLOCK_NS = 4
EVERY_BIT = (1 << WORD_BITS) - 1
SECRETS = 40
"""Random words that the walk writes to a register which must not keep them."""

RegisterName = str | tuple[str, str]
"""Of a register or, where there are pages, of page and register."""


def signals(scope: Any) -> Iterator[tuple[str, int, int]]:
    """Name, value and width of every signal in a scope and below."""
    for handle in scope:
        if isinstance(handle, HierarchyObject):
            yield from signals(handle)
        else:
            yield handle._path, int(handle.value), len(handle)


class SkinBench:
    """Drives a ``kronborg_hdl.axi.skin.Skin``. Streams have the names that they have in the core: ``i``, ``o``, ...

    Args:
        dut: the simulated module.
        registers: its table, or its pages.
        seed: of the pauses.
        idle: pause the sources at random.
        back_pressure: pause the sinks at random.

    Attributes:
        sources: what drives the streams that go in, by name.
        sinks: what takes from those that come out, by name.
        bus: master of the registers.
    """

    def __init__(
        self,
        dut: Any,
        registers: RegisterMap | PageMap,
        *,
        seed: int = 1,
        idle: bool = False,
        back_pressure: bool = False,
    ) -> None:
        self.dut = dut
        self.registers = registers
        cocotb.start_soon(Clock(dut.aclk, CLOCK_NS, unit="ns").start())
        dut.aresetn.value = 0
        self.sources: dict[str, AxiStreamSource] = self._streams("s_axis", "i", AxiStreamSource)
        self.sinks: dict[str, AxiStreamSink] = self._streams("m_axis", "o", AxiStreamSink)
        self.bus = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, reset=dut.aresetn, reset_active_level=False
        )
        self._random = random.Random(seed)
        self._back_pressure = back_pressure
        if idle:
            for source in self.sources.values():
                source.set_pause_generator(self._random.random() < 0.4 for _ in itertools.count())
        for name in self.sinks:
            self.release_output(name)

    def _streams(self, edge: str, main: str, kind: Any) -> dict[str, Any]:
        """Drivers of all streams of one direction: `main` has no name at the edge."""
        found = (re.fullmatch(f"({edge}(?:_(.*[^_]))?)_tvalid", handle._name) for handle in self.dut)
        streams = {}
        for prefix, name in (match.groups() for match in found if match):
            # Without TKEEP the width of a beat cannot be read from the bus.
            byte_lanes = len(getattr(self.dut, f"{prefix}_tdata")) // 8
            bus, reset = AxiStreamBus.from_prefix(self.dut, prefix), self.dut.aresetn
            driver = kind(bus, self.dut.aclk, byte_lanes=byte_lanes, reset=reset, reset_active_level=False)
            driver.log.setLevel("ERROR")  # it logs every frame word by word
            streams[name or main] = driver
        return streams

    @property
    def source(self) -> AxiStreamSource:
        """Of the stream ``i``."""
        return self.sources["i"]

    @property
    def sink(self) -> AxiStreamSink:
        """Of the stream ``o``."""
        return self.sinks["o"]

    def hold_output(self, name: str = "o") -> None:
        """Take nothing more from the core's stream."""
        self.sinks[name].clear_pause_generator()
        self.sinks[name].pause = True

    def release_output(self, name: str = "o") -> None:
        """Take its output, with the pauses that the bench was made with."""
        sink = self.sinks[name]
        sink.pause = False
        if self._back_pressure:
            # Few enough clocks are left that a core which gives a word every fourth clock is held up as well.
            sink.set_pause_generator(self._random.random() < 0.85 for _ in itertools.count())

    def drain_output(self, name: str = "o") -> None:
        """Take all that the core still has, without pauses."""
        self.sinks[name].clear_pause_generator()
        self.sinks[name].pause = False

    async def reset(self) -> None:
        """Reset the core, and forget what the streams still held."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        for stream in (*self.sources.values(), *self.sinks.values()):
            stream.clear()
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def _tables(self) -> list[tuple[int, RegisterMap]]:
        """Offset and table of every page."""
        if isinstance(self.registers, PageMap):
            return [(self.registers.base(name), table) for name, table in self.registers.pages]
        return [(0, self.registers)]

    def _find(self, name: RegisterName) -> tuple[int, Register]:
        """Offset in the whole address space, and table entry."""
        if isinstance(self.registers, PageMap):
            assert not isinstance(name, str), f"{name}: of which page?"
            return self.registers.offset(*name), self.registers[name[0]][name[1]]
        assert isinstance(name, str), f"{name}: this core has no pages"
        return self.registers[name].offset, self.registers[name]

    async def write(self, register: RegisterName, **values: int) -> None:
        """Write a register: fields by name, the others zero."""
        offset, entry = self._find(register)
        response = await self.bus.write(offset, entry.word(**values).to_bytes(WORD_BYTES, "little"))
        assert response.resp == AxiResp.OKAY, f"writing {register} was answered {response.resp!r}"

    async def read_word(self, register: RegisterName) -> int:
        """Read a register."""
        response = await self.bus.read(self._find(register)[0], WORD_BYTES)
        assert response.resp == AxiResp.OKAY, f"reading {register} was answered {response.resp!r}"
        return int.from_bytes(response.data, "little")

    async def read(self, register: RegisterName, field: str) -> int:
        """Read one field."""
        return self._find(register)[1][field].extract(await self.read_word(register))

    def send(self, words: NDArray[np.int16], name: str = "i", *, user: Sequence[int] | None = None) -> None:
        """Queue a frame: int16, shape (n, 2), whole beats; with TUSER of each beat if the stream has it."""
        source = self.sources[name]
        beats, rest = divmod(words.size * 2, source.byte_lanes)
        assert not rest, "a frame is whole beats"
        assert user is None or len(user) == beats, "TUSER is of each beat"
        by_byte = None if user is None else [value for value in user for _ in range(source.byte_lanes)]
        source.send_nowait(AxiStreamFrame(words.astype("<i2").tobytes(), tuser=by_byte))

    async def receive(self, name: str = "o") -> NDArray[np.int16]:
        """The next frame: int16, shape (n, 2)."""
        return (await self.receive_with_user(name))[0]

    async def receive_with_user(self, name: str = "o") -> tuple[NDArray[np.int16], list[int]]:
        """The next frame, int16, shape (n, 2), and TUSER of each of its beats (none of a stream that has no TUSER)."""
        frame = await self.sinks[name].recv(compact=False)
        words = np.frombuffer(bytes(frame.tdata), "<i2").reshape(-1, 2).astype(np.int16)
        return words, frame.tuser[:: self.sinks[name].byte_lanes]

    def send_beats(self, words: NDArray[Any], name: str = "i") -> None:
        """Queue whole beats of a stream that has no TLAST: integers whose bytes in C order are TDATA."""
        array = np.ascontiguousarray(words, words.dtype.newbyteorder("<"))
        source = self.sources[name]
        for beat in array.view(np.uint8).reshape(-1, source.byte_lanes):
            source.send_nowait(AxiStreamFrame(beat.tobytes()))

    async def receive_beats(self, beats: int, dtype: DTypeLike, name: str = "o") -> NDArray[Any]:
        """So many beats of a stream that has no TLAST: integers, shape (n, 2)."""
        received = [bytes((await self.sinks[name].recv(compact=False)).tdata) for _ in range(beats)]
        words = np.frombuffer(b"".join(received), np.dtype(dtype).newbyteorder("<"))
        return words.reshape(-1, 2).astype(dtype)

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
        """Check every register, every hole and every page that does not exist against the tables, after a reset.

        Reset values; every bit that the host may write, alone and by byte strobe; that nothing else changes by writing;
        that nothing is left of what is write-only; SLVERR where there is nothing, or nothing to write.
        """
        tables = self._tables()
        for base, table in tables:
            for register in table.registers:
                await self._walk_register(base + register.offset, register)
            await self._walk_holes(base, {register.offset for register in table.registers})
        for base in range(len(tables) * PAGE_BYTES, 1 << len(self.dut.s_axi_awaddr), PAGE_BYTES):
            await self._walk_holes(base, set())
        await self._check_that_registers_are_apart()

    async def _put(self, offset: int, word: int) -> AxiResp:
        """Write a whole word; the answer."""
        return (await self.bus.write(offset, word.to_bytes(WORD_BYTES, "little"))).resp

    async def _get(self, offset: int) -> int:
        """Read a word that is there."""
        response = await self.bus.read(offset, WORD_BYTES)
        assert response.resp == AxiResp.OKAY, f"reading {offset:#x} was answered {response.resp!r}"
        return int.from_bytes(response.data, "little")

    async def _walk_register(self, offset: int, register: Register) -> None:
        """One register by itself; it has its reset value again after it."""
        known = (Access.CONSTANT, Access.READ_WRITE, Access.WRITE_ONLY)
        fixed = sum(f.mask for f in register.fields if f.access in known)
        unused = EVERY_BIT & ~sum(f.mask for f in register.fields)
        before = await self._get(offset)
        assert before & fixed == register.reset & fixed, f"{register.name} resets to {before:#x}"
        assert before & unused == 0, f"{register.name} has bits of no field"
        kept = _kept(register)
        commands = sum(f.mask for f in register.fields if f.access is Access.COMMAND)
        answer = AxiResp.OKAY if register.host_writes else AxiResp.SLVERR
        patterns = [EVERY_BIT & ~commands, 0, *(1 << bit for bit in range(WORD_BITS) if not commands >> bit & 1)]
        for pattern in patterns:
            assert await self._put(offset, pattern) == answer, register.name
            after = await self._get(offset)
            assert after == (before & ~kept) | (pattern & kept), f"{register.name}: {pattern:#x} gave {after:#x}"
        for byte in range(WORD_BYTES):
            # The master drives bytes without strobe to zero: only from all ones does it show that they are kept.
            await self._put(offset, EVERY_BIT & ~commands)
            response = await self.bus.write(offset + byte, b"\x00")
            assert response.resp == (AxiResp.SLVERR if register.whole_words else answer), (
                f"{register.name}: byte {byte}"
            )
            after = await self._get(offset)
            expected = (before & ~kept) | (kept & ~(0xFF << 8 * byte))
            assert after == expected, f"{register.name}: zero in byte {byte} gave {after:#x}"
        if any(field.access is Access.WRITE_ONLY for field in register.fields):
            await self._check_that_nothing_is_kept(offset, register)
        elif register.host_writes:
            await self._put(offset, register.reset & kept)

    async def _check_that_nothing_is_kept(self, offset: int, register: Register) -> None:
        """After random words, no bit of the bank has always been equal to any bit that was written."""
        secret = random.Random(offset)
        written = [bit for field in register.fields for bit in range(field.lsb, field.lsb + field.width)]
        equal = dict.fromkeys(written, -1)
        for _ in range(SECRETS):
            word = secret.getrandbits(WORD_BITS)
            await self._put(offset, word)
            assert await self._get(offset) == 0, f"{register.name} can be read"
            await self._put(offset & -PAGE_BYTES, 0)  # the word leaves the bus; ID takes none
            names: list[str] = []
            bank = 0
            for name, value, width in signals(self.dut.bank):
                bank |= value << len(names)
                names += [name] * width
            for bit in written:
                equal[bit] &= bank if word >> bit & 1 else ~bank & ((1 << len(names)) - 1)
        for bit, where in equal.items():
            found = {name for place, name in enumerate(names) if where >> place & 1}
            assert not found, f"{register.name}: bit {bit} is kept in {', '.join(sorted(found))}"

    async def _walk_holes(self, base: int, known: set[int]) -> None:
        """Offsets of a page at which there is nothing: the first ones, the last one, and one for each address bit."""
        powers = (1 << bit for bit in range(7, PAGE_BYTES.bit_length() - 1))
        for offset in {*range(0, 0x80, WORD_BYTES), *powers, PAGE_BYTES - WORD_BYTES} - known:
            response = await self.bus.read(base + offset, WORD_BYTES)
            assert response.resp == AxiResp.SLVERR, f"hole {base + offset:#x} answers a read"
            assert await self._put(base + offset, 0) == AxiResp.SLVERR, f"hole {base + offset:#x} takes a write"

    async def _check_that_registers_are_apart(self) -> None:
        """Each keeps a value of its own beside all the others."""
        entries = [(base + register.offset, register) for base, table in self._tables() for register in table.registers]
        held = [
            (offset, register, self._random.getrandbits(WORD_BITS) & _kept(register)) for offset, register in entries
        ]
        held = [(offset, register, word) for offset, register, word in held if _kept(register)]
        for offset, _, word in held:
            await self._put(offset, word)
        for offset, register, word in held:
            assert await self._get(offset) & _kept(register) == word, f"{register.name} changed with another register"
        for offset, register, _ in held:
            await self._put(offset, register.reset & _kept(register))


def _kept(register: Register) -> int:
    """Bits that hold the host's value."""
    return sum(field.mask for field in register.fields if field.access is Access.READ_WRITE)
