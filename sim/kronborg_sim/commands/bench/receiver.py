"""Compare the receiver with another one on the same recordings: noise added, phase error, time."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import venv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import si
from kronborg.errors import InputError, KronborgError
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.receive import receive

from ...recordings import Light, Recorded, record, told_the_truth
from .outcome import Outcome, whole

PEERS = {"qosst": "qosst==0.10.0"}
"""Name, and what is installed in an environment of its own. QOSST is GPL-3: it runs as a process of its own."""
DRIVER = Path(__file__).with_name("qosst_driver.py")
SAMPLE_RATE_HZ = 2.5e9
SIGNAL_SNU = 0.5
"""Of the signal at the detector. What is added is referred to a signal of this variance."""
LINEWIDTHS_HZ = (100.0, 2e3, 10e3, 100e3)
CLOCK_OFFSETS_PPM = (-100.0, -20.0, -2.0, 2.0, 20.0, 100.0)
PREAMBLE_SNU = 300.0
"""The peer looks for the loudest part of the recording."""
DELAY_SAMPLES = 30_000.3
EDGE_SYMBOLS = 32
LOST_SNU = 0.25
"""A receiver that adds half of the signal's variance has lost the frame."""


def frame_of(symbols: int) -> FrameFormat:
    """100 MBd at 25 samples a symbol, two pilots 200 MHz apart, all that the peer's receiver asks for."""
    preamble = Preamble(root=5, length=3989, rate_hz=500e6)
    return FrameFormat(100e6, symbols, 0.5, 100e6, (200e6, 400e6), preamble, 500e6, 10_000)


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
    parser.add_argument(
        "--peer-pilot-filter", type=int, default=20, metavar="N", help="samples of its pilot's average (default 20)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Receive recordings of several linewidths and clock offsets.

    Raises:
        InputError: a number of symbols out of range.
        KronborgError: the peer cannot be installed, or its process fails.
    """
    symbols = whole(options.symbols, 20_000, 10**6, "symbols")
    seed = whole(options.seed, 0, 2**32, "as seed")
    python = None
    if options.peer:
        python = Path(options.peer_python) if options.peer_python else peer_python(options.peer)
    if python and not python.is_file():
        raise InputError(f"--peer-python {python}: there is no such interpreter")
    frame = frame_of(symbols)
    grid = [(linewidth, 0.0) for linewidth in LINEWIDTHS_HZ] + [(LINEWIDTHS_HZ[1], ppm) for ppm in CLOCK_OFFSETS_PPM]
    rows, table = [], [("linewidth, clock", "added noise, phase variance, time a symbol")]
    with progress.stage("recordings", len(grid)) as stage:
        for number, (linewidth_hz, offset_ppm) in enumerate(grid):
            light = Light(
                signal_snu=SIGNAL_SNU,
                pilot_snr_db=options.pilot_snr,
                preamble_snu=PREAMBLE_SNU,
                linewidth_hz=linewidth_hz,
                clock_offset_ppm=offset_ppm,
                delay=DELAY_SAMPLES,
            )
            recorded = record(frame, light, SAMPLE_RATE_HZ, np.random.default_rng([seed, number]))
            truth = told_the_truth(recorded, frame, SAMPLE_RATE_HZ)
            found = {"kronborg": ours(recorded, frame, truth)}
            if python:
                found[options.peer] = peer(python, recorded, frame, truth, options.peer_pilot_filter)
            for name, reception in found.items():
                row = {"receiver": name, "linewidth_hz": linewidth_hz, "clock_offset_ppm": offset_ppm}
                rows.append(row | asdict(reception))
                table.append((f"{si(linewidth_hz, 'Hz')}, {offset_ppm:+g} ppm", f"{name:<10}{_line(reception)}"))
            stage.advance()
    return Outcome({"symbols": symbols, "pilot_snr_db": options.pilot_snr, "seed": seed, "rows": rows}, table)


def _line(reception: Reception) -> str:
    time_ = f"{reception.microseconds_per_symbol:.2f} us"
    if reception.added_msnu is None:
        return f"lost the frame, {time_}"
    return f"{reception.added_msnu:.2f} mSNU, {reception.phase_variance_rad2:.2e} rad^2, {time_}"


@dataclass(frozen=True)
class Reception:
    """What a receiver made of a recording.

    Attributes:
        added_msnu: noise added over a filter that is told the truth, for a signal of SIGNAL_SNU at the detector; None
            where the frame was lost.
        phase_variance_rad2: of the angle between its symbols and that filter's; None likewise.
        microseconds_per_symbol: of processor time.
    """

    added_msnu: float | None
    phase_variance_rad2: float | None
    microseconds_per_symbol: float


def judge(
    symbols: NDArray[np.complex128], recorded: Recorded, truth: NDArray[np.complex128], cpu_seconds: float
) -> Reception:
    """Compare a receiver's symbols with those of the filter that is told the truth.

    Signal over noise follows from the correlation with Alice's symbols, so that neither gain nor a constant phase nor
    the noise's unit matter.
    """
    per_symbol = 1e6 * cpu_seconds / len(recorded.symbols)
    count = min(len(symbols), len(truth))
    # The loud preamble before the first symbols reaches into their pulses.
    y, x, g = (values[EDGE_SYMBOLS:count] for values in (symbols, recorded.symbols, truth))
    if not np.any(y):
        return Reception(None, None, per_symbol)
    added = SIGNAL_SNU * (1 / _signal_to_noise(y, x) - 1 / _signal_to_noise(g, x))
    if added > LOST_SNU:
        return Reception(None, None, per_symbol)
    turned = y / (np.vdot(g, y) / np.vdot(g, g))
    variance = np.average(np.angle(turned * np.conj(g)) ** 2, weights=np.abs(g) ** 2)
    return Reception(1e3 * float(added), float(variance), per_symbol)


def _signal_to_noise(y: NDArray[np.complex128], x: NDArray[np.complex128]) -> float:
    share = abs(np.vdot(x, y)) ** 2 / (np.vdot(x, x).real * np.vdot(y, y).real)
    return float(share / (1 - share))


def ours(recorded: Recorded, frame: FrameFormat, truth: NDArray[np.complex128]) -> Reception:
    """Kronborg's receiver, from acquisition to symbols."""
    began = time.process_time()
    try:
        words = receive(recorded.samples, SAMPLE_RATE_HZ, frame).words
    except InputError:
        words = np.zeros(0, np.complex128)
    return judge(words, recorded, truth, time.process_time() - began)


def peer(
    python: Path, recorded: Recorded, frame: FrameFormat, truth: NDArray[np.complex128], pilot_filter: int
) -> Reception:
    """QOSST's receiver in its own process, given every parameter of the frame."""
    with tempfile.TemporaryDirectory() as folder:
        samples, symbols, request = (Path(folder, name) for name in ("samples.npy", "symbols.npy", "request.json"))
        np.save(samples, recorded.samples.astype(np.float64))
        parameters = {
            "symbol_rate": frame.symbol_rate_hz,
            "dac_rate": frame.transmitter_sample_rate_hz,
            "adc_rate": SAMPLE_RATE_HZ,
            "num_symbols": frame.symbols,
            "roll_off": frame.roll_off,
            "frequency_shift": frame.frequency_shift_hz,
            "num_pilots": len(frame.pilot_frequencies_hz),
            "pilots_frequencies": list(frame.pilot_frequencies_hz),
            "zc_length": frame.preamble.length,
            "zc_root": frame.preamble.root,
            "zc_rate": frame.preamble.rate_hz,
            "process_subframes": True,
            "subframe_length": min(50_000, frame.symbols),
            "pilot_phase_filtering_size": pilot_filter,
        }
        request.write_text(json.dumps({"samples": str(samples), "symbols": str(symbols), "parameters": parameters}))
        done = subprocess.run([python, "-I", DRIVER, request], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise KronborgError(f"the peer's process failed: {last}")
        answer = json.loads(done.stdout.splitlines()[-1])
        received = np.zeros(0, np.complex128) if answer["error"] else np.load(symbols)
    return judge(received, recorded, truth, answer["cpu_seconds"])


def peer_python(name: str) -> Path:
    """The interpreter of an environment that has the peer; the environment is made when it is not there.

    Raises:
        KronborgError: it cannot be installed.
    """
    folder = Path.home() / ".cache" / "kronborg" / "peers" / PEERS[name]
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        installed = subprocess.run(
            [python, "-m", "pip", "install", "-q", PEERS[name]], capture_output=True, check=False
        )
        if installed.returncode:
            shutil.rmtree(folder)
            raise KronborgError(
                f"{PEERS[name]} was not installed: is the package index reached? Or name an interpreter that has it"
                " with --peer-python"
            )
    return python
