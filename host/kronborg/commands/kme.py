"""Serve keys to encryptors: a key management entity with the ETSI GS QKD 014 interface."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXTRA = "network"
"""What this command imports comes with that extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", type=Path, metavar="FILE.toml", help="configuration, see docs/network.md")
    parser.add_argument("--check", action="store_true", help="read the configuration, say what is in it, and end")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        InputError: the configuration, a file that it names or the key store is wrong.
    """
    from ..network.kme.config import read_config

    config = read_config(options.config)
    if options.check:
        print(f"KME {config.id}: {len(config.links)} links, {len(config.saes)} SAEs, store {config.store.backend}")
        return 0
    from ..network.kme.log import log_to_stderr
    from ..network.kme.server import serve

    log_to_stderr()

    def ready() -> None:
        print(
            f"kronborg kme: {config.id} serves SAEs at {config.listen}, KMEs at {config.peer_listen}", file=sys.stderr
        )

    serve(config, ready)
    return 0
