"""Lay a WireGuard tunnel between two network namespaces of this machine (`kronborg network up` does it)."""

from __future__ import annotations

import argparse
import json
import signal
from contextlib import suppress
from pathlib import Path

from kronborg.console.atomic import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE.json", help="where to say what was laid, for agents")


def run(options: argparse.Namespace) -> int:
    """Carry the command out: the tunnel is there until it is interrupted, without peers until agents add them.

    Raises:
        InputError: this user may not make namespaces, or a program is missing.
        KronborgError: a program failed.
    """
    from ..network import tunnels

    # What a process that was killed left behind.
    with suppress(OSError, ValueError, KeyError):
        for space in json.loads(options.file.read_text("utf-8"))["spaces"]:
            tunnels.run("ip", "netns", "delete", space, status=(0, 1))
    with tunnels.WireGuardTunnel() as tunnel:
        laid = {
            "spaces": tunnel.spaces,
            "addresses": tunnels.INNER,
            "tables": [tunnel.table(end) for end in range(2)],
        }
        try:
            write_text(options.file, json.dumps(laid, indent=1) + "\n")
            signal.pause()
        finally:
            options.file.unlink(missing_ok=True)
    return 0
