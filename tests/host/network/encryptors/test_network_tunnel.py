"""`kronborg network up` with a tunnel: two sites talk through WireGuard, and its key changes."""

import json
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg.network.local.processes import Processes
from kronborg_sim.network.tunnels import run

from ..kme.conftest import wait_for
from ..local.test_network import free_range

SITES = """
[network]
first_port = {port}
[light]
slice_seconds = 0.2
distil_symbols = 0
[[site]]
id = "foreign"
[[site]]
id = "odense"
[[link]]
ends = ["foreign", "odense"]
length_km = 3
[[tunnel]]
ends = ["foreign", "odense"]
rotate_seconds = 1
"""


def test_a_network_opens_a_tunnel_whose_key_changes_and_takes_it_away(
    programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.toml").write_text(SITES.format(port=free_range(14)))
    folder = tmp_path / "network"
    command = ["--dir", str(folder)]
    try:
        assert main(["network", "up", "--config", str(tmp_path / "two.toml"), *command, "--json", "-"]) == 0
        (tunnel,) = json.loads(capsys.readouterr().out)["tunnels"]
        assert tunnel["packets_answered"] > 0
        assert set(tunnel["spaces"]) <= {line.split()[0] for line in run("ip", "netns").splitlines()}

        def keys_used() -> int:
            main(["network", "status", *command, "--json", "-"])
            (found,) = json.loads(capsys.readouterr().out)["tunnels"]
            return int(found["keys_used"])

        wait_for(lambda: keys_used() > 2, 120)
        # The log of deliveries at each KME has what the agents took.
        assert (folder / "sites" / "odense" / "audit.jsonl").read_text().count('"role": "slave"') > 2
    finally:
        if (folder / "processes.json").exists():
            main(["network", "down", *command])
    assert not Processes(folder / "processes.json").known
    assert not set(tunnel["spaces"]) & {line.split()[0] for line in run("ip", "netns").splitlines() if line}
