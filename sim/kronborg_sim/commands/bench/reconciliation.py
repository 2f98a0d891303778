"""Correct frames over a simulated channel: efficiency with all leakage charged, frame errors, speed, and peers."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped, si
from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation.codes import choose_code, code_named
from kronborg.postprocessing.reconciliation.measure import METHODS, choose_method, measure
from kronborg.postprocessing.reconciliation.native import instructions_available, native_available

from .outcome import Outcome, whole
from .peer import PEERS, run_peer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--snr", type=float, required=True, metavar="S", help="signal over noise per quadrature")
    parser.add_argument("--frames", type=float, default=20, metavar="N", help="to send (default 20)")
    parser.add_argument("--method", choices=METHODS, help="(default: what leaves more at this SNR)")
    parser.add_argument("--code", metavar="NAME", help="of the eight-dimensional method (default: what suits the SNR)")
    parser.add_argument("--decoder", choices=["native", "numpy"], help="(default: native if it was built)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the simulated channel (default 1)")
    parser.add_argument("--peer", action="append", choices=PEERS, default=[], help="compare with; may be repeated")
    parser.add_argument("--peer-python", metavar="PATH", help="Python of the environment that the peer is installed in")
    parser.add_argument("--peer-frames", type=float, default=4, metavar="N", help="for each peer (default 4)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Measure, peers after that.

    Raises:
        InputError: an SNR that is no positive number, or a peer that is not installed where it was looked for.
        NoKeyError: no code works at this SNR.
    """
    frames, seed = whole(options.frames, 1, 10**6, "frames"), whole(options.seed, 0, 2**63, "as seed")
    peer_frames = whole(options.peer_frames, 1, 10**4, "frames")
    native = None if options.decoder is None else options.decoder == "native"
    if options.peer and not options.peer_python:
        raise InputError("peers run in an environment of their own: name its Python with --peer-python")
    if not options.snr > 0:
        raise InputError(f"an SNR of {options.snr:g} is no positive number: give signal over noise per quadrature")
    code = code_named(options.code) if options.code else None
    if code and options.method == "slices":
        raise InputError("slices have codes of their own: leave --code out, or --method")
    method = options.method or ("multidimensional" if code else choose_method(options.snr))
    with progress.stage(f"{method}, SNR {options.snr:g}", frames) as stage:
        found = measure(options.snr, frames, seed, method=method, code=code, native=native, done=stage.advance)
    native = native_available() if native is None else native
    decoder = ["native", *instructions_available()[:1]] if native else ["numpy"]
    peers = []
    for name in options.peer:
        with progress.stage(name):
            peers.append(run_peer(name, options.peer_python, options.snr, peer_frames, seed, choose_code(options.snr)))
    for peer in peers:
        peer["speed_ratio"] = found.symbols_per_second_per_core / peer["symbols_per_second_per_core"]

    table = [
        ("SNR", f"{found.snr:g} per quadrature, seed {seed}"),
        ("method", f"{found.method}, code {found.code}"),
        (
            "frame",
            f"{grouped(found.symbols_per_frame)} quadratures, {grouped(found.disclosed_bits_per_frame)} disclosed",
        ),
        ("rate", f"{found.rate:.5f} bit per quadrature"),
        ("efficiency", f"{found.reconciliation_efficiency:.4f}"),
        ("frame errors", f"{found.failed_frames} failed, {found.wrong_frames} wrong, of {found.frames}"),
        ("efficiency · success", f"{found.efficiency_times_success:.4f}"),
        ("speed", f"{si(found.symbols_per_second_per_core, 'symbol/s')} a core, {', '.join(decoder)}"),
        ("with map and LLRs", si(found.alice_symbols_per_second_per_core, "symbol/s")),
    ]
    table += [
        (
            "peer",
            f"{peer['name']}: efficiency {peer['reconciliation_efficiency']:.3f}, {peer['failed_frames']} of"
            f" {peer['frames']} failed, {si(peer['symbols_per_second_per_core'], 'symbol/s')}:"
            f" {peer['speed_ratio']:.3g} times slower",
        )
        for peer in peers
    ]
    return Outcome(asdict(found) | {"decoder": " ".join(decoder), "peers": peers}, table)
