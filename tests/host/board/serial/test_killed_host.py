"""A host that is killed and can do nothing about it: ``kronborg run``, a process of its own, with a board at a line."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kronborg.link.on_board import SILENCE_S
from kronborg_hdl.boards import FABRIC_BOARDS
from kronborg_hdl.serial_board.build import DESIGNS
from kronborg_sim.devices.model_receiver import ReceiverModel
from kronborg_sim.devices.serial_line import PseudoTerminal
from kronborg_sim.devices.serial_link import RECORD, SerialLink

BOARD = FABRIC_BOARDS["ulx3s"]
HOST = """
import sys
from kronborg.board.serial import link
from kronborg.cli import main
from kronborg.link import on_board
# A board that is simulated is slow on a machine that has much else to do.
link.ATTEMPTS, on_board.TIMEOUT_S = 1000, 600.0
sys.exit(main(sys.argv[1:]))
"""


class Watched(SerialLink):
    """A board whose frames are counted, and whose registers are looked at from beside it."""

    def __init__(self) -> None:
        self.frames, self.emits = 0, threading.Event()
        super().__init__(DESIGNS["loopback"].make(BOARD))

    def _give(self, stream: int, packet: bytes) -> None:
        super()._give(stream, packet)
        self.frames += stream == RECORD
        if self.frames == 3:
            self.emits.set()

    def watchdog(self, register: str) -> int:
        return self.read(self._core.registers.offset("watchdog", register))[0]

    def pass_time(self, clocks: int) -> None:
        """With nothing in the way of another frame: whatever came is taken."""
        for stream in self.bridge.given:
            stream.clear()
        self._gateware.run(clocks)


def test_a_host_that_is_killed_leaves_a_board_that_emits_no_frame_after_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReceiverModel, "take", lambda self, samples: None)  # nobody lives to ask for what comes of it
    board = Watched()
    with PseudoTerminal(board) as terminal:
        command = ("run", "--board", f"ulx3s:{terminal.name}", "--store", str(tmp_path), "--plain")
        host = subprocess.Popen([sys.executable, "-c", HOST, *command], stderr=subprocess.PIPE)
        while not board.emits.wait(0.1):
            assert host.poll() is None, host.communicate()[1].decode()
        host.kill()
        host.communicate()
    assert host.returncode == -signal.SIGKILL
    assert board.watchdog("period") == SILENCE_S * BOARD.clock_hz
    before = board.frames
    board.pass_time(1)
    assert board.frames > before, "it emits, or this shows nothing"
    board.pass_time(board.watchdog("left") - 2)
    assert board.frames > before + 1, "the time that the host had is not over"
    board.pass_time(2)
    before = board.frames
    for _ in range(3):
        board.pass_time(BOARD.clock_hz)
    assert board.frames == before
    assert board.watchdog("status") == 1, "expired"
