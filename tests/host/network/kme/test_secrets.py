"""No bit of a key in a log, an audit log, a metric or an error; no more than one delivery of any."""

import base64
import json
import logging
import os
import threading
import urllib.request
from pathlib import Path

import pytest

from kronborg.network.database import StoreError
from kronborg.network.key_pools import Key, KeyPools
from kronborg.network.key_store import KeyStore
from kronborg.network.kme.log import LOGGER, AuditLog, Lines, event
from kronborg.network.sqlite import SQLite

from .conftest import Running, running, wait_for
from .test_connections import raw
from .test_etsi014 import error_of, keys_of


def in_any_form(key: bytes, text: bytes) -> bool:
    """Whether a key, or a good part of it, is in a text: raw, in hexadecimal or in base64."""
    forms = (key[:8], key[:8].hex().encode(), base64.b64encode(key)[:12], repr(key[:8])[2:-1].encode())
    return any(form in text for form in forms)


def test_nothing_of_a_key_is_in_logs_audit_log_or_metrics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(Lines().format(record))

    collect = Collect(logging.DEBUG)
    for name in ("", LOGGER.name):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    logging.getLogger().addHandler(collect)
    keys: dict[str, bytes] = {}
    try:
        with running(tmp_path) as network:
            network.fill(10_000)
            for _ in range(4):
                keys |= keys_of(network.enc(number=5))
            keys_of(network.dec(list(keys)[:10]))
            error_of(network.dec(list(keys)[:10]), 400)
            error_of(network.dec(list(keys)[10:], "dave"), 401)
            with raw(network) as connection:
                connection.sendall(b"rubbish\r\n\r\n")
            with monkeypatch.context() as patch:
                # A fault that has a key in its text.
                text = " ".join(base64.b64encode(key).decode() for key in keys.values())
                patch.setattr(KeyPools, "deliver_to_slave", lambda *_, **__: {}[text])
                error = error_of(network.dec(list(keys)[10:]), 503)
            assert error == {"message": "error on server side"}
            metrics = b""
            for kme in ("kme-a", "kme-b"):
                url = f"http://{network.pair.config(kme).metrics_listen}/metrics"
                with urllib.request.urlopen(url, timeout=5) as response:
                    metrics += response.read()
            assert b'kronborg_kme_keys_delivered_total{role="master"} 20.0' in metrics
            wait_for(lambda: "KeyError" in "".join(lines))
    finally:
        logging.getLogger().removeHandler(collect)
    audit = b"".join(path.read_bytes() for path in tmp_path.glob("*.audit.jsonl"))
    assert len(keys) == 20
    for key_id, key in keys.items():
        assert audit.count(key_id.encode()) == 1 + (key_id in list(keys)[:10])
        assert not in_any_form(key, audit + metrics + "\n".join(lines).encode())
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert any("request failed" in line and "raised_at" in line for line in lines)


def test_the_audit_log_says_who_got_what_and_is_for_its_owner_alone(own_network: Running) -> None:
    keys = keys_of(own_network.enc(number=2, additional_slave_SAE_IDs=["dave"]))
    keys_of(own_network.dec(list(keys), "dave"))
    found = []
    for kme in ("kme-a", "kme-b"):
        path = own_network.pair.config(kme).audit_log
        assert path.stat().st_mode & 0o777 == 0o600
        (line,) = path.read_text().splitlines()
        found.append({key: value for key, value in json.loads(line).items() if key != "time"})
    common = {"event": "delivered", "link": "link-ab", "key_ids": list(keys)}
    assert found == [
        {"role": "master", "sae": "alice", "peers": ["bob", "dave"], **common},
        {"role": "slave", "sae": "dave", "peers": ["alice"], **common},
    ]


def test_without_an_audit_log_no_key_goes_out(own_network: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("kronborg.network.kme.log.os.write", lambda *_: 0)
        assert "audit log" in error_of(own_network.enc(), 503)["message"]
    assert keys_of(own_network.enc())


def test_a_rotated_audit_log_goes_on_in_a_new_file(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path / "audit.jsonl")
    audit.delivered(role="master", sae="a", peers=["b"], link="l", key_ids=["1"])
    (tmp_path / "audit.jsonl").rename(tmp_path / "old.jsonl")
    audit.reopen()
    audit.delivered(role="master", sae="a", peers=["b"], link="l", key_ids=["2"])
    audit.close()
    assert [(tmp_path / name).read_text().count("\n") for name in ("old.jsonl", "audit.jsonl")] == [1, 1]


def test_a_line_that_a_full_disk_cut_does_not_take_the_next_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "audit.jsonl", os.write
    audit = AuditLog(path)
    for number in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda file, data: write(file, data[:20]))
            with pytest.raises(StoreError, match="cannot be written"):
                audit.note("lost", number=number)
        audit.note("kept", number=number)
    path.write_bytes(path.read_bytes() + b'{"time": ')
    # As after a power cut.
    audit.close()
    audit = AuditLog(path)
    audit.note("kept", number=2)
    audit.close()
    whole = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    assert [(line["event"], line["number"]) for line in whole] == [("kept", number) for number in range(3)]


def test_the_text_of_other_programs_logs_is_not_shown() -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, "x.py", 7, "path %s", ("/secret",), None)
    assert "secret" not in Lines().format(record)
    assert json.loads(Lines().format(record))["logger"] == "uvicorn.error"


def test_an_event_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER.name):
        event(logging.INFO, "request", status=200, caller='a"b\n')
    line = Lines().format(caplog.records[0])
    assert "\n" not in line
    assert json.loads(line)["caller"] == 'a"b\n'


def test_keys_are_not_in_the_repr_of_what_holds_them(tmp_path: Path) -> None:
    assert "7" not in repr(Key("name", b"7777"))
    with KeyStore(SQLite(tmp_path / "x.sqlite")) as store:
        assert "object at" in repr(store)


def test_what_kmes_say_to_each_other_all_the_time_is_not_in_the_log(
    own_network: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOGGER.name):
        keys_of(own_network.enc())
        wait_for(lambda: len(caplog.records) > 0)
        wait_for(lambda: own_network.kmes["kme-b"].metrics.requests.labels("peer", "voids", 200)._value.get() > 2)
    requests = [record.fields for record in caplog.records if record.msg == "request"]  # type: ignore[attr-defined]
    assert {(fields["interface"], fields["endpoint"]) for fields in requests} == {("sae", "enc_keys")}


def test_an_audit_log_that_is_begun_anew_while_another_thread_writes_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines went into whatever file had the number of the old one next."""
    log, lines = AuditLog(tmp_path / "audit"), 50
    real, reopening = os.write, threading.Thread(target=log.reopen)

    def late(file: int, data: bytes) -> int:
        if not reopening.ident:
            reopening.start()
            reopening.join(0.3)  # it waits for us
        return real(file, data)

    monkeypatch.setattr("kronborg.network.kme.log.os.write", late)
    for number in range(lines):
        log.note("switch", number=number)
    reopening.join()
    log.close()
    assert len((tmp_path / "audit").read_text().splitlines()) == lines
