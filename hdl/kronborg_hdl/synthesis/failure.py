"""Why a tool failed, in a line."""

from __future__ import annotations

import signal
from pathlib import Path


def why(tool: str, status: int, log: Path) -> str:
    """What a tool says of its failure: the last line that begins with ERROR, or the last one.

    Args:
        tool: its name.
        status: with which it ended; below zero the signal that ended it.
        log: file of what it said.
    """
    if status < 0:
        return f"{tool} was ended by {signal.Signals(-status).name}: is there memory enough?"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return f"{tool} failed: {errors[-1] if errors else f'it said nothing, and ended with {status}'}"
