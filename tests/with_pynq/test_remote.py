"""PYNQ.remote: the host on one machine, the board on another, and unmodified PYNQ between them."""

import hashlib
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pynq.pl_server.embedded_device import bit2bin

from kronborg_hdl.overlays.build import described
from kronborg_hdl.overlays.manifest import BUILT as HAS_BITSTREAM
from kronborg_hdl.overlays.manifest import MANIFEST
from kronborg_hdl.zynq.bitstream import bit_file
from kronborg_sim.devices.gateware import RtlGateware
from kronborg_sim.devices.models import model_device
from kronborg_sim.devices.pynq_device import SimulatedDevice

from .conftest import BOARD
from .remote_board import FIRMWARE, RemoteBoard
from .test_bit_file import PART

BUILT = Path(__file__).parents[2] / "bitstreams" / "pynq-z2" / "pulse_shaper"
NAME = "kronborg_pulse_shaper"
ADDRESS = f"127.{os.getpid() >> 16 & 0xFF}.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF or 1}"
"""Of this machine's own, for this process: PYNQ's port is a fixed one."""
WASTE = 1 << 20
"""Bytes of a buffer for what nobody wants; nothing of it becomes key."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The repository's bitstream, unpacked."""
    folder = tmp_path / "files"
    shutil.copytree(BUILT, folder)
    (folder / f"{NAME}.bit").write_bytes(lzma.decompress((folder / f"{NAME}.bit.xz").read_bytes()))
    return folder


@pytest.fixture
def board(files: Path):
    with RemoteBoard(model_device(BOARD), files / f"{NAME}.hwh", ADDRESS) as remote:
        yield remote


def environment() -> dict[str, str]:
    """Of a host whose board is elsewhere; not behind a proxy, which gRPC would ask for it."""
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**direct, "PYNQ_REMOTE_DEVICES": ADDRESS}


def kronborg(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "kronborg.cli", *map(str, arguments)],
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_bitstream_is_loaded_over_the_network_and_its_cores_answer(board: RemoteBoard, files: Path) -> None:
    done = kronborg("flash", "pynq-z2", "--files", files)
    assert done.returncode == 0, done.stderr
    assert board.bits == [bytes(bit2bin((files / f"{NAME}.bit").read_bytes()))]
    first, *_, last = done.stdout.splitlines()
    assert first.split()[:2] == ["pulse_shaper", "KBPS"]
    assert last == f"{NAME} for {BOARD.title} is loaded"


def test_an_older_bitstream_of_the_same_name_on_the_board_is_not_the_one_that_is_loaded(
    board: RemoteBoard, files: Path
) -> None:
    board.files.there[f"{FIRMWARE}{NAME}.bin"] = b"of last week"
    done = kronborg("flash", "pynq-z2", "--files", files)
    assert done.returncode == 0, done.stderr
    assert board.bits == [bytes(bit2bin((files / f"{NAME}.bit").read_bytes()))]


def test_a_board_that_is_not_there_and_one_that_fails_are_a_line_each(
    files: Path, board: RemoteBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(bits: bytes) -> None:
        raise OSError("no room")

    monkeypatch.setattr(board, "load", full)
    done = kronborg("flash", "pynq-z2", "--files", files)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"kronborg flash: PYNQ cannot load {NAME}.bit (Exception calling application: no room):"
        " the board may have no design now; load it again\n"
    )
    (files / f"{NAME}.bit").unlink()  # as it lies in the repository, packed
    nowhere = {**os.environ, "PYNQ_REMOTE_DEVICES": ""}
    command = [sys.executable, "-W", "ignore", "-m", "kronborg.cli", "flash", "pynq-z2", "--files", str(files)]
    done = subprocess.run(command, env=nowhere, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("kronborg flash: PYNQ finds no board (this machine: No Devices Found): run this on ")
    assert done.stderr.count("\n") == 1
    assert not (files / f"{NAME}.bit").exists(), "nothing is unpacked for no board"


def test_every_word_goes_to_and_fro_by_dma_over_the_network(board: RemoteBoard, files: Path) -> None:
    """Buffers are copies here: what is sent is flushed, and what came is fetched, by PYNQ's own DMA."""
    done = kronborg("selftest", files, "--board", "pynq")
    assert done.returncode == 0, done.stderr
    assert "pulse_shaper on pynq: 131328 words, all the model's" in done.stderr


def as_if_built(folder: Path, written: dict[str, bytes], name: str) -> None:
    """Write an overlay's files, and a bitstream that is none, as of a board that somebody has built it for."""
    manifest = json.loads(written.pop(MANIFEST))
    written[f"{name}.bit"] = bit_file({1: [0] * 101}, PART, design=name)
    digests = {file: hashlib.sha256(data).hexdigest() for file, data in written.items()}
    said = {"status": HAS_BITSTREAM, "bitstream": f"{name}.bit", "sha256": digests}
    written[MANIFEST] = json.dumps({**manifest, **said}).encode()
    for file, data in written.items():
        (folder / file).write_bytes(data)


def test_a_link_is_driven_over_the_network_and_leaves_no_raw_key_in_the_boards_memory(tmp_path: Path) -> None:
    board, name = BOARD.of_size("loopback"), "kronborg_loopback"
    as_if_built(tmp_path, {file: text.encode() for file, text in described("loopback", board).items()}, name)
    with RemoteBoard(model_device(board), tmp_path / f"{name}.hwh", ADDRESS) as remote:
        done = kronborg("selftest", tmp_path, "--board", "pynq")
    assert done.returncode == 0, done.stderr
    assert "loopback on pynq: 65664 words, all the model's" in done.stderr
    held = [data for data in remote.left if len(data) < WASTE]
    assert len(held) >= 4, "two buffers of records, two of packets"
    assert not any(any(data) for data in held)


ENDLESS = """
import sys
from functools import partial
from kronborg.board.pynq import selftest
from kronborg.cli import main
selftest.FRAMES, selftest.TIMEOUT_S = 1 << 30, 600.0
selftest.Transmitter = partial(selftest.Transmitter, silence_s=0.002)
sys.exit(main(sys.argv[1:]))
"""
SILENT_CLOCKS = 200_000


def test_a_host_that_is_killed_leaves_the_transmitters_rtl_stopped(
    transmitter_core, transmitter_files: Path, tmp_path: Path
) -> None:
    """Whoever takes its frames then: none begins."""
    written = {file.name: file.read_bytes() for file in transmitter_files.parent.iterdir() if file.is_file()}
    as_if_built(tmp_path, written, "kronborg_transmitter")
    device, pages = SimulatedDevice(BOARD, RtlGateware), transmitter_core.overlay.pages

    def read(page: str, register: str) -> int:
        with remote.lock:
            return int(device.gateware.read(pages.offset(page, register)))

    def take() -> int:
        """What the engines had been told to take is taken, and once more; frames since the host began."""
        for engine in ("record", "samples"):
            device.gateware.write(pages.offset(engine, "receive_length"), 1 << 16)
        device.gateware.run(5000)
        return read("transmitter_transmitter", "frames")

    with RemoteBoard(device, tmp_path / "kronborg_transmitter.v", ADDRESS) as remote:
        command = [sys.executable, "-W", "ignore", "-c", ENDLESS, "selftest", str(tmp_path), "--board", "pynq"]
        host = subprocess.Popen(command, env=environment(), text=True, stderr=subprocess.PIPE)
        while not (remote.bits and read("transmitter_transmitter", "frames") > 4):
            assert host.poll() is None, host.communicate()[1]
            time.sleep(0.05)
        host.kill()
        host.communicate()
    assert host.returncode == -signal.SIGKILL
    assert read("watchdog", "period") == SILENT_CLOCKS
    before = take()
    assert take() > before, "it emits, or this shows nothing"
    assert read("watchdog", "status") == 0
    device.gateware.run(SILENT_CLOCKS)
    assert read("watchdog", "status") == 1, "expired"
    under_way = take()
    assert [take() for _ in range(3)] == [under_way] * 3
