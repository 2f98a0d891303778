"""Boards that an overlay can be built for: one file each."""

from .board import Board
from .fabric import FabricBoard
from .pynq_z2 import BOARD as PYNQ_Z2
from .redpitaya_125_14 import BOARD as REDPITAYA_125_14
from .rfsoc4x2 import BOARD as RFSOC4X2
from .ulx3s import BOARD as ULX3S
from .zcu111 import BOARD as ZCU111
from .zcu208 import BOARD as ZCU208

__all__ = ["BOARDS", "FABRIC_BOARDS", "Board", "FabricBoard"]

BOARDS = {board.name: board for board in (RFSOC4X2, ZCU111, ZCU208, PYNQ_Z2, REDPITAYA_125_14)}
"""All boards by name."""

FABRIC_BOARDS = {board.name: board for board in (ULX3S,)}
"""Those without a processor, by name: a link within the device, behind a serial bridge."""
