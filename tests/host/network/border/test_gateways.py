"""Keys across a border: two operators, each with an authority and a network, and their gateways in one node."""

import base64
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kronborg.network.border.api import Acks, ExtKeyContainer, VoidContainer
from kronborg.network.border.store import GatewayStore
from kronborg.network.identity import Identity
from kronborg.network.kme.channel import Connection
from kronborg.network.kme.wire import Refused, parse
from kronborg_sim.network.pair import HOST, free_ports
from kronborg_sim.network.web import Web, make_web

from ..kme.conftest import wait_for
from ..kme.test_etsi014 import error_of, keys_of
from ..relay.conftest import RunningWeb

DANISH = [("copenhagen", "odense"), ("odense", "gate-dk")]
SWEDISH = [("gate-se", "lund")]
PATH = "/kmapi/v1/ext_keys"


class Border:
    """Two networks that run, and the two gateways' ports for each other."""

    def __init__(self, folder: Path) -> None:
        ports = dict(zip(("gate-dk", "gate-se"), free_ports(2), strict=True))
        webs: dict[str, Web] = {}
        for name, links, gate, theirs in (
            ("dk", DANISH, "gate-dk", "lund"),
            ("se", SWEDISH, "gate-se", "copenhagen"),
        ):
            abroad = f'[[sae]]\nid = "sae-{theirs}"\nkme = "{gate}"\ndomain = "{theirs}"\n'
            webs[name] = make_web(folder / name, links, more=abroad, relay="timeout_seconds = 4.0")
            peer = {"gate-dk": "gate-se", "gate-se": "gate-dk"}[gate]
            other = {"dk": "se", "se": "dk"}[name]
            with webs[name].files[gate].open("a") as file:
                file.write(
                    f'[border]\nlisten = "{HOST}:{ports[gate]}"\npeer = "{peer}"\naddress = "{HOST}:{ports[peer]}"\n'
                    f'ca = "../{other}/pki/ca.pem"\nsaes = ["sae-{theirs}"]\npatience_seconds = 2.0\n'
                )
        self.ports = ports
        self.dk, self.se = RunningWeb(webs["dk"]), RunningWeb(webs["se"])
        for network in (self.dk, self.se):
            network.pair.fill(40_000)
            for name in network.pair.files:
                network.start(name)
        for network in (self.dk, self.se):
            network.settled()

    def end(self) -> None:
        threads = [threading.Thread(target=each.end) for each in (self.dk, self.se)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def post(self, bearer: str, path: str, body: Any, gate: str = "gate-se") -> Any:
        """A message of the Danish gateway, or of somebody else there, to the Swedish one."""
        network = self.dk if gate == "gate-se" else self.se
        kind, name = bearer.split()
        context = network.pair.context(Identity(kind, name))
        context.load_verify_locations((self.se if gate == "gate-se" else self.dk).pair.folder / "pki" / "ca.pem")
        client = network.client(bearer, next(iter(network.kmes)), context)
        return client.post(f"https://{HOST}:{self.ports[gate]}{path}", json=body)


@pytest.fixture
def border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Border]:
    monkeypatch.setattr("kronborg.network.kme.server.END_SECONDS", 1)
    made = Border(tmp_path)
    yield made
    made.end()


def test_what_is_wrong_with_a_file_of_the_other_operator_holds_none_of_our_own_up(border: Border) -> None:
    network, kme = border.dk, border.dk.kmes["gate-dk"]
    (border.se.pair.folder / "pki" / "ca.pem").write_text("rubbish")
    renewed = network.pair.authority.renew(Identity("kme", "gate-dk"), 40)
    kme.renew()
    expiry = kme.metrics.registry.get_sample_value("kronborg_kme_certificate_expiry_seconds")
    assert expiry == pytest.approx(renewed.until.timestamp(), abs=1.5)


def container(border: Border, **changes: Any) -> dict[str, Any]:
    made = {
        "keys": [{"key_id": str(uuid.uuid4()), "value": base64.b64encode(bytes(32)).decode()}],
        "initiator_sae_id": "sae-copenhagen",
        "target_sae_ids": ["sae-lund"],
        "ack_callback_url": f"https://{HOST}:{border.ports['gate-dk']}{PATH}/ack",
    }
    return made | changes


def test_keys_cross_the_border_both_ways_and_are_hybrid_up_to_the_gateway(border: Border) -> None:
    for here, there, one, other, gate in (
        (border.dk, border.se, "copenhagen", "lund", "gate-dk"),
        (border.se, border.dk, "lund", "copenhagen", "gate-se"),
    ):
        wait_for(lambda here=here, one=one, other=other: here.ask(one, other).status_code == 200)  # type: ignore[misc]
        response = here.ask(one, other, number=3)
        keys = keys_of(response)
        assert response.json()["keys"][0]["key_extension"]["kronborg_hybrid"] == "ml-kem-1024"
        assert keys_of(there.fetch(list(keys), other, one)) == keys
        error_of(there.fetch(list(keys), other, one), 400)
        assert here.relayed(gate, one)["reserved"] == 0
        audit = (here.pair.folder / f"{gate}.audit.jsonl").read_text()
        assert all(key in audit for key in keys)
        assert not any(base64.b64encode(bits).decode()[:20] in audit for bits in keys.values())


def test_without_an_acknowledgement_the_master_gets_nothing(border: Border, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200)
    with monkeypatch.context() as patch:
        patch.setattr(GatewayStore, "to_acknowledge", lambda *_: [])
        error_of(border.dk.ask("copenhagen", "lund"), 503)
        wait_for(lambda: border.dk.relayed("gate-dk", "copenhagen")["voided"] > 0)
    # What had got to Lund is void there as well.
    wait_for(lambda: border.se.relayed("lund", "gate-se")["voided"] > 0)
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200)


def test_where_the_other_operator_is_down_or_refuses_the_master_gets_nothing(
    border: Border, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200)
    border.se.stop("lund")
    error_of(border.dk.ask("copenhagen", "lund"), 503)
    border.se.stop("gate-se")
    error_of(border.dk.ask("copenhagen", "lund"), 503)
    wait_for(lambda: border.dk.relayed("gate-dk", "copenhagen")["reserved"] == 0)
    for name in ("gate-se", "lund"):
        border.se.start(name)
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200, 120)


def test_a_gateway_that_died_between_handing_over_and_hearing_of_it_leaves_no_key_behind(
    border: Border, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200)
    with monkeypatch.context() as patch:
        real = Connection.post

        def post(self: Connection, path: str, body: Any) -> dict[str, Any]:
            answer = real(self, path, body)
            if path == PATH:
                raise MemoryError
            return answer

        patch.setattr(Connection, "post", post)
        patch.setattr(GatewayStore, "acknowledged", lambda *_: [])
        error_of(border.dk.ask("copenhagen", "lund"), 503)
        border.dk.stop("gate-dk")
    border.dk.start("gate-dk")
    wait_for(lambda: border.dk.relayed("gate-dk", "copenhagen")["reserved"] == 0)
    wait_for(lambda: border.se.relayed("lund", "gate-se")["reserved"] <= 32 * 2)
    wait_for(lambda: border.dk.ask("copenhagen", "lund").status_code == 200, 120)


def test_what_the_other_operator_may_not_ask_is_refused(border: Border) -> None:
    good = container(border)
    assert border.post("kme gate-dk", PATH, good).status_code == 202
    for changes in (
        {"keys": good["keys"]},  # taken
        {"keys": []},
        {"keys": [{"key_id": "x", "value": "AAAA"}]},
        {"keys": [{"key_id": str(uuid.uuid4()), "value": "!"}]},
        {"keys": [{"key_id": str(uuid.uuid4()), "value": "AAAA"}]},  # too short
        {"initiator_sae_id": "sae-lund"},
        {"target_sae_ids": ["sae-nobody"]},
        {"target_sae_ids": ["sae-copenhagen"]},
        {"target_sae_ids": []},
        {"ack_callback_url": "https://elsewhere.example/ack"},
        {"extension_mandatory": [{"x_y": 1}]},
        {"more": 1},
    ):
        error_of(border.post("kme gate-dk", PATH, container(border, **changes)), 400)
    for path, body in (
        (f"{PATH}/ack", [{}]),
        (f"{PATH}/ack", {"acks": []}),
        (f"{PATH}/void", {}),
        (f"{PATH}/void", {"key_ids": []}),
        (f"{PATH}/void", {"key_ids": [{"key_id": "x"}]}),
    ):
        error_of(border.post("kme gate-dk", path, body), 400)
    # Others of that network are not its gateway, and SAEs behind the border are none of ours.
    for bearer in ("kme odense", "sae sae-copenhagen"):
        error_of(border.post(bearer, PATH, container(border)), 401)


def test_keys_that_are_voided_before_they_are_fetched_are_gone(border: Border) -> None:
    sent = container(border)
    assert border.post("kme gate-dk", PATH, sent).status_code == 202
    name = sent["keys"][0]["key_id"]
    wait_for(lambda: border.se.relayed("lund", "gate-se")["pooled"] == 32)
    assert border.post("kme gate-dk", f"{PATH}/void", {"key_ids": [{"key_id": name}]}).status_code == 202
    wait_for(lambda: border.se.relayed("lund", "gate-se")["voided"] == 32)
    error_of(border.se.fetch([name], "lund", "copenhagen"), 400)


def test_an_acknowledgement_of_other_keys_or_for_other_saes_counts_for_nothing(border: Border) -> None:
    ack = {
        "key_ids": [{"key_id": str(uuid.uuid4())}],
        "ack_status": "relayed",
        "initiator_sae_id": "sae-lund",
        "target_sae_id": "sae-copenhagen",
    }
    assert border.post("kme gate-dk", f"{PATH}/ack", [ack]).status_code == 200


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: f"[]}}{text}".encode(errors="replace"))))
@example(b'[],"acks":[]')
@example(b'[]},{"x":[]')
@example(b"[" * 10_000)
def test_the_parsers_take_anything(data: bytes) -> None:
    for model, body in ((Acks, b'{"acks":' + data + b"}"), (ExtKeyContainer, data), (VoidContainer, data)):
        with suppress(Refused):
            assert parse(model, body) in (Acks(acks=[]), VoidContainer())
