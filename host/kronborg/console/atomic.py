"""Write a file so that a reader sees all of it or nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..errors import InputError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace the file `path` by `text` (UTF-8) in one step: a temporary file beside it, then a rename.

    Raises:
        InputError: the directory is missing or cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """The same for what is no text; see :func:`write_text`.

    Raises:
        InputError: the directory is missing or cannot be written.
    """
    # A link stays a link; what is no ordinary file (a device, a pipe) is written to and never replaced.
    target = Path(path).resolve()
    temporary = None
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private; a report is as readable as any file the user makes.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"cannot write {str(target)!r}: {reason}; name a file in a directory that you can write"
        ) from None
    finally:
        if temporary is not None:
            os.unlink(temporary)


def check_writable(path: str | os.PathLike[str]) -> None:
    """See that :func:`write_text` could write this file, as far as one can see without writing it.

    Raises:
        InputError: its folder is missing or closed to writing, or it is a folder itself.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file() and not target.is_dir():
        return
    if target.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {str(target)!r}; name a file in a directory that you can write")
