"""Units and alarms: what they name exists, and what an operator relies on is in them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kronborg.cli import main
from kronborg.network.encryptors.metrics import Metrics as AgentMetrics
from kronborg.network.kme.metrics import Metrics as KmeMetrics
from kronborg.network.operations import HERE, write_units

ALARMS = [rule for group in yaml.safe_load((HERE / "alarms.yml").read_text())["groups"] for rule in group["rules"]]
LABELS_OF_PROMETHEUS = {"instance", "job", "le"}


def exposed(registry: CollectorRegistry) -> set[str]:
    """Names of all that Prometheus gets of a registry."""
    found = set()
    for metric in registry.collect():
        # Of one with labels nothing is told before it is used: its samples have these names all the same.
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
        found |= {metric.name + ending for ending in endings}
    return found


def labels() -> set[str]:
    """All labels of our metrics."""
    own = set()
    for metrics in (KmeMetrics(), AgentMetrics()):
        for value in vars(metrics).values():
            own |= set(getattr(value, "_labelnames", ()))
    return own | LABELS_OF_PROMETHEUS


def test_alarms_name_metrics_that_are_told_and_labels_that_they_have() -> None:
    known = exposed(KmeMetrics().registry) | exposed(AgentMetrics().registry)
    assert len({alarm["alert"] for alarm in ALARMS}) == len(ALARMS) > 20
    for alarm in ALARMS:
        named = set(re.findall(r"\bkronborg_\w+|\bup\b(?=\{)", alarm["expr"]))
        assert named, alarm["alert"]
        assert named - {"up"} <= known, alarm["alert"]
        assert set(re.findall(r"(\w+)\s*(?:=~|=|!=)\s*\"", alarm["expr"])) <= labels(), alarm["alert"]
        assert alarm["expr"].count("(") == alarm["expr"].count(")")


def test_each_alarm_says_how_urgent_it_is_and_what_to_do() -> None:
    for alarm in ALARMS:
        assert alarm["labels"]["severity"] in ("page", "ticket")
        assert set(alarm["annotations"]) == {"summary", "description"}
        for text in alarm["annotations"].values():
            named = set(re.findall(r"\$labels\.(\w+)", text))
            assert named <= labels()
            grouped = re.search(r"sum by \(([\w, ]+)\)", alarm["expr"])
            if grouped:
                # What is summed over is not there to be told.
                assert named <= {each.strip() for each in grouped[1].split(",")}


def test_every_health_metric_has_an_alarm() -> None:
    text = " ".join(alarm["expr"] for alarm in ALARMS)
    counted = {"kronborg_kme_keys_delivered_total", "kronborg_kme_reservations_voided_total"}
    usual = {"kronborg_encryptor_rotations_total"}
    known = exposed(KmeMetrics().registry) | exposed(AgentMetrics().registry)
    silent = {name for name in known if name.removesuffix("_sum").removesuffix("_count") not in text}
    assert {name for name in silent if not name.endswith(("_sum", "_count"))} == counted | usual


def test_metrics_of_a_new_kme_can_be_read() -> None:
    text = generate_latest(KmeMetrics().registry).decode()
    assert {family.name for family in text_string_to_metric_families(text)} >= {"kronborg_kme_store_sound"}


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line and line[0] not in "#[":
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All units, which call a program that exists."""
    folder = tmp_path_factory.mktemp("units")
    write_units(folder, "/bin/true")
    return folder


def test_units_keep_services_from_all_that_they_do_not_need(units: Path) -> None:
    services = sorted(units.glob("*.service"))
    assert len(services) == 5
    for service in services:
        found = settings(service)
        assert found["User"] != ["root"]
        for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "MemoryDenyWriteExecute", "RestrictSUIDSGID"):
            assert found[key] == ["yes"], (service.name, key)
        assert found["ProtectSystem"] == ["strict"]
        assert found["LimitCORE"] == ["0"]
        assert found["UMask"] == ["0077"]
        wanted = ["CAP_NET_ADMIN"] if "wireguard" in service.name else [""]
        assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == wanted
        assert "@" not in found["ExecStart"][0]


def test_what_units_call_are_commands_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["network", "units", "--out", str(tmp_path)]) == 0
    assert str(tmp_path / "alarms.yml") in capsys.readouterr().out
    called = {
        line.split("kronborg ", 1)[1].split()[0]
        for service in tmp_path.glob("*.service")
        for key, values in settings(service).items()
        for line in values
        if key.startswith("Exec") and "kronborg " in line
    }
    assert called == {"kme", "encryptor", "keys", "ca"}
    for name in called:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0


def test_a_wrong_configuration_is_not_tried_again_and_an_agent_that_ended_leaves_no_tunnel(units: Path) -> None:
    for name in ("kme", "wireguard", "strongswan"):
        found = settings(units / f"kronborg-{name}@.service")
        assert found["RestartPreventExitStatus"] == ["2"]
        assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
        assert ("ExecStopPost" in found) == (name != "kme")


def test_systemd_takes_the_units(units: Path) -> None:
    program = shutil.which("systemd-analyze")
    for unit in sorted((*units.glob("*.service"), *units.glob("*.timer"))):
        # Without systemd the shape alone is checked.
        assert unit.read_text().count("[Unit]") == 1
        if program is not None:
            instance = unit.with_name(unit.name.replace("@.", "@test."))
            instance.write_text(unit.read_text())
            done = subprocess.run([program, "verify", "--man=no", str(instance)], capture_output=True, text=True)
            said = [line for line in done.stderr.splitlines() if unit.stem.split("@")[0] in line]
            assert not said, said
