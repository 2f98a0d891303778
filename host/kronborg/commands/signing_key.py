"""Make a pair of keys that one end of a link signs with, until its pool of one-time keys has begun."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", type=Path, metavar="PATH", help="write PATH.key, for this end alone, and PATH.pub")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    from ..link.signatures import make_signing_key

    fingerprint = make_signing_key(options.path)
    print(f"{options.path}.key (give it to nobody), {options.path}.pub (give it to the other end)")
    print(f"fingerprint of {options.path}.pub: {fingerprint}")
    return 0
