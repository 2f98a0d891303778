"""A small certificate authority for one network: KMEs, SAEs and nodes.

A folder holds the authority: `ca.pem`, `ca.key`, `crl.pem` (what was revoked) and, for each bearer, `KIND-ID.pem` and
`KIND-ID.key`, and in `earlier-KIND-ID.pem` what it had before and is still valid: that is revoked with it. Keys are on
the curve P-256 (P-384 for the authority), which every TLS stack takes; a bearer's identity is its one URI
(:mod:`kronborg.network.identity`). A file appears whole or not at all, key files for their owner alone.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import InputError
from .identity import KINDS, Identity, is_id, parse_uri

AUTHORITY_DAYS = 3650
BEARER_DAYS = 90
CRL_DAYS = 30
SKEW = timedelta(minutes=5)
"""By so much a new certificate is older than now: clocks differ."""


@dataclass(frozen=True)
class Issued:
    """What was issued: where it lies, and until when it is valid."""

    identity: Identity
    certificate: Path
    key: Path
    until: datetime


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        file, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(path: Path) -> x509.Certificate:
    """A certificate from its file. Raises InputError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the certificate {path}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path} is no certificate in PEM form") from None


def check_taken(certificate: Path, ca: Path) -> None:
    """See that whoever trusts the authorities in a file takes a certificate now. Raises InputError."""
    found, now = load(certificate), datetime.now(timezone.utc)
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        since, until = (each.date().isoformat() for each in (found.not_valid_before_utc, found.not_valid_after_utc))
        raise InputError(f"{certificate} is valid from {since} to {until} alone: `kronborg ca renew`, or set the clock")
    try:
        # Behind the certificate itself, its file may have those between it and the authority.
        issuers = [*x509.load_pem_x509_certificates(ca.read_bytes())]
        issuers += x509.load_pem_x509_certificates(certificate.read_bytes())[1:]
    except (OSError, ValueError):
        raise InputError(f"{ca} cannot be read as certificates in PEM form") from None
    for issuer in issuers:
        with suppress(ValueError, TypeError, InvalidSignature):
            found.verify_directly_issued_by(issuer)
            return
    raise InputError(f"{certificate} was not issued by an authority in {ca}: nobody here would take it")


def identity_of(certificate: x509.Certificate) -> Identity | None:
    """Whom a certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    found = [parse_uri(uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    return found[0] if len(found) == 1 else None


class Authority:
    """The authority in a folder.

    Raises:
        InputError: there is none, or its files are not what they should be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = load(folder / "ca.pem")
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except OSError as error:
            raise InputError(f"cannot read {folder / 'ca.key'}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise InputError(f"{folder / 'ca.key'} is no private key in PEM form without a passphrase") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self.certificate.public_key():
            raise InputError(f"{folder / 'ca.key'} is not the key of {folder / 'ca.pem'}")
        self._key = key

    @classmethod
    def create(cls, folder: Path, name: str, days: int = AUTHORITY_DAYS) -> Authority:
        """Make a new authority.

        Raises:
            InputError: the folder has one, or cannot be written.
        """
        if (folder / "ca.pem").exists() or (folder / "ca.key").exists():
            raise InputError(f"{folder} holds an authority already: name another folder, all it issued would be void")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {error.strerror}") from None
        key = ec.generate_private_key(ec.SECP384R1())
        try:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        except ValueError:
            raise InputError("an authority's name has 1 to 64 characters") from None
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=_checked(days)))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA384())
        )
        _write(folder / "ca.key", _pem(key), 0o600)
        _write(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        made = cls(folder)
        made._publish([])
        return made

    def files(self, identity: Identity) -> tuple[Path, Path]:
        """Where a bearer's certificate and key lie."""
        stem = f"{identity.kind}-{identity.id}"
        return self.folder / f"{stem}.pem", self.folder / f"{stem}.key"

    def _earlier(self, identity: Identity) -> Path:
        """Where a bearer's certificates lie that were renewed before they ended."""
        return self.folder / f"earlier-{identity.kind}-{identity.id}.pem"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One change at a time: of two that each read a list and write it, one would be lost. Raises InputError."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise InputError(f"cannot open {self.folder}: {error.strerror}") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def issue(self, identity: Identity, hosts: Sequence[str] = (), days: int = BEARER_DAYS) -> Issued:
        """A new key and certificate.

        Args:
            identity: the bearer.
            hosts: names and addresses under which it is reached; a KME needs at least one, and so does an SAE whose
                agent others call.
            days: how long it is valid.

        Raises:
            InputError: the bearer has one (renew it), or a name cannot be.
        """
        if identity.kind not in KINDS or not is_id(identity.id):
            raise InputError(f"{identity.id!r} is no ID: 1 to 64 letters, digits and . _ ~ -")
        if identity.kind == "kme" and not hosts:
            raise InputError("a KME needs the name or address under which SAEs and other KMEs reach it: --host")
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        names += [_host(host) for host in hosts]
        with self._alone():
            if self.files(identity)[0].exists():
                who = f"{identity.kind} {identity.id}"
                raise InputError(f"{who} has a certificate in {self.folder}: renew or revoke it")
            return self._sign(identity, names, days)

    def renew(self, identity: Identity, days: int = BEARER_DAYS) -> Issued:
        """A new key and certificate for a bearer that has one, with the same names. Raises InputError."""
        with self._alone():
            before = load(self.files(identity)[0])
            names = before.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            # Written first: a certificate that nobody remembers could not be revoked.
            kept = [each for each in (*self._replaced(identity), before) if each.not_valid_after_utc > _now()]
            pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in kept)
            _write(self._earlier(identity), pem, 0o644)
            return self._sign(identity, list(names), days)

    def _replaced(self, identity: Identity) -> list[x509.Certificate]:
        """What a bearer had before, as far as it is remembered. Raises InputError."""
        try:
            data = self._earlier(identity).read_bytes()
            return x509.load_pem_x509_certificates(data) if data else []
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            raise InputError(f"{self._earlier(identity)} cannot be read as certificates in PEM form") from None

    def _sign(self, identity: Identity, names: list[x509.GeneralName], days: int) -> Issued:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
        until = min(now + timedelta(days=_checked(days)), self.certificate.not_valid_after_utc)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if identity.kind != "sae" or len(names) > 1:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        authority_key = self._key.public_key()
        certificate = (
            x509.CertificateBuilder(
                self.certificate.subject,
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity.id)]),
                key.public_key(),
                x509.random_serial_number(),
            )
            .not_valid_before(now - SKEW)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
            .sign(self._key, hashes.SHA384())
        )
        certificate_file, key_file = self.files(identity)
        # A reader between the two finds a pair that does not match, and reads again.
        _write(key_file, _pem(key), 0o600)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return Issued(identity, certificate_file, key_file, until)

    def revoke(self, identity: Identity) -> None:
        """Put a bearer's certificates on the list of those that nobody shall take. Raises InputError."""
        certificate_file, key_file = self.files(identity)
        with self._alone():
            found = [*self._replaced(identity), load(certificate_file)]
            self._publish([*self._revoked(), *(each.serial_number for each in found)])
            for file in (certificate_file, key_file, self._earlier(identity)):
                file.unlink(missing_ok=True)

    def publish(self) -> Path:
        """Sign the list of revoked certificates anew, before the old one ends; returns its file."""
        with self._alone():
            return self._publish(self._revoked())

    @property
    def list_until(self) -> datetime:
        """When the list of revoked certificates ends, and with it all new connections. Raises InputError."""
        until = self._list().next_update_utc
        assert until is not None, "lists that this class signs have an end"
        return until

    def _list(self) -> x509.CertificateRevocationList:
        try:
            return x509.load_pem_x509_crl((self.folder / "crl.pem").read_bytes())
        except (OSError, ValueError):
            raise InputError(
                f"cannot read {self.folder / 'crl.pem'}: without it, revoked certificates live on"
            ) from None

    def _revoked(self) -> list[int]:
        return [entry.serial_number for entry in self._list()]

    def _publish(self, serials: Sequence[int]) -> Path:
        now = datetime.now(timezone.utc)
        builder = x509.CertificateRevocationListBuilder(
            self.certificate.subject, now - SKEW, now + timedelta(days=CRL_DAYS)
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now).build())
        signed = builder.sign(self._key, hashes.SHA384())
        _write(self.folder / "crl.pem", signed.public_bytes(serialization.Encoding.PEM), 0o644)
        return self.folder / "crl.pem"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _checked(days: int) -> int:
    if not 1 <= days <= 10 * AUTHORITY_DAYS:
        raise InputError(f"a certificate cannot be valid for {days} days")
    return days


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        if not name or any(character.isspace() or character == "/" for character in name):
            raise ValueError
        return x509.DNSName(name)
    except ValueError:
        raise InputError(f"{name!r} is no host name and no address") from None


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
