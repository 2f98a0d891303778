"""Hybrid keys: whose ML-KEM key it is, and what a secret adds."""

import base64
import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem
from cryptography.hazmat.primitives.hashes import SHA3_256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.network.certificates import Authority
from kronborg.network.hybrid import LABEL, RENEWAL_SECONDS, Kem, NoKem, Trust, encapsulate, mask
from kronborg.network.identity import Identity


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority.create(tmp_path, "test")
    for name in ("kme-a", "kme-b"):
        made.issue(Identity("kme", name), ["x"])
    made.issue(Identity("sae", "alice"))
    return made


def trust(authority: Authority) -> Trust:
    return Trust(authority.folder / "ca.pem", authority.folder / "crl.pem")


def kem(authority: Authority, kind: str = "kme", name: str = "kme-b") -> Kem:
    return Kem(*authority.files(Identity(kind, name)))


def test_both_ends_have_the_same_secret_and_a_new_one_each_time(authority: Authority) -> None:
    far = kem(authority)
    (one, secret), (other, second) = (encapsulate(far.notice(), "kme-b", trust(authority)) for _ in range(2))
    assert far.open(one) == secret
    assert far.open(other) == second != secret
    assert len(secret) == 32


def test_only_the_kme_itself_can_tell_its_key(authority: Authority, tmp_path: Path) -> None:
    notice = kem(authority).notice()
    said, now = json.loads(notice), trust(authority)
    public = base64.b64encode(mlkem.MLKEM1024PrivateKey.generate().public_key().public_bytes_raw()).decode()
    other = json.loads(kem(authority, name="kme-a").notice())
    foreign = Authority.create(tmp_path / "other", "test")  # by name it is the same
    foreign.issue(Identity("kme", "kme-b"), ["x"])
    for changed in (
        said | {"key": public},
        said | {"signature": other["signature"]},
        other,
        json.loads(kem(authority, "sae", "alice").notice()),
        json.loads(kem(foreign).notice()),
        said | {"certificate": "x"},
        {"key": said["key"]},
        [],
        "x",
    ):
        with pytest.raises(NoKem):
            encapsulate(json.dumps(changed), "kme-b", now)
    with pytest.raises(NoKem):
        encapsulate("", "kme-b", now)
    authority.revoke(Identity("kme", "kme-b"))
    with pytest.raises(NoKem, match="not that KME's"):
        encapsulate(json.dumps(said, indent=1), "kme-b", now)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_a_notice_and_a_ciphertext_may_be_anything(text: str) -> None:
    with pytest.raises(NoKem):
        encapsulate(text, "kme-b", Trust(Path("nothing"), None))


def test_a_ciphertext_for_another_key_has_no_secret(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    far = kem(authority)
    text, secret = encapsulate(far.notice(), "kme-b", trust(authority))
    assert kem(authority).open(text) is None  # it was started anew
    for wrong in ("", "!", "AAAA", text[:-4]):
        assert far.open(wrong) is None
    real = time.monotonic
    monkeypatch.setattr("kronborg.network.hybrid.time.monotonic", lambda: real() + RENEWAL_SECONDS + 1)
    assert far.notice() != kem(authority).notice()
    assert far.open(text) == secret  # what was under way still opens
    monkeypatch.setattr("kronborg.network.hybrid.time.monotonic", lambda: real() + 2 * RENEWAL_SECONDS + 2)
    far.notice()
    assert far.open(text) is None


def test_a_renewed_certificate_signs(authority: Authority) -> None:
    far = kem(authority)
    before = json.loads(far.notice())
    authority.renew(Identity("kme", "kme-b"))
    after = json.loads(far.notice())
    assert after["key"] == before["key"]
    assert after["certificate"] != before["certificate"]
    encapsulate(far.notice(), "kme-b", trust(authority))


def test_files_that_do_not_fit_change_nothing_of_what_is_told(authority: Authority) -> None:
    """A node that cannot tell of itself is led by no path any more."""
    far = kem(authority)
    before, (certificate, key) = far.notice(), authority.files(Identity("kme", "kme-b"))
    good = certificate.read_bytes(), key.read_bytes()
    authority.renew(Identity("kme", "kme-b"))
    certificate.write_bytes(good[0])  # the new key beside the old certificate
    assert far.notice() == before
    key.write_text("rubbish")
    assert far.notice() == before
    key.unlink()
    assert far.notice() == before
    encapsulate(before, "kme-b", trust(authority))
    key.write_bytes(good[1])
    encapsulate(far.notice(), "kme-b", trust(authority))


def test_an_authority_may_have_the_name_of_the_one_before(authority: Authority, tmp_path: Path) -> None:
    before = Authority.create(tmp_path / "before", "test")
    one, other = ((each.folder / "ca.pem").read_bytes() for each in (before, authority))
    both = authority.folder / "both.pem"
    for first, second in ((one, other), (other, one)):
        both.write_bytes(first + second)
        encapsulate(kem(authority).notice(), "kme-b", Trust(both, None))


def test_a_key_that_cannot_sign_is_wrong_input(authority: Authority) -> None:
    certificate, key = authority.files(Identity("kme", "kme-b"))
    key.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(InputError, match="not on a NIST curve"):
        Kem(certificate, key)
    key.write_text("x")
    with pytest.raises(InputError, match="no private key"):
        Kem(certificate, key)


def test_what_a_secret_adds_is_bound_to_key_master_and_kme() -> None:
    secret = bytes(range(32))
    both = mask(secret, ["one", "two"], 48, "alice", "kme-b")
    assert both[:48] == HKDF(SHA3_256(), 48, None, LABEL + b'["one", "alice", "kme-b"]').derive(secret)
    others = [
        both[48:],
        mask(secret, ["one"], 48, "bob", "kme-b"),
        mask(secret, ["one"], 48, "alice", "kme-c"),
        mask(bytes(32), ["one"], 48, "alice", "kme-b"),
    ]
    assert len({both[:48], *others}) == 5
