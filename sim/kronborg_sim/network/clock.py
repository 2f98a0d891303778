"""The `kronborg` command on a machine whose clock somebody sets: ``python -m kronborg_sim.network.clock FILE …``.

What Python tells as the time is that of the machine and what the file says, which may change while the program runs.
Clocks that nobody can set (`time.monotonic`) go on as they are, and TLS looks at the machine's own.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

_SECONDS = struct.Struct("d")


def set_clock(file: Path, seconds: float) -> None:
    """Have the clock be so many seconds ahead of the machine's; the file is made if it is not there."""
    # Written in place: who has it open sees it at once, and eight bytes are never seen in part.
    with file.open("r+b" if file.exists() else "w+b") as stream:
        stream.write(_SECONDS.pack(seconds))


def follow(file: Path) -> None:
    """Tell the time by the file from now on, in all of this process."""
    with file.open("rb") as stream:
        ahead = mmap.mmap(stream.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    real, real_ns = time.time, time.time_ns

    def seconds() -> float:
        return float(_SECONDS.unpack(ahead)[0])

    time.time = lambda: real() + seconds()
    time.time_ns = lambda: real_ns() + int(1e9 * seconds())


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
    from kronborg.cli import main

    sys.exit(main(sys.argv[2:]))
