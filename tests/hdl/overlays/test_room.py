"""What a board's file says that its device has room for is so, by the table of resources."""

import pytest

from kronborg.cli import main
from kronborg_hdl.boards import BOARDS, Board
from kronborg_hdl.boards.board import SPARE
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.synthesis.devices import DEVICES
from kronborg_hdl.synthesis.table import Row, load

ENGINE = 1050
"""Look-up tables of a DMA engine and its page of registers: 721 and 329 by the same synthesis on an XC7Z020."""
SMALLER = {"xc7z010": (80, 17_600, 35_200, 120)}
"""AMD DS190: multipliers, look-up tables, registers and block RAMs of a device that has no rows of its own."""
SEVEN = ("pynq-z2", "redpitaya-125-14")


def room(board: Board) -> tuple[int, int, int, int]:
    device = DEVICES["xc7z020"]
    return SMALLER.get(board.device[:7], (device.multipliers, device.luts, device.registers, device.block_rams))


def fits(board: Board, row: Row) -> bool:
    engines = sum(part.type.startswith("xilinx.com:ip:axi_dma") for part in OVERLAYS[row.core](board).parts)
    luts = (row.luts + ENGINE * engines) / (1 - SPARE)
    needed = row.multipliers, luts, row.registers, row.block_rams
    return all(used <= there for used, there in zip(needed, room(board), strict=True))


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", SEVEN)
def test_an_overlay_fits_the_device_unless_its_board_says_that_it_does_not(name: str, overlay: str) -> None:
    board = BOARDS[name].of_size(overlay)
    rows = {row.lanes: row for row in load() if (row.core, row.device) == (overlay, "xc7z020") and row.span != 3}
    if board.lanes in rows:  # docs/resources.md names those that are not synthesised yet
        assert fits(board, rows[board.lanes]) is (overlay not in board.too_large)
    if overlay in dict(board.narrower) and BOARDS[name].lanes in rows:
        assert not fits(board, rows[BOARDS[name].lanes])


def test_what_has_no_room_is_not_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "redpitaya-125-14", "--overlay", "receiver", "--out", "/nowhere"]) == 2
    error = capsys.readouterr().err
    assert "receiver has no room on a Red Pitaya STEMlab 125-14, xc7z010clg400-1" in error
    assert error.count("\n") == 1
