"""A core's Verilog as an object in Python: streams and registers by name, and no Python in the clock's loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.axi.registers import WORD_BYTES, Register, RegisterMap

from .build import build, ports_of
from .simulation import RtlError, Simulation

BUS_CLOCKS = 1000
"""A register access that takes longer is never answered."""

RegisterName = str | tuple[str, str]
"""Of a register or, where there are pages, of page and register."""


@dataclass(frozen=True)
class Beats:
    """Beats that were accepted on an AXI4-Stream, n of them.

    Attributes:
        data: TDATA, uint8, shape (n, bytes).
        user: TUSER, uint64, shape (n,); zero where there is none.
        last: TLAST, bool, shape (n,); False where there is none.
        clocks: numbers of the clocks in which they were accepted, uint64, shape (n,).
    """

    data: NDArray[np.uint8]
    user: NDArray[np.uint64]
    last: NDArray[np.bool_]
    clocks: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.clocks)

    def words(self, dtype: DTypeLike = np.int16) -> NDArray[Any]:
        """TDATA as words, the lowest bits of the first beat first, shape (words,)."""
        return self.data.ravel().view(np.dtype(dtype).newbyteorder("<"))

    def frames(self) -> Iterator[Beats]:
        """Frame by frame; beats after the last TLAST come at the end, as a frame whose last beat has no TLAST."""
        edges = sorted({0, *(np.flatnonzero(self.last) + 1).tolist(), len(self)})
        for begin, end in pairwise(edges):
            part = slice(begin, end)
            yield Beats(self.data[part], self.user[part], self.last[part], self.clocks[part])


class RtlModel:
    """The Verilog of a ``kronborg_hdl.axi.skin.Skin``, compiled and running.

    What is outside the design is in C++: a stream that goes in is fed from a queue, one that comes out is recorded, and
    either side may pause at random. A stream is known by its prefix: ``s_axis``, ``m_axis_record``; each channel of
    AXI4-Lite is one as well: ``s_axi_aw``, ``s_axi_w``, ``s_axi_b``, ``s_axi_ar``, ``s_axi_r``, and so are those of a
    master of AXI4, behind which :meth:`attach_memory` puts a memory. In every clock outside
    reset the outputs are held to AXI's rules: VALID and payload stay until READY. Inputs without VALID are noise.

    A clock's number names the cycle that its rising edge ends; it is counted from the construction.

    Args:
        verilog: source text.
        top: its top module.
        registers: its table, or its pages; without it registers are reached by offset only.
        directory: where it is built; without it in the user's cache, see :func:`.build.build`.

    Raises:
        ValueError: the Verilog has no such module.
        RuntimeError: Verilator or the compiler does not accept it.
    """

    def __init__(
        self,
        verilog: str,
        top: str,
        registers: RegisterMap | PageMap | None = None,
        directory: Path | None = None,
    ) -> None:
        self._registers = registers
        self._simulation = Simulation(build(verilog, top, directory), ports_of(verilog, top))
        self.reset()

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of all streams."""
        return tuple(self._simulation.streams)

    def is_input(self, stream: str) -> bool:
        """Whether a stream goes into the design."""
        return self._simulation.streams[stream].into_design

    def beat_bytes(self, stream: str) -> int:
        """Width of an AXI4-Stream's TDATA."""
        return self._simulation.streams[stream].ports["data"].bits // 8

    def has_last(self, stream: str) -> bool:
        """Whether an AXI4-Stream has TLAST: an endless one has not."""
        return "last" in self._simulation.streams[stream].ports

    @property
    def clocks(self) -> int:
        """Cycles simulated so far: the number of the next clock."""
        return self._simulation.clocks

    @property
    def cycles_per_second(self) -> float:
        """Simulated clocks per second of wall time, so far."""
        return self.clocks / self._simulation.seconds

    def reset(self, clocks: int = 3) -> None:
        """Reset the design, and forget what the streams held; pauses stay as they are.

        Raises:
            RtlError: an output is valid at its end.
        """
        self._simulation.reset(clocks)

    def attach_memory(self, master: str, memory: NDArray[np.uint8], base: int) -> None:
        """Put a memory behind a master of AXI4; several masters may have the same one.

        It answers each burst in the clock after the address, and may :meth:`pause` as every stream. What the design
        writes is in the array at once.

        Args:
            master: prefix of its ports, as ``m_axi``.
            memory: its bytes, contiguous; kept, and changed.
            base: address of the first of them. Others are answered with DECERR.
        """
        if memory.dtype != np.uint8 or memory.ndim != 1 or not memory.flags.c_contiguous:
            raise ValueError("a memory is one row of bytes")
        self._simulation.add_memory(master, memory, base)

    def pause(self, stream: str, probability: float, *, seed: int = 1) -> None:
        """Let the other side of a stream pause: no VALID into the design, no READY for what comes out.

        Args:
            stream: its name.
            probability: of a pause in each clock in which there is a choice; 1 holds the stream.
            seed: of the choices; streams with the same seed pause independently.

        Raises:
            ValueError: it is no probability.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability of {probability} is outside 0 to 1")
        number = self._simulation.streams[stream].number
        mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
        self._simulation.pause(stream, probability, int(mixed))

    def send(
        self, stream: str, words: ArrayLike, *, last: bool | ArrayLike = True, user: ArrayLike | None = None
    ) -> None:
        """Queue whole beats for an AXI4-Stream.

        Args:
            stream: its name.
            words: integers whose bytes, little-endian and in C order, are TDATA beat by beat.
            last: TLAST of each beat; True: of the last one only; False: of none.
            user: TUSER of each beat, or one for all; zero if it is not given.

        Raises:
            ValueError: no whole number of beats, no input, no TUSER, or a value that does not fit.
        """
        array = np.asarray(words)
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).view(np.uint8).ravel()
        ports = self._simulation.streams[stream].ports
        beat_bytes = self.beat_bytes(stream)
        count, rest = divmod(len(data), beat_bytes)
        if rest:
            raise ValueError(f"{len(data)} bytes are no whole number of beats of {beat_bytes} bytes, as {stream} has")
        fields = {} if user is None else {"user": user}
        if "last" in ports:
            fields["last"] = np.arange(1, count + 1) == count * last if isinstance(last, bool) else last
        beats = self._records(stream, count, **fields)
        beats["data"][:, :beat_bytes] = data.reshape(count, beat_bytes)
        self._simulation.send(stream, beats)

    def left(self, stream: str) -> int:
        """Beats that were sent and are not yet accepted."""
        return self._simulation.count(stream)[1]

    def waiting(self, stream: str) -> int:
        """Beats that were accepted and can be had from :meth:`received`."""
        return self._simulation.count(stream)[0]

    def received(self, stream: str) -> Beats:
        """All beats that were accepted on an AXI4-Stream, into the design or out of it, since this was last asked."""
        beats, clocks = self._simulation.take(stream)
        ports = self._simulation.streams[stream].ports
        zeros = np.zeros(len(beats), np.uint64)
        return Beats(
            data=np.ascontiguousarray(beats["data"][:, : self.beat_bytes(stream)]),
            user=_integers(beats["user"]) if "user" in ports else zeros,
            last=(_integers(beats["last"]) if "last" in ports else zeros).astype(bool),
            clocks=clocks,
        )

    def run(self, clocks: int) -> None:
        """Run so many clocks.

        Raises:
            RtlError: an output broke a rule of AXI.
        """
        self._simulation.run(clocks)

    def wait(self, stream: str, *, beats: int = 0, frames: int = 0, within: int = 1_000_000) -> None:
        """Run until a stream has so many beats, or so many frames, for :meth:`received`.

        Raises:
            RtlError: it has not, after `within` clocks, or an output broke a rule of AXI.
            ValueError: neither beats nor frames are asked for, or both.
        """
        if bool(beats) == bool(frames):
            raise ValueError("wait for beats or for frames")
        if self._simulation.run(within, stream, beats=beats, frames=frames):
            return
        queued = [f"{name} {left}" for name in self.streams if (left := self.left(name))]
        raise RtlError(
            f"{stream}, clock {self.clocks}: after {within} clocks there are {self.waiting(stream)} beats and not"
            f" {f'{beats} beats' if beats else f'{frames} frames'}; still to be taken: {', '.join(queued) or 'nothing'}"
        )

    def write(self, register: RegisterName, **values: int) -> None:
        """Write a register: fields by name, the others zero.

        Raises:
            RtlError: it is not answered, or not with OKAY.
        """
        offset, entry = self._find(register)
        if response := self.write_at(offset, entry.word(**values)):
            raise RtlError(f"writing {register} is answered {response:02b}, clock {self.clocks}")

    def read(self, register: RegisterName, field: str) -> int:
        """Read one field of a register.

        Raises:
            RtlError: it is not answered, or not with OKAY.
        """
        offset, entry = self._find(register)
        word, response = self.read_at(offset)
        if response:
            raise RtlError(f"reading {register} is answered {response:02b}, clock {self.clocks}")
        return entry[field].extract(word)

    def write_at(self, offset: int, word: int, *, strobes: int = (1 << WORD_BYTES) - 1) -> int:
        """Write a word, or those bytes of it that `strobes` has a bit for; returns BRESP: 0 for OKAY.

        Raises:
            RtlError: it is not answered.
        """
        self._simulation.send("s_axi_aw", self._records("s_axi_aw", 1, addr=offset))
        self._simulation.send("s_axi_w", self._records("s_axi_w", 1, data=word, strb=strobes))
        return self._answer("s_axi_b", "s_axi_aw", "s_axi_w")["resp"]

    def read_at(self, offset: int) -> tuple[int, int]:
        """Read a word; returns it, and RRESP: 0 for OKAY.

        Raises:
            RtlError: it is not answered.
        """
        self._simulation.send("s_axi_ar", self._records("s_axi_ar", 1, addr=offset))
        answer = self._answer("s_axi_r", "s_axi_ar")
        return answer["data"], answer["resp"]

    def bits(self, port: str) -> int:
        """Width of a port."""
        return self._simulation.ports[port].bits

    def get(self, port: str) -> int:
        """The value of a flat port between two clocks."""
        return int.from_bytes(self._simulation.port(port).tobytes(), "little")

    def set(self, port: str, value: int) -> None:
        """Drive a flat input from now on.

        Raises:
            ValueError: it is no input, or the value does not fit.
        """
        declared = self._simulation.ports[port]
        if not declared.is_input or not 0 <= value < 1 << declared.bits:
            raise ValueError(f"{value} cannot be driven on {declared}")
        at = self._simulation.port(port)
        at[:] = np.frombuffer(value.to_bytes(len(at), "little"), np.uint8)
        self._simulation.settle()

    def _find(self, name: RegisterName) -> tuple[int, Register]:
        """Offset in the address space, and table entry."""
        if isinstance(self._registers, PageMap):
            assert not isinstance(name, str), f"{name}: of which page?"
            return self._registers.offset(*name), self._registers[name[0]][name[1]]
        assert self._registers is not None, "the model was made without a register table"
        assert isinstance(name, str), f"{name}: this core has no pages"
        return self._registers[name].offset, self._registers[name]

    def _records(self, stream: str, count: int, **fields: ArrayLike) -> NDArray[Any]:
        """Beats whose fields have these integers; the others are zero."""
        of = self._simulation.streams[stream]
        if not of.into_design:
            raise ValueError(f"{stream} comes out of the design: nothing can be sent on it")
        beats = np.zeros(count, of.beat)
        for end, given in fields.items():
            if end not in of.ports:
                raise ValueError(f"{stream} has no {end}: it has {', '.join(of.ports)}")
            values = np.asarray(given)
            if np.any(values < 0) or np.any(values >= 1 << of.ports[end].bits):
                raise ValueError(f"{stream}: a value does not fit the {of.ports[end].bits} bits of {end}")
            size = min(8, of.beat[end].itemsize)
            as_bytes = np.broadcast_to(values, count).astype("<u8").view(np.uint8).reshape(count, 8)
            beats[end][:, :size] = as_bytes[:, :size]
        return beats

    def _answer(self, stream: str, *requests: str) -> dict[str, int]:
        """Run until there is an answer on a channel of AXI4-Lite; the fields of it."""
        self.wait(stream, beats=1, within=BUS_CLOCKS)
        for request in requests:  # accepted, or there would be no answer
            self._simulation.take(request)
        beats, _ = self._simulation.take(stream)
        return {end: int(_integers(beats[end])[0]) for end in self._simulation.streams[stream].ports}


def _integers(field: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Numbers of up to 64 bits from their bytes, shape (n, bytes)."""
    padded = np.zeros((len(field), 8), np.uint8)
    padded[:, : field.shape[1]] = field
    return padded.view("<u8")[:, 0]
