"""Put keys of a KME into an encryptor, and change them at both ends of a tunnel together."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXTRA = "network"
"""What this command imports comes with that extra."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", choices=("wireguard", "strongswan"), help="which encryptor")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE.toml", help="configuration, see docs/encryptors.md"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="read the configuration, say what is in it, and end")
    action.add_argument("--close", action="store_true", help="close the tunnel of an agent that was killed, and end")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        InputError: the configuration, a file that it names or the encryptor is not as it should be.
        KronborgError: the tunnel cannot be closed.
    """
    from ..network.encryptors.config import read_config

    config = read_config(options.config, options.kind)
    role = "master" if config.master else "slave"
    if options.check:
        print(f"SAE {config.id}, {role} of {config.peer}, keys of {config.kme_id} every {config.rotate_seconds:g} s")
        return 0
    from ..network.encryptors import agent
    from ..network.encryptors.tunnels import encryptor_of
    from ..network.kme.log import log_to_stderr

    encryptor = encryptor_of(config)
    if options.close:
        agent.close(config, encryptor)
        return 0
    log_to_stderr()
    agent.run(config, encryptor, lambda: print(f"kronborg encryptor: {config.id} runs as {role}", file=sys.stderr))
    return 0
