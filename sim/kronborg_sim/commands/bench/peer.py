"""Other software, run in its own environment and its own process: nothing of it is imported here."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation import Code

PEERS = ("information-reconciliation", "ldpc")
"""Names on PyPI."""

_SCRIPTS = Path(__file__).parent / "peers"


def run_peer(name: str, python: str, snr: float, frames: int, seed: int, code: Code) -> dict[str, Any]:
    """Let a peer correct frames of the same channel; `information-reconciliation` with its codes, `ldpc` with ours.

    Args:
        name: one of `PEERS`.
        python: of the environment that it is installed in.
        snr: per quadrature.
        frames: how many.
        seed: of the simulated channel.
        code: ours.

    Raises:
        InputError: the environment is not there, or the peer is not in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        task: dict[str, Any] = {"snr": snr, "frames": frames, "seed": seed}
        if name == "ldpc":
            task |= {"matrix": str(Path(folder) / "matrix.npz"), "core_length": code.core_length}
            _save_matrix(code, Path(folder) / "matrix.npz")
        script = _SCRIPTS / f"with_{name.replace('-', '_')}.py"
        try:
            finished = subprocess.run(
                [python, str(script), json.dumps(task)], capture_output=True, text=True, cwd=folder
            )
        except OSError as error:
            raise InputError(f"{python} cannot be run: {error.strerror}") from error
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"the peer {name} did not run ({last}): install it with {python} -m pip install {name}")
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    beta, errors = found["rate"] / (0.5 * float(np.log2(1 + snr))), found["failed_frames"] / found["frames"]
    return {
        "name": name,
        **found,
        "reconciliation_efficiency": beta,
        "frame_error_rate": errors,
        "efficiency_times_success": beta * (1 - errors),
    }


def _save_matrix(code: Code, path: Path) -> None:
    """The parity-check matrix as coordinates of its ones."""
    graph = code.graph
    lifted = np.arange(graph.lifting)
    of_row = np.repeat(np.arange(len(graph.row_degrees)), graph.row_degrees)
    checks = (of_row[:, None] * graph.lifting + lifted).ravel()
    variables = (graph.columns[:, None] * graph.lifting + (graph.shifts[:, None] + lifted) % graph.lifting).ravel()
    leaves = np.arange(code.checks - code.core_checks)
    np.savez(
        path,
        rows=np.concatenate([checks, code.core_checks + leaves]).astype(np.int32),
        columns=np.concatenate([variables, code.core_length + leaves]).astype(np.int32),
        shape=np.array([code.checks, code.length]),
    )
