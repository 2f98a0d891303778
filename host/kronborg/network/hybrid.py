"""Hybrid keys: a key of quantum key distribution, and an ML-KEM-1024 secret on top. Whoever breaks one has neither.

A KME tells, among what it says of its links, its ML-KEM encapsulation key, signed with the key of its certificate: so
nodes between cannot put their own in its place. Whoever sends it keys encapsulates a fresh secret for them (FIPS 203),
and XORs to each key what HKDF-SHA3-256 makes of the secret and of the key's name, its master and the KME it goes to.

XOR, and not a hash over both: the QKD key's secrecy does not rest on computation, and a hash over it would; a key of
4096 bits would come down to the 256 of the hash. As it is, the key is uniform to whoever lacks either of the two.

Decapsulation keys are made when a KME starts, and again each hour; they are never on a disk. A secret that was sent to
one that is gone cannot be had any more, and its keys turn back.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import InputError, KronborgError
from .certificates import identity_of, load
from .identity import Identity

NAME = "ml-kem-1024"
RENEWAL_SECONDS = 3600.0
CIPHERTEXT_BYTES = 1568
ID_BYTES = 8
MOST_KEY_BYTES = 255 * 32
"""HKDF gives no more."""
LABEL = b"kronborg ML-KEM key 1"


class NoKem(KronborgError):
    """A KME's encapsulation key cannot be had, or is not its own."""


@dataclass(frozen=True)
class Trust:
    """Whose signatures count: the authority's file, and that of revoked certificates."""

    ca: Path
    crl: Path | None

    def certificate(self, pem: str, node: str) -> x509.Certificate:
        """A KME's certificate, if it is one. Raises NoKem."""
        try:
            found = x509.load_pem_x509_certificate(pem.encode())
            authorities = x509.load_pem_x509_certificates(self.ca.read_bytes())
            now = datetime.now(timezone.utc)
            sound = found.not_valid_before_utc <= now <= found.not_valid_after_utc
            if not any(_issued(found, each) for each in authorities):
                raise NoKem("the certificate is not one of this network")
            if self.crl is not None:
                revoked = x509.load_pem_x509_crl(self.crl.read_bytes())
                sound &= revoked.get_revoked_certificate_by_serial_number(found.serial_number) is None
        except (OSError, ValueError, TypeError):
            raise NoKem("the certificate is not one of this network") from None
        if not sound or identity_of(found) != Identity("kme", node):
            raise NoKem("the certificate is not that KME's")
        return found


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority issued a certificate; one that was renewed has the name of the one before."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class Kem:
    """The ML-KEM key pairs of one KME.

    Args:
        certificate, key: the KME's files; the key is on a NIST curve, as `kronborg ca` makes them.

    Raises:
        InputError: the key cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._pairs: dict[bytes, mlkem.MLKEM1024PrivateKey] = {}
        self._made, self._stamp, self._notice = float("-inf"), self._stamps(), ""
        self._signer, self._text = self._read()
        self.notice()

    def _stamps(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self._certificate, self._key))
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {error.strerror}") from None

    def _read(self) -> tuple[ec.EllipticCurvePrivateKey, str]:
        """The key of this KME's certificate, and the certificate. Raises InputError."""
        try:
            signer = serialization.load_pem_private_key(self._key.read_bytes(), None)
        except (OSError, ValueError, TypeError):
            raise InputError(f"{self._key} is no private key in PEM form without a passphrase") from None
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise InputError(f"{self._key} is not on a NIST curve: hybrid keys are signed with ECDSA")
        certificate = load(self._certificate)
        if signer.public_key() != certificate.public_key():
            raise InputError(f"{self._key} is not the key of {self._certificate}")
        return signer, certificate.public_bytes(serialization.Encoding.PEM).decode()

    def notice(self) -> str:
        """What to tell of this KME: its newest encapsulation key and its signature, JSON.

        Files that cannot be used change nothing: what was signed with the ones before goes on to count.
        """
        changed = False
        with suppress(InputError):
            stamp = self._stamps()
            if stamp != self._stamp:
                self._signer, self._text = self._read()
                self._stamp, changed = stamp, True
        if time.monotonic() - self._made > RENEWAL_SECONDS:
            pair = mlkem.MLKEM1024PrivateKey.generate()
            # The one before opens what is under way.
            self._pairs = dict([*self._pairs.items()][-1:])
            self._pairs[_id(pair.public_key().public_bytes_raw())] = pair
            self._made = time.monotonic()
        elif not changed:
            return self._notice
        public = [*self._pairs.values()][-1].public_key().public_bytes_raw()
        self._notice = json.dumps(
            {
                "key": base64.b64encode(public).decode(),
                "certificate": self._text,
                "signature": base64.b64encode(self._signer.sign(LABEL + public, ec.ECDSA(hashes.SHA384()))).decode(),
            }
        )
        return self._notice

    def open(self, kem: str) -> bytes | None:
        """The secret of a ciphertext; None where it was not for a key that is still here."""
        try:
            data = base64.b64decode(kem, validate=True)
        except ValueError:
            return None
        pair = self._pairs.get(data[:ID_BYTES])
        if pair is None or len(data) != ID_BYTES + CIPHERTEXT_BYTES:
            return None
        return pair.decapsulate(data[ID_BYTES:])


def _id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:ID_BYTES]


@lru_cache(maxsize=1024)
def _public(notice: str, node: str, trust: Trust, hour: int) -> bytes:
    """A KME's encapsulation key. Certificates that end or are revoked are noticed within the hour."""
    try:
        said = json.loads(notice)
        public = base64.b64decode(said["key"], validate=True)
        signature, pem = base64.b64decode(said["signature"], validate=True), said["certificate"]
    except (ValueError, KeyError, TypeError):
        raise NoKem("it tells of none") from None
    key = trust.certificate(str(pem), node).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NoKem("its certificate is not on a NIST curve")
    try:
        key.verify(signature, LABEL + public, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise NoKem("its signature is not that of its certificate") from None
    return public


def encapsulate(notice: str, node: str, trust: Trust) -> tuple[str, bytes]:
    """A fresh secret for a KME.

    Args:
        notice: what it tells.
        node: its ID.
        trust: who may say that it is that KME.

    Returns: the ciphertext to send it, and the secret.

    Raises:
        NoKem: what it tells is not to be trusted, or nothing.
    """
    public = _public(notice, node, trust, int(time.time() // 3600))
    try:
        secret, ciphertext = mlkem.MLKEM1024PublicKey.from_public_bytes(public).encapsulate()
    except ValueError:
        raise NoKem("its key is malformed") from None
    return base64.b64encode(_id(public) + ciphertext).decode(), secret


def mask(secret: bytes, key_ids: Sequence[str], key_bytes: int, master: str, kme: str) -> bytes:
    """What a secret adds to keys: as many bytes as they have together.

    Args:
        secret: of ML-KEM.
        key_ids, key_bytes: names and length of the keys.
        master: the SAE that asked.
        kme: where they go.

    Raises:
        ValueError: keys of more than MOST_KEY_BYTES.
    """
    return b"".join(
        HKDF(hashes.SHA3_256(), key_bytes, None, LABEL + json.dumps([name, master, kme]).encode()).derive(secret)
        for name in key_ids
    )
