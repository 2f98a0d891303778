"""Requests from the interface's own description. `kronborg bench fuzz` runs them for as long as wanted."""

from kronborg_sim.network.fuzz import Findings, fuzz

from .conftest import Running


def test_requests_that_nobody_thought_of_meet_no_server_error(network: Running) -> None:
    findings = Findings()
    fuzz(network.pair, examples=25, seed=1, findings=findings)
    assert findings.faults == {}
    assert findings.statuses.total() > 150
    assert {200, 400} <= set(findings.statuses)


def test_a_server_error_would_be_seen() -> None:
    findings = Findings()
    for status, kind, body in (
        (500, "application/json", b'{"message": "x"}'),
        (503, "application/json", b'{"message": "error on server side"}'),
        (400, "application/json", b"{}"),
        (400, "text/plain", b'{"message": "x"}'),
        (200, "application/json", b"[]"),
    ):
        before = len(findings.faults)
        findings.note("GET /x", status, kind, body)
        assert len(findings.faults) == before + 1
    findings.note("GET /x", 503, "application/json", b'{"message": "insufficient key material"}')
    assert len(findings.faults) == 5
