"""Run Bob's end of a link: listen for Alice and distil keys with her, round after round."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from dataclasses import asdict
from typing import Any

from ..console.atomic import check_writable, write_text
from ..errors import InputError, NoKeyError
from ..link.service import BobService, Round
from ..postprocessing.budget import Epsilons
from .ends import add_end_arguments, address, open_end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where Alice connects")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="key blocks to try (default: endless)")
    parser.add_argument("--json", metavar="FILE", help="write the rounds as JSON at the end (- for standard output)")
    add_end_arguments(parser, "bob")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        NoKeyError: not one round gave a key, or the pool ran dry.
    """
    host, port = address(options.listen)
    if options.rounds < 0:
        raise InputError(f"{options.rounds} rounds cannot be tried")
    if options.json and options.json != "-":
        check_writable(options.json)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with open_end(options, "bob") as end:
        epsilons = Epsilons.within(options.epsilon)
        frames = -(-int(options.symbols) // end.light.frame_symbols)
        service = BobService(end, frames, options.estimation_fraction, epsilons)
        try:
            server = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # Python adds the address once more, as it calls it
            raise InputError(f"cannot listen at {options.listen}: {reason}") from None
        with server:
            say(f"listening at {options.listen}")
            try:
                service.listen(server, options.rounds, say)
            finally:
                if options.json:
                    _write(options.json, service.rounds, service.forgery_probability)
    if not any(done.key_bits for done in service.rounds):
        raise NoKeyError(f"no key in {len(service.rounds)} rounds; the last one: {service.rounds[-1].dropped}")
    return 0


def _write(target: str, rounds: list[Round], forgery_probability: float) -> None:
    figures: dict[str, Any] = {
        "rounds": [
            asdict(done)
            | {"budget": [{"label": label, "bits": bits} for label, bits in done.budget]}
            | {"epsilons": [{"label": label, "epsilon": epsilon} for label, epsilon in done.epsilons]}
            for done in rounds
        ],
        "rounds_dropped": sum(not done.key_bits for done in rounds),
        "key_bits": sum(done.key_bits for done in rounds),
        "pool_bits": sum(done.pool_bits for done in rounds),
        "forgery_probability": forgery_probability,
    }
    text = json.dumps(figures, indent=2, allow_nan=False) + "\n"
    if target == "-":
        print(text, end="")
    else:
        write_text(target, text)
