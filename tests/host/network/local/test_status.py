"""What a status makes of audit logs."""

import json
from pathlib import Path

from kronborg.network.local.status import audit_of


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
