"""SQLite with every page encrypted and authenticated (SQLCipher): keys at rest need a second file to be read.

Whoever destroys the 32 bytes of the key file has erased the store, on flash memory too. Needs the extra `sqlcipher`.
"""

from __future__ import annotations

import stat
from pathlib import Path

import sqlcipher3.dbapi2

from .database import StoreDamaged, StoreError
from .sqlite import SQLite

KEY_BYTES = 32


class SQLCipher(SQLite):
    """An encrypted key store.

    Args:
        path: its file.
        key_file: KEY_BYTES random bytes, readable by their owner alone (``head -c 32 /dev/urandom``).

    Raises:
        StoreError: it cannot be opened, or not with this key.
    """

    module = sqlcipher3.dbapi2

    def __init__(self, path: Path, key_file: Path) -> None:
        self._key_file = key_file
        super().__init__(path)

    def _unlock(self) -> None:
        try:
            mode, key = self._key_file.stat().st_mode, self._key_file.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read the key of the key store, {self._key_file}: {error.strerror}") from None
        if len(key) != KEY_BYTES:
            raise StoreError(f"the key of the key store, {self._key_file}, has {len(key)} bytes and not {KEY_BYTES}")
        if stat.S_IMODE(mode) & 0o077:
            raise StoreError(f"others may read the key of the key store: chmod 600 {self._key_file}")
        # Not through a statement that an error might quote.
        self._connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        try:
            self._connection.execute("SELECT COUNT(*) FROM sqlite_master")
        except self.module.Error:
            raise StoreError(f"cannot open the key store {self.path} with the key {self._key_file}") from None

    def check(self) -> None:
        """Check the authentication of every page, and then as any SQLite file. Raises StoreDamaged."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA cipher_integrity_check")]
        except self.module.Error as error:
            found = [str(error)]
        if found:
            raise StoreDamaged(self.name, " ".join(found[0].split()))
        super().check()
