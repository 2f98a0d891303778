"""Which board is opened by its name."""

import pytest

from kronborg.board.pynq.opening import open_by_name
from kronborg.errors import InputError


def test_the_board_that_this_runs_on_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="pynq is the board that this runs on, not one to choose: leave out :zcu111"):
        open_by_name("pynq:zcu111", "loopback")
