"""Long-term keys for a link without a shared secret: ML-DSA signatures, until the first key fills the pool.

ML-DSA-87 (FIPS 204), the highest of its security categories, from OpenSSL. A signature's context names the protocol and
whose message it is, so that none serves elsewhere, nor in the other direction. What rests on them is computational, and
only for as long as the first key takes to make: see docs/security.md.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey, MLDSA87PublicKey

SIGNATURE_BYTES = 4627
CONTEXT = b"kronborg link "


def _library() -> tuple[Any, Any, Any]:
    """Modules `mldsa`, `serialization` and `InvalidSignature` of the library."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ModuleNotFoundError:
        raise InputError("signing messages needs the extra 'link': pip install 'kronborg[link]'") from None
    return mldsa, serialization, InvalidSignature


class SigningKeys:
    """One end's private key, and the other end's public one.

    Args:
        own: signs this end's messages.
        peer: the other end's.

    Raises:
        InputError: both are the same pair: a message of one's own could come back as the other's.
    """

    def __init__(self, own: MLDSA87PrivateKey, peer: MLDSA87PublicKey) -> None:
        if own.public_key().public_bytes_raw() == peer.public_bytes_raw():
            raise InputError("the other end's public key is this end's own: exchange the .pub files of both ends")
        self._own, self._peer = own, peer

    @classmethod
    def load(cls, own: Path, peer: Path) -> SigningKeys:
        """From files in PEM.

        Raises:
            InputError: they cannot be read, or are no keys of ML-DSA-87.
        """
        mldsa, serialization, _ = _library()
        try:
            private = serialization.load_pem_private_key(own.read_bytes(), None)
            public = serialization.load_pem_public_key(peer.read_bytes())
        except OSError as error:
            raise InputError(f"cannot read the signing key {error.filename!r}: {error.strerror}") from None
        except (ValueError, TypeError):
            private = public = None
        if not isinstance(private, mldsa.MLDSA87PrivateKey) or not isinstance(public, mldsa.MLDSA87PublicKey):
            raise InputError(
                f"{str(own)!r} and {str(peer)!r} are not a private and a public key of ML-DSA-87: make them with"
                " kronborg signing-key"
            )
        return cls(private, public)

    def sign(self, lane: str, message: bytes) -> bytes:
        """Of a message of the end called `lane`, this one; SIGNATURE_BYTES."""
        return self._own.sign(message, CONTEXT + lane.encode())

    def is_signed(self, lane: str, signature: bytes, message: bytes) -> bool:
        """Whether the other end, called `lane`, signed this message."""
        try:
            self._peer.verify(signature, message, CONTEXT + lane.encode())
        except _library()[2]:
            return False
        return True


def make_signing_key(path: Path) -> str:
    """Write a new pair, `path`.key (for the owner alone) and `path`.pub; returns the public key's fingerprint.

    Raises:
        InputError: the files exist, or cannot be written.
    """
    mldsa, serialization, _ = _library()
    private = mldsa.MLDSA87PrivateKey.generate()
    public = private.public_key()
    for suffix, mode, text in (
        (
            ".key",
            0o600,
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        ),
        (
            ".pub",
            0o644,
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        ),
    ):
        file = path.with_name(path.name + suffix)
        try:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
                out.write(text)
        except FileExistsError:
            raise InputError(f"{str(file)!r} exists, and is not written over: name another file") from None
        except OSError as error:
            raise InputError(f"cannot write {str(file)!r}: {error.strerror}") from None
    return fingerprint(public)


def fingerprint(public: MLDSA87PublicKey) -> str:
    """SHA-256 of a public key, hexadecimal in groups of eight: to compare by voice."""
    digest = hashlib.sha256(public.public_bytes_raw()).hexdigest()
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))
