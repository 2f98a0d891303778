"""QOSST's receiver on our recordings, in the modes and with the settings that suit it.

QOSST is GPL-3: it runs in an environment and a process of its own (``qosst_driver.py``), and nothing of it is here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg.errors import KronborgError
from kronborg.link.frame_format import FrameFormat

from ...recordings import Light, Recorded
from .receptions import Reception, judge

PEERS = {"qosst": "qosst==0.10.0"}
"""Name, and what is installed in an environment of its own."""
DRIVER = Path(__file__).with_name("qosst_driver.py")
AS_DOCUMENTED = "as documented"
"""The frame's own parameters, and the defaults of its configuration for all else but the subframes, without which its
general mode ends in an error."""
CHIP_RATE = 1 - 1e-3
"""Share of the true chip rate that the peer is told. It cuts its samples a chip to a whole number, so a clock measured
a shade too slow takes a fifth of the preamble away. It finds the preamble by power: the rate does no harm."""
CLOCK_IS_NOMINAL = 1e-12
"""Any deviation of the clock beyond this is taken for a mistake, so the converter's nominal rate stands."""
SEARCH_GUARD_HZ = 50e6
"""About the second pilot, where the mode for one clock is told not to look for the first."""


def settings(frame: FrameFormat, light: Light, sample_rate_hz: float) -> dict[str, dict[str, Any]]:
    """Names of settings and the arguments of each: all of them are tried on a recording, and the best one counts.

    Its documentation calls one mode general, the others unsafe; the mode for one clock turns the symbols by the beat
    twice, so it is told the beat as a part of every frequency. The general mode measures the clock, unless told not
    to. Short subframes follow what it measured wrongly, long ones have fewer ends; a short filter of the pilot suits
    wide lines, a long average of its phase narrow ones.
    """
    plain: dict[str, Any] = {
        "symbol_rate": frame.symbol_rate_hz,
        "dac_rate": frame.transmitter_sample_rate_hz,
        "adc_rate": sample_rate_hz,
        "num_symbols": frame.symbols,
        "roll_off": frame.roll_off,
        "frequency_shift": frame.frequency_shift_hz,
        "num_pilots": len(frame.pilot_frequencies_hz),
        "pilots_frequencies": list(frame.pilot_frequencies_hz),
        "zc_length": frame.preamble.length,
        "zc_root": frame.preamble.root,
        "zc_rate": frame.preamble.rate_hz,
        "excl": [[0.0, 100e3]],
        "process_subframes": True,
        "subframe_length": min(50_000, frame.symbols),
    }
    general = plain | {"zc_rate": frame.preamble.rate_hz * CHIP_RATE}
    measured = general | {"subframe_length": min(5000, frame.symbols)}
    tried = {
        AS_DOCUMENTED: plain,
        "clock measured, 5000 symbols": measured,
        "clock measured, 5000 symbols, phase averaged over 500": measured | {"pilot_phase_filtering_size": 500},
        "clock measured, 10000 symbols": measured | {"subframe_length": min(10_000, frame.symbols)},
        "clock nominal, 5000 symbols": measured | {"abort_clock_recovery": CLOCK_IS_NOMINAL},
    }
    if light.clock_offset_ppm == 0:
        nominal = general | {"abort_clock_recovery": CLOCK_IS_NOMINAL, "subframe_length": frame.symbols}
        first, second = (frequency + light.beat_frequency_hz for frequency in frame.pilot_frequencies_hz)
        tried |= {
            "clock nominal": nominal,
            "clock nominal, phase averaged over 500": nominal | {"pilot_phase_filtering_size": 500},
            "clock nominal, phase averaged over 1000": nominal | {"pilot_phase_filtering_size": 1000},
            "clock nominal, pilot filter of 300": nominal | {"fir_size": 300},
            "clock nominal, pilot filter of 100": nominal | {"fir_size": 100},
            "mode for one clock, beat told": general
            | {
                "shared_clock": True,
                "frequency_shift": frame.frequency_shift_hz + light.beat_frequency_hz,
                "num_pilots": 1,
                "pilots_frequencies": [first],
                "excl": [[0.0, 100e3], [second - SEARCH_GUARD_HZ, second + SEARCH_GUARD_HZ]],
                # In samples, in this mode.
                "subframe_length": 5000 * round(sample_rate_hz / frame.symbol_rate_hz),
            },
        }
    return tried


@dataclass(frozen=True)
class Try:
    """One reception by the peer, and the name of its settings."""

    settings: str
    reception: Reception


def receptions(
    python: Path,
    recorded: Recorded,
    frame: FrameFormat,
    light: Light,
    sample_rate_hz: float,
    truth: NDArray[np.complex128],
) -> list[Try]:
    """The peer on one recording with each of its :func:`settings`, in one process.

    Raises:
        KronborgError: its process fails. That a reception fails is a lost frame.
    """
    tried = settings(frame, light, sample_rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        samples, request = Path(folder, "samples.npy"), Path(folder, "request.json")
        np.save(samples, recorded.samples.astype(np.float64))
        wanted = [
            {"symbols": str(Path(folder, f"symbols-{number}.npy")), "parameters": parameters}
            for number, parameters in enumerate(tried.values())
        ]
        request.write_text(json.dumps({"samples": str(samples), "wanted": wanted}))
        done = subprocess.run([python, "-I", DRIVER, request], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise KronborgError(f"the peer's process failed: {last}")
        found = []
        for name, asked, answer in zip(tried, wanted, json.loads(done.stdout.splitlines()[-1]), strict=True):
            pieces: list[NDArray[np.complex128]] = []
            if not answer["error"]:
                pieces = np.split(np.load(str(asked["symbols"])), np.cumsum(answer["lengths"])[:-1])
            found.append(Try(name, judge(pieces, recorded, truth, light.signal_snu, answer["cpu_seconds"])))
    return found


def best(tries: list[Try]) -> Try:
    """The one that added least; the first one where every one lost the frame."""
    kept = [(one.reception.added_msnu, number) for number, one in enumerate(tries)]
    return tries[min(((added, number) for added, number in kept if added is not None), default=(0.0, 0))[1]]


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
