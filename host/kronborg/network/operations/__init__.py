"""What an operator's machines run a network with: systemd units, and alarms for Prometheus."""

from __future__ import annotations

import sys
from pathlib import Path

from ...errors import InputError

HERE = Path(__file__).parent
UNITS = ("*.service", "*.timer", "*.yml")
PROGRAM = "@KRONBORG@"
"""In a unit: where the program is."""


def write_units(folder: Path, program: str | None = None) -> list[Path]:
    """Write all units and alarms to a folder; returns their paths.

    Args:
        folder: made if it is not there.
        program: path of the `kronborg` that units call; by default the one beside this Python.

    Raises:
        InputError: the folder cannot be written.
    """
    found = program or str(Path(sys.executable).with_name("kronborg"))
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(path for pattern in UNITS for path in HERE.glob(pattern)):
            target = folder / source.name
            target.write_text(source.read_text("utf-8").replace(PROGRAM, found), "utf-8")
            written.append(target)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from None
    return written
