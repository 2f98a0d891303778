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
    if not isinstance(manifest, dict) or not _is_whole(manifest):
        raise ValueError(f"{str(path)!r} is no manifest: kronborg build writes one")
    return manifest


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether what is read from a manifest is there, and is what it must be; a bitstream has its SHA-256."""
    streams = manifest.get("streams", {"into": [], "out_of": []})
    if not isinstance(streams, dict) or not all(isinstance(streams.get(way), list) for way in ("into", "out_of")):
        return False
    words = [manifest.get(key) for key in ("overlay", "board", "status", "kronborg_version")]
    sizes = [manifest.get(key, 1) for key in ("lanes", "clock_hz", "baud")]
    if not all(isinstance(word, str) for word in [*words, *streams["into"], *streams["out_of"]]):
        return False
    if not all(isinstance(size, int) and size > 0 for size in sizes) or not _are_names(manifest.get("sha256")):
        return False
    if manifest["status"] == BUILT:
        return str(manifest.get("bitstream")) in manifest["sha256"] and _unpacked(manifest) is not None
    return bool(manifest["status"] == NOT_BUILT)


def _are_names(digests: object) -> bool:
    """Whether it is files of one folder, each with text."""
    return isinstance(digests, dict) and all(
        Path(name).name == name and isinstance(digest, str) for name, digest in digests.items()
    )


def _unpacked(manifest: dict[str, Any]) -> dict[str, str] | None:
    """Name and SHA-256 of what a packed bitstream is made from, nothing if it is not packed; None if it is not said."""
    if not (bitstream := str(manifest["bitstream"])).endswith(PACKED):
        return {}
    digest = manifest.get("bitstream_sha256")
    return {bitstream.removesuffix(PACKED): digest} if isinstance(digest, str) else None


def check(folder: Path) -> list[str]:
    """What differs from the manifest in a folder: files that are missing or have changed.

    A bitstream that lies there packed may lie beside it unpacked: then that one is checked too.
    """
    found = []
    manifest = load(folder)
    digests = dict(manifest["sha256"])
    if manifest["status"] == BUILT:
        digests |= {file: digest for file, digest in (_unpacked(manifest) or {}).items() if (folder / file).exists()}
    for file, digest in digests.items():
        try:
            same = hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
        except FileNotFoundError:
            found.append(f"{file} is missing")
        except OSError as error:
            found.append(f"{file} cannot be read ({error.strerror})")
        else:
            found += [] if same else [f"{file} is not the one that was built"]
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


def revision(home: Path = Path(__file__)) -> str:
    """Of the sources that this runs from; "unknown" where they are no clone, though they may lie within one."""
    try:
        _git(home, "ls-files", "--error-unmatch", home.name)
        return _git(home, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(home: Path, *command: str) -> str:
    said = subprocess.run(["git", *command], cwd=home.parent, capture_output=True, text=True, check=True)
    return said.stdout.strip()
