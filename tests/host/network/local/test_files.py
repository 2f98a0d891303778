"""What a network's folder is given when something of it is missing or ends."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from kronborg.network import certificates
from kronborg.network.certificates import load
from kronborg.network.identity import Identity
from kronborg.network.local.files import Files, authority_of, make_certificates, write_configs
from kronborg.network.local.plan import HOME

from .test_plan import TWO, plan


def test_certificates_that_are_missing_or_end_within_a_day_are_made_and_others_kept(tmp_path: Path) -> None:
    two, files = plan(tmp_path, TWO), Files(tmp_path)
    assert make_certificates(files, two) == 4
    assert make_certificates(files, two) == 0
    authority = authority_of(files, HOME)
    ending, lasting, lost = Identity("kme", "a"), Identity("sae", "sae-a"), Identity("sae", "sae-b")
    authority.renew(ending, 1)
    kept = load(authority.files(lasting)[0])
    authority.files(lost)[0].unlink()
    assert make_certificates(files, two) == 2
    assert load(authority.files(ending)[0]).not_valid_after_utc > datetime.now(timezone.utc) + timedelta(days=30)
    assert authority.files(lost)[0].exists()
    assert load(authority.files(lasting)[0]) == kept


def test_a_list_of_revoked_certificates_that_ends_within_a_week_is_signed_anew_with_all_that_is_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, files = plan(tmp_path, TWO), Files(tmp_path)
    make_certificates(files, two)
    authority = authority_of(files, HOME)
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "CRL_DAYS", 6)
        authority.revoke(Identity("sae", "sae-b"))
    revoked = authority._revoked()
    assert len(revoked) == 1
    make_certificates(files, two)
    assert authority.list_until > datetime.now(timezone.utc) + timedelta(days=20)
    assert authority._revoked() == revoked
    before = (authority.folder / "crl.pem").read_bytes()
    make_certificates(files, two)
    assert (authority.folder / "crl.pem").read_bytes() == before


def test_only_configurations_that_changed_are_written_and_named(tmp_path: Path) -> None:
    two, files = plan(tmp_path, TWO), Files(tmp_path)
    assert write_configs(files, two) == ["a", "b"]
    assert write_configs(files, two) == []
    files.config("b").write_text("changed by hand")
    assert write_configs(files, two) == ["b"]
    assert "crl = " in files.config("b").read_text()
