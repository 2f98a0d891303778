"""A bitstream's file, as PYNQ takes it apart."""

from types import SimpleNamespace

import numpy as np
from pynq.pl_server.embedded_device import bit2bin, parse_bit_header

from kronborg_hdl.zynq.bitstream import bit_file

PART = SimpleNamespace(part="xc7z020clg400-1", identity=0x0372_7093, frames=((0, 1), (0x400000,)))


def test_pynq_finds_the_part_and_all_of_the_data() -> None:
    frames = {1: np.random.default_rng(4).integers(0, 2**32, 101).tolist()}
    file = bit_file(frames, PART, design="kronborg_transmitter")
    header = parse_bit_header(file)
    assert (header["design"], header["part"]) == ("kronborg_transmitter", "xc7z020clg400-1")
    assert (header["date"], header["time"]) == ("2000/01/01", "00:00:00")
    data = file[file.index(b"\xff" * 32) :]
    assert header["data"] == data
    assert int(header["length"]) == len(data)
    words = np.frombuffer(bit2bin(file), "<u4")
    assert words.tolist() == np.frombuffer(data, ">u4").tolist(), "as the processor's configuration port wants it"
