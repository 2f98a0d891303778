"""What a status makes of audit logs, and of what KMEs tell."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from kronborg.network.local import status as module
from kronborg.network.local.metrics import Told
from kronborg.network.local.plan import read_plan
from kronborg.network.local.processes import Processes
from kronborg.network.local.status import audit_of, lines_of, status

from .test_plan import TWO


def line(role: str, sae: str, peer: str, *names: str) -> str:
    return json.dumps(
        {"time": "2026-01-01T00:00:00+00:00", "event": "delivered", "role": role, "sae": sae, "peers": [peer],
         "link": "l", "key_ids": names}
    )  # fmt: skip


def test_deliveries_are_counted_by_pair_at_both_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        line("master", "alice", "bob", "1", "2") + "\n" + line("slave", "alice", "bob", "9") + "\n"
    )
    (tmp_path / "b").write_text(line("slave", "bob", "alice", "1") + "\n" + '{"time": "2026')
    (tmp_path / "gate").write_text(2 * (line("border", "kms-se", "alice", "2") + "\n"))
    found = audit_of([tmp_path / "a", tmp_path / "b", tmp_path / "gate", tmp_path / "none"])
    assert [(each["master"], each["slave"], each["to_master"], each["to_slave"]) for each in found["pairs"]] == [
        ("alice", "bob", 2, 1),
        ("bob", "alice", 0, 1),
    ]
    assert (found["deliveries"], found["delivered_twice"], found["unreadable"], found["trouble"]) == (5, 0, 1, "")


def test_a_key_that_an_sae_was_handed_twice_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        line("slave", "bob", "alice", "1") + "\n" + line("slave", "bob", "alice", "2", "1") + "\n"
    )
    found = audit_of([tmp_path / "a"])
    assert found["delivered_twice"] == 1
    assert found["trouble"] == "1 keys were handed to the same SAE twice"


LINK = "simulated-a--b"
TUNNEL = '[[tunnel]]\nends = ["a", "b"]\n'


def told(**changes: float) -> Told:
    """What Prometheus would read at a KME that is well, but for these changes; at an agent, too."""
    found = {
        "kme_store_sound": 1.0,
        "kme_certificate_expiry_seconds": time.time() + 60 * 86_400,
        "kme_peer_up": 1.0,
        "unequal": 0.0,
        "ready": 4096.0,
        "encryptor_open": 1.0,
    } | changes
    metrics = {(f"kronborg_{name}", frozenset[tuple[str, str]]()): value for name, value in found.items()}
    metrics["kronborg_kme_peer_up", frozenset({("link", LINK)})] = found["kme_peer_up"]
    blocks = frozenset({("link", LINK), ("outcome", "unequal")})
    metrics["kronborg_kme_blocks_total", blocks] = found["unequal"]
    for way in ("out", "in"):
        place = frozenset({("link", LINK), ("direction", way), ("item", "ready")})
        metrics["kronborg_kme_pool_bytes", place] = found["ready"]
    return metrics


def seen(folder: Path, patch: pytest.MonkeyPatch, one: Told | None, other: Told | None) -> dict[str, Any]:
    """The status of two sites that run and tell this."""
    (folder / "network.toml").write_text(TWO + TUNNEL)
    plan = read_plan(folder / "network.toml")
    answers = dict.fromkeys((plan.sites["a"].metrics_listen, plan.sites["a"].agent_metrics_listen), one)
    patch.setattr(module, "metrics_of", lambda address: answers.get(address, other))
    patch.setattr("kronborg.network.local.operate.PROGRAMS", dict.fromkeys(["sh"], "dash"))
    patch.setattr("kronborg.network.local.operate.os.geteuid", lambda: 0)
    processes = Processes(folder / "processes.json")
    for name in ("a", "b", "links", "tunnel-1", "agent-a", "agent-b"):
        if not processes.runs(name):
            processes.start(name, ["sleep", "600"], folder / "log")
    try:
        return status(folder)
    finally:
        processes.end()


def test_a_network_that_is_well_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(tmp_path, monkeypatch, told(), told())
    assert found["healthy"]
    assert [link["stored_bits"] for link in found["links"]] == [8 * 2 * 4096]
    assert found["tunnels"][0]["open"]
    assert "all well" in lines_of(found)[0]
    for keys, said in ((0, "0 keys used"), (1, "1 key used"), (2, "2 keys used")):
        found["tunnels"][0]["keys_used"] = keys
        assert any(f": {said}, this one" in line for line in lines_of(found))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kme_store_sound": 0.0}, "a: its store is damaged"),
        ({"kme_certificate_expiry_seconds": time.time() + 86_400}, "a: its certificate ends soon"),
        ({"kme_peer_up": 0.0}, f"{LINK}: an end does not answer"),
        ({"unequal": 2.0}, f"{LINK}: 2 blocks differed between the ends and are void"),
        ({"ready": 0.0}, f"{LINK}: has no key"),
        ({"encryptor_open": 0.0}, "tunnel-1: is closed: it has no young key"),
    ],
)
@pytest.mark.parametrize("end", [0, 1])
def test_what_is_not_well_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, float], said: str, end: int
) -> None:
    ends = [told(), told()]
    ends[end] = told(**change)
    found = seen(tmp_path, monkeypatch, ends[0], ends[1])
    assert not found["healthy"]
    (line,) = [line.strip() for line in lines_of(found) if said.partition(": ")[2] in line]
    assert line.startswith(said if not said.startswith("a: ") else f"{'ab'[end]}: {said[3:]}")
    assert "NOT WELL" in lines_of(found)[0]


def test_a_key_that_was_handed_out_twice_is_no_good_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sites" / "a").mkdir(parents=True)
    (tmp_path / "sites" / "a" / "audit.jsonl").write_text(2 * (line("slave", "sae-a", "sae-b", "1") + "\n"))
    found = seen(tmp_path, monkeypatch, told(), told())
    assert not found["healthy"]
    assert "  audit: 1 keys were handed to the same SAE twice" in lines_of(found)


def test_a_network_that_does_not_run_is_two_lines_and_what_was_handed_out_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(tmp_path, monkeypatch, None, None)
    found = status(tmp_path)
    assert not found["healthy"]
    assert [each.strip() for each in lines_of(found) if each][1:] == [
        "none of its processes runs: kronborg network up begins it"
    ]
    (tmp_path / "sites" / "a").mkdir(parents=True)
    (tmp_path / "sites" / "a" / "audit.jsonl").write_text(2 * (line("slave", "sae-a", "sae-b", "1") + "\n"))
    assert lines_of(status(tmp_path))[-1] == "  audit: 1 keys were handed to the same SAE twice"


def test_a_site_that_runs_and_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(tmp_path, monkeypatch, told(), None)
    assert [site["trouble"] for site in found["sites"]] == ["", "does not answer"]
    assert found["links"][0]["trouble"] == "b does not answer"
    assert seen(tmp_path, monkeypatch, None, None)["links"][0]["trouble"] == "a and b do not answer"
