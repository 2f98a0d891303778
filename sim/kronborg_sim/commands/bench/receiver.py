"""Compare the receiver with another one on the same recordings: noise added, phase error, time."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import si
from kronborg.errors import InputError
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.receive import receive

from ...recordings import Light, Recorded, record, told_the_truth
from .outcome import Outcome, whole, within
from .qosst import AS_DOCUMENTED, PEERS, best, peer_python, receptions
from .receptions import Reception, all_but_the_phase, judge

SAMPLE_RATE_HZ = 2.5e9
SIGNAL_SNU = 0.5
"""Of the signal at the detector. What is added is referred to a signal of this variance."""
LINEWIDTHS_HZ = (100.0, 2e3, 10e3, 100e3)
CLOCK_OFFSETS_PPM = (-100.0, -20.0, -2.0, 2.0, 20.0, 100.0)
PILOT_SNR_DB = (0.0, 50.0)
"""Between which a pilot may be."""
PREAMBLE_SNU = 300.0
"""The peer looks for the loudest part of the recording."""
PILOT_STEP_DB = 3.0
"""The peer takes the phase from the strongest tone of each piece: the second pilot has to be the weaker one."""
DELAY_SAMPLES = 30_000.3


def frame_of(symbols: int) -> FrameFormat:
    """The frame of the peer's own configuration, 100 MBd at 25 samples a symbol, but for the second pilot.

    That lies 200 MHz above the first one and not 20 MHz: the peer measures the clock ten times as finely. Two such
    pilots take a transmitter as fast as the receiver.
    """
    preamble = Preamble(root=5, length=3989, rate_hz=500e6)
    return FrameFormat(100e6, symbols, 0.5, 100e6, (200e6, 400e6), preamble, SAMPLE_RATE_HZ, 50_000)


def light_of(linewidth_hz: float, clock_offset_ppm: float = 0.0, pilot_snr_db: float = 20.0) -> Light:
    """What reaches the detector in a recording of the comparison."""
    return Light(
        signal_snu=SIGNAL_SNU,
        pilot_snr_db=pilot_snr_db,
        pilot_step_db=PILOT_STEP_DB,
        preamble_snu=PREAMBLE_SNU,
        linewidth_hz=linewidth_hz,
        clock_offset_ppm=clock_offset_ppm,
        delay=DELAY_SAMPLES,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--peer", choices=PEERS, help="receive the same samples with this one too")
    parser.add_argument(
        "--peer-python", metavar="PATH", help="interpreter that has the peer (default: an environment made for it)"
    )
    parser.add_argument("--symbols", type=float, default=1e5, metavar="N", help="of each recording (default 1e5)")
    parser.add_argument(
        "--pilot-snr", type=float, default=20.0, metavar="DB", help="in the symbol-rate bandwidth (default 20)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Receive recordings of several linewidths and clock offsets.

    Raises:
        InputError: a figure out of range, or a peer's interpreter without a peer.
        KronborgError: the peer cannot be installed, or its process fails.
    """
    symbols = whole(options.symbols, 20_000, 10**6, "symbols")
    seed = whole(options.seed, 0, 2**32, "as seed")
    snr_db = within(options.pilot_snr, *PILOT_SNR_DB, "dB of --pilot-snr")
    if options.peer_python and not options.peer:
        raise InputError(f"--peer-python is of a peer: give --peer too ({', '.join(PEERS)})")
    python = None
    if options.peer:
        python = Path(options.peer_python) if options.peer_python else peer_python(options.peer)
    if python and not python.is_file():
        raise InputError(f"--peer-python {python}: there is no such interpreter")
    frame = frame_of(symbols)
    grid = [(linewidth, 0.0) for linewidth in LINEWIDTHS_HZ] + [(LINEWIDTHS_HZ[1], ppm) for ppm in CLOCK_OFFSETS_PPM]
    rows: list[dict[str, Any]] = []
    table = [("linewidth, clock", "added noise, phase variance, time a symbol")]
    with progress.stage("recordings", len(grid)) as stage:
        for number, (linewidth_hz, offset_ppm) in enumerate(grid):
            light = light_of(linewidth_hz, offset_ppm, snr_db)
            recorded = record(frame, light, SAMPLE_RATE_HZ, np.random.default_rng([seed, number]))
            truth = told_the_truth(recorded, frame, SAMPLE_RATE_HZ)
            rng = np.random.default_rng([seed, number, 1])
            limit = all_but_the_phase(recorded, frame, light, SAMPLE_RATE_HZ, truth, rng)
            place = {
                "linewidth_hz": linewidth_hz,
                "clock_offset_ppm": offset_ppm,
                "all_but_the_phase_msnu": limit.added_msnu,
            }
            where = f"{si(linewidth_hz, 'Hz')}, {offset_ppm:+g} ppm"
            table.append((where, f"{'all but the phase':<19}{_noise(limit)}"))
            found = ours(recorded, frame, truth)
            rows.append({"receiver": "kronborg"} | place | asdict(found))
            table.append((where, f"{'kronborg':<19}{_line(found)}"))
            if python:
                tries = receptions(python, recorded, frame, light, SAMPLE_RATE_HZ, truth)
                chosen = best(tries)
                tried = [{"settings": one.settings} | asdict(one.reception) for one in tries]
                peer = {"receiver": options.peer} | place | asdict(chosen.reception)
                rows.append(peer | {"settings": chosen.settings, "tried": tried})
                table.append((where, f"{options.peer:<19}{_line(chosen.reception)} ({chosen.settings})"))
            stage.advance()
    lost = frames_lost(rows)
    table += [(f"frames lost, {name}", ", ".join(places) or "none") for name, places in lost.items()]
    figures = {"symbols": symbols, "pilot_snr_db": snr_db, "seed": seed, "rows": rows, "frames_lost": lost}
    if python:
        figures["more_noise_than_the_peer"] = worse = more_noise_than_the_peer(rows)
        table.append((f"more noise than {options.peer}", ", ".join(worse) or "nowhere"))
    return Outcome(figures, table)


def frames_lost(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Where each receiver lost the frame; for the peer also where it does with the settings of its documentation."""
    lost: dict[str, list[str]] = {}
    for row in rows:
        documented = [one for one in row.get("tried", []) if one["settings"] == AS_DOCUMENTED]
        named = [(row["receiver"], row)] + [(f"{row['receiver']} {AS_DOCUMENTED}", one) for one in documented]
        for name, reception in named:
            places = lost.setdefault(name, [])
            if reception["added_msnu"] is None:
                places.append(_place(row))
    return lost


def more_noise_than_the_peer(rows: list[dict[str, Any]]) -> list[str]:
    """Where the peer has the frame and adds less than ours: rows come in pairs, ours first."""
    return [
        _place(mine)
        for mine, other in zip(rows[::2], rows[1::2], strict=True)
        if other["added_msnu"] is not None and (mine["added_msnu"] is None or mine["added_msnu"] > other["added_msnu"])
    ]


def _place(row: dict[str, Any]) -> str:
    return f"{si(row['linewidth_hz'], 'Hz')} {row['clock_offset_ppm']:+g} ppm"


def _noise(reception: Reception) -> str:
    if reception.added_msnu is None:
        return "lost the frame"
    return f"{reception.added_msnu:.2f} mSNU, {reception.phase_variance_rad2:.2e} rad^2"


def _line(reception: Reception) -> str:
    return f"{_noise(reception)}, {reception.microseconds_per_symbol:.2f} us"


def ours(recorded: Recorded, frame: FrameFormat, truth: NDArray[np.complex128]) -> Reception:
    """Kronborg's receiver, from acquisition to symbols."""
    began = time.process_time()
    try:
        words = receive(recorded.samples, SAMPLE_RATE_HZ, frame).words
    except InputError:
        words = np.zeros(0, np.complex128)
    return judge([words], recorded, truth, SIGNAL_SNU, time.process_time() - began)
