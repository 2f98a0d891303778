"""Which database a key store is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .database import Database

BACKENDS = ("sqlite", "sqlcipher", "postgresql")


@dataclass(frozen=True)
class StoreSettings:
    """Where keys are kept.

    Attributes:
        backend: one of BACKENDS.
        path: the file of `sqlite` and `sqlcipher`.
        key_file: that of `sqlcipher`, which holds its key.
        url: that of `postgresql`.
    """

    backend: str = "sqlite"
    path: Path = Path()
    key_file: Path = Path()
    url: str = field(default="", repr=False)

    def open(self) -> Database:
        """Open it, and make it if there is none.

        Raises:
            InputError: it cannot be opened, or what this backend needs is not installed.
        """
        try:
            if self.backend == "sqlcipher":
                from .sqlcipher import SQLCipher

                return SQLCipher(self.path, self.key_file)
            if self.backend == "postgresql":
                from .postgresql import PostgreSQL

                return PostgreSQL(self.url)
        except ImportError:
            wants = f"the store's backend needs the extra '{self.backend}'"
            raise InputError(f"{wants}: pip install 'kronborg[{self.backend}]'") from None
        from .sqlite import SQLite

        return SQLite(self.path)
