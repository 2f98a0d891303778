"""`kronborg network`: three sites come up as processes, serve keys, are seen when they die, get a fourth, go down."""

import json
import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kronborg.cli import main
from kronborg.errors import KronborgError
from kronborg.network.key_pools import Key
from kronborg.network.local import operate
from kronborg.network.local.processes import Process, Processes
from kronborg_sim.network.pair import HOST

from ..kme.conftest import wait_for

SITES = """
[network]
name = "three sites"
first_port = {port}
[light]
slice_seconds = 0.2
store_bytes = 65536
distil_symbols = 0
[[site]]
id = "foreign"
[[site]]
id = "defence"
[[site]]
id = "business"
[[link]]
ends = ["foreign", "defence"]
length_km = 3
[[link]]
ends = ["defence", "business"]
length_km = 20
[[talk]]
ends = ["foreign", "business"]
"""


def free_range(number: int) -> int:
    """The first of so many ports that nobody listens at, below those that systems hand out."""
    while True:
        first = random.Random().randrange(15_000, 32_000 - number)
        try:
            for port in range(first, first + number):
                socket.create_server((HOST, port)).close()
            return first
        except OSError:
            continue


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a network shall be; whatever runs there is ended with the test."""
    (tmp_path / "three.toml").write_text(SITES.format(port=free_range(26)))
    yield tmp_path / "network"
    if (tmp_path / "network" / "processes.json").exists():
        Processes(tmp_path / "network" / "processes.json").end()


def network(folder: Path, *arguments: str) -> int:
    return main(["network", arguments[0], "--dir", str(folder), *arguments[1:]])


def up(folder: Path) -> int:
    return network(folder, "up", "--config", str(folder.parent / "three.toml"))


def status(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    capsys.readouterr()
    code = network(folder, "status", "--json", "-")
    return code, json.loads(capsys.readouterr().out)


def process(folder: Path, name: str) -> Process:
    return Processes(folder / "processes.json").known[name]


def test_a_network_lives_from_up_to_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert up(folder) == 0
    assert "sae-foreign and sae-business have the same 256 bits (2 hops, 1 path)" in capsys.readouterr().out

    code, found = status(folder, capsys)
    assert (code, found["healthy"]) == (0, True)
    assert [site["id"] for site in found["sites"]] == ["foreign", "defence", "business"]
    assert [link["ends"] for link in found["links"]] == [["foreign", "defence"], ["defence", "business"]]
    assert all(link["stored_bits"] > 0 for link in found["links"])
    (pair,) = found["pairs"]
    assert (pair["master"], pair["slave"], pair["to_master"], pair["to_slave"]) == ("sae-foreign", "sae-business", 1, 1)

    # Once more: nothing is started again, and the sites are those that there were.
    before = process(folder, "foreign")
    assert up(folder) == 0
    assert "it was" in capsys.readouterr().out
    assert process(folder, "foreign") == before

    # A site that was killed is seen, and brought back by `up`, which leaves the others alone.
    os.kill(process(folder, "defence").pid, signal.SIGKILL)
    wait_for(lambda: not process(folder, "defence").runs)
    code, found = status(folder, capsys)
    assert (code, found["healthy"]) == (1, False)
    assert [bool(site["trouble"]) for site in found["sites"]] == [False, True, False]
    assert all("defence does not answer" in link["trouble"] for link in found["links"])
    assert network(folder, "status") == 1
    assert "defence: ended without being told to" in capsys.readouterr().out
    assert up(folder) == 0
    assert process(folder, "foreign") == before

    # A fourth site comes, and none of the others stops for it.
    running = {name: process(folder, name) for name in ("foreign", "defence", "business", "links")}
    assert network(folder, "add-site", "science", "--link", "business", "--length", "8") == 0
    assert "sae-science and sae-foreign have the same 256 bits (3 hops, 1 path)" in capsys.readouterr().out
    assert {name: process(folder, name) for name in running} == running
    code, found = status(folder, capsys)
    assert code == 0
    assert [site["id"] for site in found["sites"]] == ["foreign", "defence", "business", "science"]

    assert network(folder, "down") == 0
    assert "5 processes ended" in capsys.readouterr().out
    assert not any(each.runs for each in running.values())
    assert network(folder, "down") == 0
    assert "nothing ran" in capsys.readouterr().out
    code, found = status(folder, capsys)
    assert (code, found["sites"][0]["trouble"]) == (1, "is down")


def test_a_site_that_cannot_start_stops_all_with_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What lies where the command is given is not taken for the program.
    (folder.parent / "kronborg").mkdir()
    (folder.parent / "kronborg" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.chdir(folder.parent)
    (folder / "sites" / "defence").mkdir(parents=True)
    (folder / "sites" / "defence" / "audit.jsonl").mkdir()
    assert up(folder) == 1
    said = capsys.readouterr()
    assert "defence ended as it started" in said.err
    assert "cannot write the audit log" in said.err
    assert len(said.err.splitlines()) == 1
    assert "stopped" in said.out
    assert not Processes(folder / "processes.json").known


def test_a_site_whose_process_cannot_even_begin_stops_those_that_had(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sites" / "defence" / "kme.log").mkdir(parents=True)
    assert up(folder) == 2
    said = capsys.readouterr()
    assert "cannot start" in said.err
    assert len(said.err.splitlines()) == 1
    assert "stopped" in said.out
    assert not Processes(folder / "processes.json").known


def test_a_port_that_is_taken_is_named_before_anything_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.parent.joinpath("three.toml").exists()
    port = int((folder.parent / "three.toml").read_text().partition("first_port = ")[2].split()[0]) + 7
    with socket.create_server((HOST, port)):
        assert up(folder) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"defence cannot listen at {HOST}:{port}" in line
    assert "change first_port" in line
    assert not Processes(folder / "processes.json").known


def test_what_cannot_be_added_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    plan = (folder.parent / "three.toml").read_text()
    (folder / "network.toml").write_text(plan)
    for name, link, length, said in (
        ("science", "nowhere", "3", "there is no site nowhere: name one of foreign, defence, business"),
        ("foreign", "defence", "3", "id: foreign comes twice"),
        ("science", "defence", "900", "900 km give no key"),
    ):
        assert network(folder, "add-site", name, "--link", link, "--length", length) == 2
        assert said in capsys.readouterr().err
        assert (folder / "network.toml").read_text() == plan
    assert network(folder, "add-site", "science", "--link", "defence", "--length", "3", "--about", 'Sorø "😀"') == 0
    assert "the network is down" in capsys.readouterr().out
    assert operate.Files(folder).read_plan().sites["science"].about == 'Sorø "😀"'


def test_a_site_that_does_not_come_up_leaves_the_network_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    text = (folder.parent / "three.toml").read_text()
    (folder / "network.toml").write_text(text)
    files = operate.Files(folder)
    operate.write_configs(files, files.read_plan())
    before = {file: file.read_text() for file in sorted(folder.rglob("*.toml"))}
    processes = Processes(folder / "processes.json")
    processes.start("foreign", ["sleep", "600"], folder / "log")
    reloaded: list[str] = []

    def fails(files: operate.Files, plan: operate.Plan, processes: Processes, name: str, *_: object) -> None:
        assert operate.write_configs(files, plan) == [*plan.sites]
        begun = _[1]
        assert isinstance(begun, list)
        begun.append(name)
        processes.start(name, ["sleep", "600"], folder / "log")
        raise KronborgError("it does not come up")

    monkeypatch.setattr(operate, "_join", fails)
    monkeypatch.setattr(operate, "_reload", lambda _, names: reloaded.extend(names))
    assert network(folder, "add-site", "science", "--link", "business", "--length", "8") == 1
    assert "it does not come up" in capsys.readouterr().err
    after = {file: file.read_text() for file in before}
    assert after == before
    assert sorted(reloaded) == ["business", "defence", "foreign"]
    assert list(Processes(folder / "processes.json").known) == ["foreign"]


def test_two_saes_that_get_different_keys_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def new_key(self, slave: str) -> Key:
            return Key("x", bytes(32))

        def key_of(self, master: str, key_id: str) -> Key:
            return Key("x", bytes(31) + b"1")

    monkeypatch.setattr(operate, "client_of", lambda *_: Client())
    plan = operate.read_plan(folder.parent / "three.toml")
    with pytest.raises(KronborgError, match="sae-foreign and sae-business got different keys"):
        operate._talk(operate.Files(folder), plan, Processes(folder / "p"), ("foreign", "business"), lambda *_: None)


def test_a_folder_without_a_network_and_one_with_another_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("status", "down"):
        assert network(folder, action) == 2
        assert "holds no network" in capsys.readouterr().err
    folder.mkdir()
    plan = (folder.parent / "three.toml").read_text()
    for there in (
        SITES.format(port=20_000),
        plan.replace("defence", "police"),
        plan.replace("length_km = 3", "length_km = 4"),
        plan.replace("store_bytes = 65536", "store_bytes = 65537"),
    ):
        (folder / "network.toml").write_text(there)
        assert up(folder) == 2
        assert "holds another network" in capsys.readouterr().err
    with operate.held(folder):
        assert up(folder) == 2
    assert "another `kronborg network` works on" in capsys.readouterr().err


ABROAD = """
[network]
first_port = {port}
transport = "nats"
[light]
slice_seconds = 0.2
distil_symbols = 0
[[site]]
id = "foreign"
[[site]]
id = "gate"
[[site]]
id = "malmoe"
operator = "sweden"
[[site]]
id = "lund"
operator = "sweden"
[[link]]
ends = ["foreign", "gate"]
length_km = 3
[[link]]
ends = ["malmoe", "lund"]
length_km = 3
[[border]]
ends = ["gate", "malmoe"]
[[talk]]
ends = ["foreign", "lund"]
[[tunnel]]
ends = ["foreign", "gate"]
"""


def test_two_operators_share_keys_and_a_tunnel_that_cannot_be_is_left_out_with_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "three.toml").write_text(ABROAD.format(port=free_range(26)))
    monkeypatch.setattr("kronborg.network.local.operate.PROGRAMS", {"no-such-program": "its-package"})
    assert up(folder) == 0
    said = capsys.readouterr().out
    assert "sae-foreign and sae-lund have the same 256 bits" in said
    assert "with ml-kem-1024" in said
    assert "left out between foreign and gate: apt-get install its-package" in said
    code, found = status(folder, capsys)
    assert (code, found["tunnels"][0]["left_out"]) == (0, "apt-get install its-package")
    assert [site["id"] for site in found["sites"]] == ["foreign", "gate"]
    assert [site["id"] for site in found["abroad"]] == ["malmoe", "lund"]


def test_a_number_that_a_process_had_is_not_mistaken_for_it() -> None:
    mine = Process(os.getpid(), 1)
    assert not mine.runs
    assert mine.seconds > 0
