"""Feed a network's key stores from simulated links (`kronborg network up` does it)."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the network")


def run(options: argparse.Namespace) -> int:
    """Carry the command out: until it is interrupted.

    Raises:
        InputError: there is no network in the folder.
    """
    from ..network.feed import Feed

    Feed(options.dir).run()
    return 0
