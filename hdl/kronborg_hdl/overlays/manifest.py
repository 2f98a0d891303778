"""The manifest of an overlay's files: what they are for, and whether they are still what was built. Pure Python."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

NOT_BUILT = "not built"
MANIFEST = "manifest.json"


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
    """What differs from the manifest in a folder: files that are missing or have changed."""
    found = []
    for file, digest in load(folder)["sha256"].items():
        path = folder / file
        if not path.exists():
            found.append(f"{file} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{file} is not the one that was built")
    return found
