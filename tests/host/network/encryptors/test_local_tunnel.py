"""Two sites of a network on this machine, from links to packets in a tunnel."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kronborg.network.local.files import Files
from kronborg.network.local.operate import down, up
from kronborg.network.local.processes import Processes
from kronborg.network.local.tunnel import Tunnel

from ..local.test_network import free_range

PLAN = """[network]
first_port = {port}
[light]
slice_seconds = 0.2
distil_symbols = 0
[[site]]
id = "foreign"
[[site]]
id = "defence"
[[link]]
ends = ["foreign", "defence"]
length_km = 2.0
"""


@pytest.fixture
def network(programs: None, tmp_path: Path) -> Iterator[Files]:
    (tmp_path / "plan.toml").write_text(PLAN.format(port=free_range(9)))
    up(tmp_path / "net", tmp_path / "plan.toml", lambda what, how: None)
    yield Files(tmp_path / "net")
    down(tmp_path / "net")


def test_packets_go_through_a_tunnel_that_the_networks_keys_open(network: Files) -> None:
    tunnel = Tunnel(network, network.read_plan(), ("foreign", "defence"), rotate_seconds=2.0)
    assert not tunnel.there
    tunnel.open()
    processes = Processes(network.folder / "processes.json")
    try:
        for name, command in tunnel.commands.items():
            processes.start(name, command, tunnel.log(name))
        limit = time.monotonic() + 30.0
        while tunnel.ping(2).lost or len(tunnel.keys()) < 2:
            assert time.monotonic() < limit, [tunnel.log(name).read_text() for name in tunnel.commands]
        # Another command finds it, and leaves it as it is.
        again = Tunnel(network, network.read_plan(), ("foreign", "defence"))
        assert again.there
        again.open()
        assert again.ping(5).answered >= 4
        processes.end(list(tunnel.commands))
        assert tunnel.ping(2).answered == 0
    finally:
        processes.end([name for name in tunnel.commands if name in processes.known])
        tunnel.close()
    assert not tunnel.there
