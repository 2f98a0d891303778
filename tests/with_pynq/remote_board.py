"""A board at the other end of a network: the protocol of PYNQ.remote, with a simulated board behind it.

The messages are those of PYNQ's own package. What the server of a board's image does with them is written after what
the client expects: that server is another program, and is not here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from typing import Any

import grpc
import numpy as np
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    mmio_pb2,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

from kronborg_sim.devices.pynq_device import SimulatedDevice

PORT = 7967
"""PYNQ's own."""
FIRMWARE, LOADED = "/lib/firmware/", "/sys/class/fpga_manager/fpga0/firmware"
CHUNK = 1 << 16


class Files(remote_device_pb2_grpc.RemoteDeviceServicer):
    """The board's files: to write the name of a bitstream into one of them is to load it."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board
        self.there = {
            "/proc/version": b"Linux version 5.15.0-xilinx (arm-xilinx-linux-gnueabi-gcc) armv7l\n",
            "/proc/device-tree/chosen/pynq_board": b"Pynq-Z2\0",
            "/sys/class/fpga_manager/fpga0/state": b"operating\n",
            "/sys/class/fpga_manager/fpga0/flags": b"0\n",
        }

    def existsfile(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.ExistsFileResponse(exists=request.file_path in self.there)

    def readfile(self, request: Any, context: Any) -> Iterator[Any]:
        yield remote_device_pb2.ReadFileResponse(data=self.there[request.file_path])

    def writefile(self, request_iterator: Iterator[Any], context: Any) -> Any:
        requests = list(request_iterator)
        path, data = requests[0].file_path, b"".join(request.data for request in requests)
        self.there[path] = data
        if path == LOADED:
            self.board.load(self.there[FIRMWARE + data.decode()])
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)


class Registers(mmio_pb2_grpc.MmioServicer):
    """Registers of processor and fabric."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board
        self.bases: dict[str, int] = {}

    def get_mmio(self, request: Any, context: Any) -> Any:
        name = str(len(self.bases))
        self.bases[name] = request.base_addr
        return mmio_pb2.GetMmioResponse(status=True, mmio_id=name)

    def read(self, request: Any, context: Any) -> Any:
        with self.board.lock:
            data = self.board.device.read_registers(self.bases[request.mmio_id] + request.offset, request.length)
        return mmio_pb2.ReadResponse(status=True, data=int.from_bytes(data, "little"))

    def write(self, request: Any, context: Any) -> Any:
        with self.board.lock:
            self.board.device.write_registers(self.bases[request.mmio_id] + request.offset, request.data)
        return mmio_pb2.WriteResponse(status=True)


class Buffers(buffer_pb2_grpc.RemoteBufferServicer):
    """Memory behind the engines. The host has copies, which go to and fro when it says so."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board
        self.numbers = itertools.count()
        self.held: dict[str, tuple[int, np.ndarray]] = {}

    def allocate(self, request: Any, context: Any) -> Any:
        name = str(next(self.numbers))
        self.held[name] = self.board.device.memory.take(request.size)
        return buffer_pb2.AllocateResponse(buffer_id=name)

    def write(self, request_iterator: Iterator[Any], context: Any) -> Any:
        requests = list(request_iterator)
        data = b"".join(request.data for request in requests)
        self.held[requests[0].buffer_id][1][: len(data)] = np.frombuffer(data, np.uint8)
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Iterator[Any]:
        data = self.held[request.buffer_id][1].tobytes()
        for begin in range(0, len(data), CHUNK):
            yield buffer_pb2.BufferReadResponse(data=data[begin : begin + CHUNK])

    def physical_address(self, request: Any, context: Any) -> Any:
        return buffer_pb2.AddressResponse(address=self.held[request.buffer_id][0])

    def flush(self, request: Any, context: Any) -> Any:
        return buffer_pb2.FlushResponse()

    def invalidate(self, request: Any, context: Any) -> Any:
        return buffer_pb2.InvalidateResponse()

    def freebuffer(self, request: Any, context: Any) -> Any:
        place, memory = self.held.pop(request.buffer_id)
        self.board.left.append(memory.tobytes())
        self.board.device.memory.give_back(place)
        return buffer_pb2.FreeBufferResponse()


class RemoteBoard:
    """The board's end. As a context manager it answers at :attr:`address`.

    Args:
        device: what is behind it.
        description: files of the overlay that is loaded, whatever the bits.
        address: of this machine's own.

    Attributes:
        bits: of bitstreams, in the order in which they were loaded.
        left: what buffers held when they were given back.
        files: of the board.
    """

    def __init__(self, device: SimulatedDevice, description: Path, address: str) -> None:
        self.device, self.description, self.address = device, description, address
        self.lock = RLock()
        self.bits: list[bytes] = []
        self.left: list[bytes] = []
        self.files = Files(self)
        self._server = grpc.server(ThreadPoolExecutor(4))
        remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(self.files, self._server)
        mmio_pb2_grpc.add_MmioServicer_to_server(Registers(self), self._server)
        buffer_pb2_grpc.add_RemoteBufferServicer_to_server(Buffers(self), self._server)
        self._server.add_insecure_port(f"{address}:{PORT}")

    def load(self, bits: bytes) -> None:
        """A bitstream was loaded."""
        self.bits.append(bits)
        with self.lock:
            self.device._gateware = self.device._load(
                self.description, self.device.memory.bytes, self.device.memory.base
            )

    def __enter__(self) -> RemoteBoard:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
