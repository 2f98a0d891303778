import ssl
import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509

from kronborg.cli import main
from kronborg.errors import InputError
from kronborg.network import certificates
from kronborg.network.certificates import Authority, identity_of, load
from kronborg.network.identity import Identity, of_certificate, parse_uri


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki", "Test CA")


def names(path: Path) -> list[str]:
    found = load(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in found]


def test_a_certificate_names_its_bearer_in_one_uri(authority: Authority) -> None:
    issued = authority.issue(Identity("kme", "kme-a"), ["kme-a.example", "10.0.0.1"])
    assert names(issued.certificate) == ["urn:qkd:kme:kme-a", "kme-a.example", "10.0.0.1"]
    assert identity_of(load(issued.certificate)) == Identity("kme", "kme-a")
    left = issued.until - datetime.now(timezone.utc)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_openssl_takes_certificate_key_and_list_together(authority: Authority) -> None:
    issued = authority.issue(Identity("sae", "alice"))
    context = ssl.create_default_context(cafile=str(authority.folder / "ca.pem"))
    context.load_cert_chain(issued.certificate, issued.key)
    context.load_verify_locations(authority.folder / "crl.pem")
    load(issued.certificate).verify_directly_issued_by(authority.certificate)


def test_key_files_are_for_their_owner_alone(authority: Authority) -> None:
    issued = authority.issue(Identity("sae", "alice"))
    for path in (issued.key, authority.folder / "ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_renewal_keeps_the_names_and_changes_the_key(authority: Authority) -> None:
    first = load(authority.issue(Identity("kme", "kme-a"), ["kme-a.example"]).certificate)
    renewed = authority.renew(Identity("kme", "kme-a"), 30)
    second = load(renewed.certificate)
    assert names(renewed.certificate) == ["urn:qkd:kme:kme-a", "kme-a.example"]
    assert first.public_key() != second.public_key()
    assert first.serial_number != second.serial_number


def test_a_revoked_certificate_stays_on_the_list_and_its_bearer_can_have_another(authority: Authority) -> None:
    serials = []
    for sae in ("alice", "bob"):
        serials.append(load(authority.issue(Identity("sae", sae)).certificate).serial_number)
        authority.revoke(Identity("sae", sae))
    authority.publish()
    listed = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in listed] == serials
    assert authority.issue(Identity("sae", "alice")).certificate.exists()


def revoked(authority: Authority) -> set[int]:
    listed = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    return {entry.serial_number for entry in listed}


def test_what_a_bearer_had_before_a_renewal_is_revoked_with_it(authority: Authority) -> None:
    alice = Identity("sae", "alice")
    serials = {load(authority.issue(alice).certificate).serial_number}
    for _ in range(2):
        serials.add(load(authority.renew(alice).certificate).serial_number)
    authority.revoke(alice)
    assert revoked(authority) == serials
    assert len(serials) == 3
    # Its next certificate is another matter.
    authority.issue(alice)
    authority.revoke(alice)
    assert len(revoked(authority)) == 4


def test_what_ended_before_a_renewal_is_not_remembered(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = Identity("sae", "alice")
    authority.issue(alice, days=1)
    later = datetime.now(timezone.utc) + timedelta(days=2)
    monkeypatch.setattr(certificates, "_now", lambda: later)
    authority.renew(alice)
    authority.revoke(alice)
    assert len(revoked(authority)) == 1


def test_a_revocation_while_the_list_is_signed_anew_is_not_lost(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Identity("sae", "alice")
    serial = load(authority.issue(alice).certificate).serial_number
    revoking = threading.Thread(target=lambda: Authority(authority.folder).revoke(alice))
    real = Authority._revoked

    def slow(self: Authority) -> list[int]:
        found = real(self)
        if threading.current_thread() is not revoking:
            revoking.start()
            revoking.join(0.5)  # it waits for us
        return found

    monkeypatch.setattr(Authority, "_revoked", slow)
    authority.publish()
    revoking.join()
    assert revoked(authority) == {serial}


@pytest.mark.parametrize(
    "uri",
    ["urn:qkd:sae:", "urn:qkd:sae:a b", "urn:qkd:king:a", "urn:qkd:sae:a\n", "http://sae/a", "urn:qkd:sae:" + "a" * 65],
)
def test_a_uri_that_names_nobody(uri: str) -> None:
    assert parse_uri(uri) is None


def test_a_certificate_with_two_names_is_nobodys() -> None:
    one, two = ("URI", "urn:qkd:sae:alice"), ("URI", "urn:qkd:sae:bob")
    assert of_certificate({"subjectAltName": (one, ("DNS", "x"))}) == Identity("sae", "alice")
    for found in (None, {}, {"subjectAltName": (one, two)}, {"subject": ((("commonName", "alice"),),)}):
        assert of_certificate(found) is None


def test_wrong_requests_are_refused_in_one_line(authority: Authority, tmp_path: Path) -> None:
    authority.issue(Identity("sae", "alice"))
    with pytest.raises(InputError, match="holds an authority already"):
        Authority.create(authority.folder, "Another")
    for identity, hosts, message in (
        (Identity("sae", "alice"), [], "renew or revoke it"),
        (Identity("sae", "a b"), [], "is no ID"),
        (Identity("sae", "../x"), [], "is no ID"),
        (Identity("kme", "kme-a"), [], "--host"),
        (Identity("kme", "kme-a"), ["no host"], "is no host name"),
    ):
        with pytest.raises(InputError, match=message):
            authority.issue(identity, hosts)
    with pytest.raises(InputError, match="cannot be valid for 0 days"):
        authority.issue(Identity("sae", "bob"), days=0)
    with pytest.raises(InputError, match="cannot read the certificate"):
        authority.renew(Identity("sae", "nobody"))
    with pytest.raises(InputError, match="cannot read the certificate"):
        Authority(tmp_path / "nowhere")
    (authority.folder / "ca.key").write_bytes(authority.files(Identity("sae", "alice"))[1].read_bytes())
    with pytest.raises(InputError, match="is not the key of"):
        Authority(authority.folder)


def test_the_command_makes_renews_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--dir", str(tmp_path / "pki")]
    assert main(["ca", "init", *folder]) == 0
    assert main(["ca", "issue", "kme", "kme-a", "--host", "10.0.0.1", *folder]) == 0
    assert main(["ca", "issue", "sae", "alice", *folder]) == 0
    assert main(["ca", "renew", "sae", "alice", "--days", "5", *folder]) == 0
    assert main(["ca", "revoke", "sae", "alice", *folder]) == 0
    assert main(["ca", "crl", *folder]) == 0
    assert main(["ca", "issue", "kme", "kme-b", *folder]) == 2
    captured = capsys.readouterr()
    assert "urn:qkd:sae:alice revoked" in captured.out
    assert captured.err == (
        "kronborg ca: a KME needs the name or address under which SAEs and other KMEs reach it: --host\n"
    )
    assert sorted(path.name for path in (tmp_path / "pki").iterdir()) == [
        "ca.key", "ca.pem", "crl.pem", "kme-kme-a.key", "kme-kme-a.pem",
    ]  # fmt: skip
