"""Contexts that take renewed files: what was trusted before is not trusted any more."""

import shutil
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from kronborg.errors import InputError
from kronborg.network import certificates
from kronborg.network.certificates import Authority
from kronborg.network.identity import Identity
from kronborg.network.kme.tls import Credentials

KME, ALICE = Identity("kme", "kme-a"), Identity("sae", "alice")


def silent(reason: str) -> None:
    """Nobody counts connections here."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority.create(tmp_path / "pki", "Test")
    made.issue(KME, ["kme.example"])
    made.issue(ALICE)
    return made


def credentials_of(authority: Authority) -> Credentials:
    return Credentials(*authority.files(KME), authority.folder / "ca.pem", authority.folder / "crl.pem")


def client_of(authority: Authority, identity: Identity = ALICE) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.folder / "ca.pem")
    context.load_cert_chain(*authority.files(identity))
    return context


def meets(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether a handshake comes to its end at the server, without any network between the two."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="kme.example")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (one, other):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
            if end is other:
                return True
    return False


def test_a_revocation_counts_within_the_second_of_the_list_before_it(authority: Authority) -> None:
    credentials = credentials_of(authority)
    server, alice = credentials.server(silent), client_of(authority)
    assert meets(server, alice)
    authority.publish()
    authority.revoke(ALICE)
    assert credentials.renew() == {authority.folder / "crl.pem"}
    assert not meets(server, alice)


def test_a_revocation_counts_though_the_authoritys_clock_was_set_back(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = credentials_of(authority)
    server, alice = credentials.server(silent), client_of(authority)
    monkeypatch.setattr(certificates, "SKEW", timedelta(hours=2))
    authority.revoke(ALICE)
    assert credentials.renew()
    assert not meets(server, alice)


def test_an_authority_that_was_replaced_is_not_trusted_any_more(authority: Authority, tmp_path: Path) -> None:
    credentials = credentials_of(authority)
    server, client, alice = credentials.server(silent), credentials.client(), client_of(authority)
    before = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    before.load_cert_chain(*authority.files(KME))
    assert meets(before, client)
    after = Authority.create(tmp_path / "after", "Test")
    after.issue(KME, ["kme.example"])
    after.issue(ALICE)
    for path in after.folder.iterdir():
        shutil.copy(path, authority.folder)
    assert credentials.renew()
    alice.load_verify_locations(authority.folder / "ca.pem")
    assert not meets(server, alice)
    assert meets(server, client_of(after))
    # The same holds for servers that this end calls.
    assert not meets(before, client)
    assert meets(credentials.server(silent), client)


def test_what_is_refused_changes_nothing_and_is_tried_again(authority: Authority) -> None:
    credentials = credentials_of(authority)
    server, alice = credentials.server(silent), client_of(authority)
    authority.revoke(ALICE)

    def refuse() -> None:
        raise InputError("not ours")

    for _ in range(2):
        with pytest.raises(InputError, match="not ours"):
            credentials.renew(refuse)
        assert meets(server, alice)
    assert credentials.renew()
    assert not meets(server, alice)
    assert not credentials.renew()
