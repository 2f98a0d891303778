"""The compiled harness from Python: ports, and streams as numpy records. What they mean is said in ``model``."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .build import Port

RULES = {
    1: "VALID fell before READY",
    2: "the payload changed while it waited for READY",
    3: "VALID was high in reset",
    4: "LAST is not with the last beat of its burst",
}
"""What the harness says of an output that breaks a rule of AXI."""

PAYLOAD = ("data", "user", "last", "addr", "prot", "strb", "resp", "id", "len", "size", "burst", "cache")
"""What ports of a payload are called behind their stream's prefix, in AXI4-Stream and in the channels of AXI4."""

MEMORY_CHANNELS = {
    "ar": ("addr", "len"),
    "r": ("data", "resp", "last"),
    "aw": ("addr", "len"),
    "w": ("data", "strb", "last"),
    "b": ("resp",),
}
"""The channels of AXI4, and what a memory has to know of each."""


class RtlError(RuntimeError):
    """The simulated design did what it must not do, or not what was waited for; the message has stream and clock."""


class Stream:
    """One stream in the harness.

    Attributes:
        name: prefix of its ports, without the ``_t`` of AXI4-Stream.
        number: in the harness.
        into_design: the design takes it; otherwise the design gives it.
        ports: its payload, by the ends of their names.
        beat: a beat's record, with a field of bytes, little-endian, for each of these ports.
    """

    def __init__(self, prefix: str, number: int, ports: dict[str, Port], sizes: dict[str, int]) -> None:
        self.name = prefix.removesuffix("_t")
        self.number = number
        self.into_design = ports[f"{prefix}valid"].is_input
        self.ports = {end: ports[f"{prefix}{end}"] for end in PAYLOAD if f"{prefix}{end}" in ports}
        self.beat = np.dtype([(end, np.uint8, (sizes[port.name],)) for end, port in self.ports.items()])


class Simulation:
    """A design in its harness, in reset.

    Args:
        library: what :func:`.build.build` made.
        ports: of the design, as they were given to it.

    Attributes:
        streams: by name.
        clocks: cycles simulated.
        seconds: wall time that they took.
    """

    def __init__(self, library: Path, ports: Sequence[Port]) -> None:
        self._library = _load(library)
        self._handle = self._library.simulation_new()
        self._numbers = {port.name: number for number, port in enumerate(ports)}
        self.ports = {port.name: port for port in ports}
        self.streams: dict[str, Stream] = {}
        self._memories: list[NDArray[np.uint8]] = []
        self.clocks, self.seconds = 0, 0.0
        sizes = {name: len(self.port(name)) for name in self.ports}
        for name in self.ports:
            prefix = name.removesuffix("valid")
            if prefix != name and f"{prefix}ready" in self.ports:
                stream = Stream(prefix, len(self.streams), self.ports, sizes)
                self.streams[stream.name] = stream
                self._add_stream(prefix, stream)

    def _add_stream(self, prefix: str, stream: Stream) -> None:
        payload = [self._numbers[port.name] for port in stream.ports.values()]
        fields = stream.beat.fields
        assert fields is not None
        self._library.simulation_add_stream(
            self._handle,
            stream.into_design,
            self._numbers[f"{prefix}valid"],
            self._numbers[f"{prefix}ready"],
            (ctypes.c_size_t * len(payload))(*payload),
            len(payload),
            fields["last"][1] if "last" in fields else -1,
        )

    def add_memory(self, master: str, memory: NDArray[np.uint8], base: int) -> None:
        """Put bytes behind a master of AXI4, at address `base` and up; they are changed as the design writes them."""
        streams = [self.streams[f"{master}_{channel}"] for channel in MEMORY_CHANNELS]
        places: list[int] = []
        for stream, names in zip(streams, MEMORY_CHANNELS.values(), strict=True):
            fields = stream.beat.fields
            assert fields is not None
            for name in names:
                places += [fields[name][1], fields[name][0].itemsize]
        self._memories.append(memory)  # the harness has its address only
        self._library.simulation_add_memory(
            self._handle,
            memory.ctypes.data,
            base,
            len(memory),
            (ctypes.c_size_t * len(streams))(*(stream.number for stream in streams)),
            (ctypes.c_size_t * len(places))(*places),
            streams[1].ports["data"].bits // 8,
        )

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.simulation_delete(handle)

    def port(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a port, as the design reads and drives them."""
        size = ctypes.c_size_t()
        at = self._library.simulation_port(self._handle, self._numbers[name], ctypes.byref(size))
        return np.ctypeslib.as_array(at, (size.value,))

    def settle(self) -> None:
        """Let outputs follow inputs that were changed through :meth:`port`; no clock passes."""
        self._library.simulation_settle(self._handle)

    def pause(self, stream: str, probability: float, seed: int) -> None:
        """In each clock without a beat that waits, pause the harness's side of a stream with this probability."""
        number = self.streams[stream].number
        self._library.simulation_pause(self._handle, number, round(probability * 2**32), seed)

    def send(self, stream: str, beats: NDArray[Any]) -> None:
        """Queue records for an input."""
        data = np.ascontiguousarray(beats)
        self._library.simulation_send(self._handle, self.streams[stream].number, data.ctypes.data, len(data))

    def count(self, stream: str) -> tuple[int, int]:
        """Beats that were accepted and not taken by :meth:`take`, and beats that are queued."""
        everything = ctypes.c_size_t()
        number = self.streams[stream].number
        accepted = int(self._library.simulation_count(self._handle, number, ctypes.byref(everything)))
        return accepted, everything.value - accepted

    def take(self, stream: str) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        """Records of the beats that were accepted since the last call, and the numbers of their clocks."""
        count = self.count(stream)[0]
        beats, clocks = np.empty(count, self.streams[stream].beat), np.empty(count, np.uint64)
        number = self.streams[stream].number
        self._library.simulation_take(self._handle, number, beats.ctypes.data, clocks.ctypes.data)
        return beats, clocks

    def reset(self, clocks: int) -> None:
        """Reset for so many clocks; streams forget their beats.

        Raises:
            RtlError: an output is valid at its end.
        """
        self._timed(self._library.simulation_reset, clocks)

    def run(self, clocks: int, stream: str | None = None, *, beats: int = 0, frames: int = 0) -> bool:
        """Run so many clocks, or until a stream has so many beats or frames to take; returns whether it has.

        Raises:
            RtlError: an output broke a rule of AXI.
        """
        number = self.streams[stream].number if stream else 0
        return bool(self._timed(self._library.simulation_run, clocks, number, beats, frames))

    def _timed(self, function: Any, *arguments: int) -> Any:
        began = time.perf_counter()
        result = function(self._handle, *arguments)
        self.seconds += time.perf_counter() - began
        self.clocks = int(self._library.simulation_clock(self._handle))
        number = ctypes.c_size_t()
        if rule := self._library.simulation_broken(self._handle, ctypes.byref(number)):
            name = next(stream.name for stream in self.streams.values() if stream.number == number.value)
            raise RtlError(f"{name}, clock {self.clocks - 1}: {RULES[rule]}")
        return result


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, size, sizes = ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)
    count, signed_size = ctypes.c_uint64, ctypes.c_ssize_t
    for name, result, arguments in (
        ("new", handle, []),
        ("delete", None, [handle]),
        ("port", ctypes.POINTER(ctypes.c_uint8), [handle, size, sizes]),
        ("settle", None, [handle]),
        ("add_stream", None, [handle, ctypes.c_bool, size, size, sizes, size, signed_size]),
        ("add_memory", None, [handle, handle, count, count, sizes, sizes, size]),
        ("pause", None, [handle, size, count, count]),
        ("send", None, [handle, size, handle, size]),
        ("count", size, [handle, size, sizes]),
        ("take", None, [handle, size, handle, handle]),
        ("reset", None, [handle, count]),
        ("run", ctypes.c_bool, [handle, count, size, count, count]),
        ("clock", count, [handle]),
        ("broken", ctypes.c_int, [handle, sizes]),
    ):
        function = getattr(library, f"simulation_{name}")
        function.restype, function.argtypes = result, arguments
    return library
