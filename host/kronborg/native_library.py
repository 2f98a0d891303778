"""The optional native library: one shared object, built by the install where there is a C++ compiler."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache


@cache
def native_library(abi: str, version: int) -> ctypes.CDLL | None:
    """The library, or None where it was not built or belongs to another version of the package.

    Args:
        abi: the function that returns the version of the functions that are wanted.
        version: the one that is known.
    """
    spec = importlib.util.find_spec("kronborg._native")
    if spec is None or spec.origin is None:
        return None
    library = ctypes.CDLL(spec.origin)
    stated = getattr(library, abi, None)
    return library if stated is not None and stated() == version else None
