"""Recordings of a converter's words: SigMF, real 16-bit samples. Files are not trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

META, DATA = ".sigmf-meta", ".sigmf-data"
SIGMF_VERSION = "1.2.0"
LARGEST_METADATA = 1 << 20


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        samples: int16, shape (n,).
        sample_rate_hz: rate of the converter.
        metadata: the SigMF object's global fields.
        path: where its metadata lies.
    """

    samples: NDArray[np.int16]
    sample_rate_hz: float
    metadata: Mapping[str, Any]
    path: Path

    def neighbour(self, field: str) -> Recording:
        """The recording beside this one that a metadata field names (shot noise, electronic noise).

        Raises:
            InputError: the field is missing or no plain name, or the file is no recording.
        """
        name = self.metadata.get(field)
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.path.name} names no recording in field {field!r}")
        # What cannot be printed (a zero byte, half a surrogate pair) cannot be a file's name either.
        if name != Path(name).name or name.startswith(".") or not name.isprintable():
            raise InputError(f"{self.path.name} names {name[:80]!r} in {field!r}, which is not a plain file name")
        return read(self.path.parent / (name + META))


def read(path: Path) -> Recording:
    """Read a recording from its ``.sigmf-meta`` file and the data beside it.

    Raises:
        InputError: a file is missing, truncated or not what it says.
    """
    if path.suffix != META:
        raise InputError(f"{path.name} is not the metadata of a recording: its name must end in {META}")
    fields = _global_fields(path)
    datatype = fields.get("core:datatype")
    if datatype != "ri16_le":
        raise InputError(
            f"{path.name} holds samples of type {str(datatype)[:40]!r}; only real ones, 'ri16_le', are read"
        )
    if fields.get("core:num_channels", 1) != 1:
        raise InputError(f"{path.name} holds several channels in one file; only one is read: split it")
    rate = fields.get("core:sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 1 <= rate < 1e15:
        raise InputError(f"{path.name} has no usable core:sample_rate")
    data = path.with_suffix(DATA)
    try:
        size = data.stat().st_size
        if size == 0 or size % 2:
            raise InputError(
                f"{data.name} has {size} bytes, which is not a whole number of 16-bit samples; is it cut short?"
            )
        samples = np.fromfile(data, "<i2").astype(np.int16, copy=False)
    except OSError as error:
        raise InputError(f"cannot read {data}: {error.strerror or error}") from None
    except MemoryError:
        raise InputError(f"{data.name} does not fit into memory; cut it to one frame") from None
    return Recording(samples, float(rate), fields, path)


def _global_fields(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_METADATA + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    if len(text) > LARGEST_METADATA:
        raise InputError(f"{path.name} is larger than metadata can be")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{path.name} is not JSON") from None
    fields = parsed.get("global") if isinstance(parsed, dict) else None
    if not isinstance(fields, dict):
        raise InputError(f"{path.name} has no 'global' object: not SigMF")
    return fields


def write(path: Path, samples: NDArray[np.int16], sample_rate_hz: float, metadata: Mapping[str, Any]) -> None:
    """Write samples (int16, shape (n,)) and the global fields of their metadata. `path` ends in ``.sigmf-meta``.

    Raises:
        InputError: the disk refuses.
    """
    fields = {"core:datatype": "ri16_le", "core:sample_rate": sample_rate_hz, "core:version": SIGMF_VERSION, **metadata}
    whole = {"global": fields, "captures": [{"core:sample_start": 0}], "annotations": []}
    try:
        samples.astype("<i2", copy=False).tofile(path.with_suffix(DATA))
        path.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def read_symbols(path: Path) -> NDArray[np.complex128]:
    """Alice's symbols from a ``.npy`` file: complex, one-dimensional, finite.

    Raises:
        InputError: anything else.
    """
    try:
        # Not np.load: that also opens archives and pickles.
        with path.open("rb") as file:
            symbols = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception:  # numpy promises no particular exception for a broken file
        raise InputError(f"{path.name} is not a .npy file of numbers, or it is cut short") from None
    if symbols.ndim != 1 or not np.issubdtype(symbols.dtype, np.complexfloating):
        raise InputError(f"{path.name} must hold one row of complex symbols")
    symbols = symbols.astype(np.complex128)
    if not len(symbols) or not np.all(np.isfinite(symbols)) or not np.any(symbols):
        raise InputError(f"{path.name} holds no symbols, or some that are not finite")
    return symbols
