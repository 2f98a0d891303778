"""The manifest of an overlay's files: what they are for, and whether they are still what was built. Pure Python."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOT_BUILT = "not built"
BUILT = "built"
NOBODY = "no"
"""Who has run a bitstream on hardware, until somebody has: then by whom and when."""
MANIFEST = "manifest.json"
PACKED = ".xz"
"""How the name of a bitstream ends that is kept small."""


def load(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        ValueError: there is none, or it is no manifest.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except OSError:
        raise ValueError(f"there is no {MANIFEST} in {str(folder)!r}: kronborg build writes one") from None
    except ValueError:
        raise ValueError(f"{str(path)!r} is no manifest: kronborg build writes one") from None
    if not isinstance(manifest, dict) or not {"overlay", "board", "status", "sha256"} <= set(manifest):
        raise ValueError(f"{str(path)!r} is no manifest: kronborg build writes one")
    return manifest


def check(folder: Path) -> list[str]:
    """What differs from the manifest in a folder: files that are missing or have changed.

    A bitstream that lies there packed may lie beside it unpacked: then that one is checked too.
    """
    found = []
    manifest = load(folder)
    digests = dict(manifest["sha256"])
    if (packed := str(manifest.get("bitstream"))).endswith(PACKED):
        unpacked = packed.removesuffix(PACKED)
        if (folder / unpacked).exists():
            digests[unpacked] = manifest["bitstream_sha256"]
    for file, digest in digests.items():
        path = folder / file
        if not path.exists():
            found.append(f"{file} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{file} is not the one that was built")
    return found


def built(
    planned: str,
    files: Mapping[str, bytes],
    *,
    bitstream: str,
    tool: str,
    tools: Mapping[str, str],
    seed: int,
    utilisation: Mapping[str, tuple[int, int]],
    asked_hz: float,
    reached_hz: float,
) -> str:
    """The manifest of files with a bitstream, text.

    Args:
        planned: the manifest of the same overlay and board before there was one.
        files: contents by name.
        bitstream: which of them it is.
        tool: that placed and routed it.
        tools: all that it follows from, with their versions.
        seed: of the placement.
        utilisation: used and there, of each kind of cell.
        asked_hz: of the clock.
        reached_hz: after routing.
    """
    manifest = {
        **json.loads(planned),
        "revision": revision(),
        "status": BUILT,
        "bitstream": bitstream,
        "tool": tool,
        "tools": dict(tools),
        "seed": seed,
        "utilisation": {kind: list(pair) for kind, pair in utilisation.items()},
        "timing": {"asked_hz": round(asked_hz), "reached_hz": round(reached_hz)},
        "run_on_hardware": NOBODY,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "notes": ["Placed, routed and packed; nobody has run it on a board yet."],
    }
    return json.dumps(manifest, indent=2) + "\n"


def revision() -> str:
    """Of the sources that this runs from; "unknown" where they are no clone."""
    home = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return said.stdout.strip() or "unknown"
