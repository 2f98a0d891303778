"""Keys over trusted nodes, between KMEs that talk over real TLS."""

import base64
from typing import Any

import pytest

from kronborg.network.identity import Identity
from kronborg.network.kme.channel import Connection, PeerAbsent, PeerSilent
from kronborg.network.relay.transport import HttpsTransport
from kronborg_sim.network.web import LINE, link_name

from ..kme.conftest import wait_for
from ..kme.test_etsi014 import error_of, keys_of
from .conftest import Make, RunningWeb

RING = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"))


def extension(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = response.json()["keys"][0]["key_extension"]
    return found


def both_ends_agree(network: RunningWeb) -> bool:
    return all(
        network.accounts(ends[0], ends)[pool] == network.accounts(ends[1], ends)[pool]
        for ends in network.pair.links
        for pool in (0, 1)
    )


def test_keys_go_over_five_links_and_say_so_at_both_ends(make: Make) -> None:
    network = make(LINE)
    response = network.ask("n0", "n5", number=3)
    keys = keys_of(response)
    fetched = network.fetch(list(keys), "n5", "n0")
    assert keys_of(fetched) == keys
    assert len(set(keys.values())) == 3
    said = {
        "kronborg_origin": "qkd-relayed",
        "kronborg_route_type": "indirect",
        "kronborg_hops": 5,
        "kronborg_paths": 1,
    }
    assert extension(response) == extension(fetched) == said
    error_of(network.fetch(list(keys), "n5", "n0"), 400)
    wait_for(lambda: both_ends_agree(network))
    status = network.client("sae-n0", "n0").get("/api/v1/keys/sae-n5/status").json()
    assert status["target_KME_ID"] == "n5"
    assert 0 < status["stored_key_count"] < 40_000 // 64
    # The other way round, at the same time as a direct one.
    assert keys_of(network.ask("n5", "n0"))
    assert extension(network.ask("n1", "n0"))["kronborg_route_type"] == "direct"


def test_two_paths_are_used_where_there_are_two_and_can_be_asked_for(make: Make) -> None:
    network = make((*RING, ("c", "e")))
    response = network.ask("a", "c")
    assert keys_of(network.fetch(list(keys_of(response)), "c", "a")) == keys_of(response)
    assert (extension(response)["kronborg_hops"], extension(response)["kronborg_paths"]) == (2, 2)
    for want, slave, status in (
        ({"kronborg_paths": 2}, "c", 200),
        ({"kronborg_paths": 2}, "e", 400),
        ({"kronborg_paths": 1}, "e", 200),
        ({"kronborg_paths": 2}, "b", 200),  # its link is direct: no node knows
        ({"kronborg_max_hops": 2}, "e", 400),
        ({"kronborg_max_hops": 3}, "e", 200),
        ({"kronborg_route_type": "indirect"}, "c", 200),
        ({"kronborg_route_type": "direct"}, "c", 400),
        ({"kronborg_route_type": "direct"}, "b", 200),
        ({"kronborg_origin": "qkd-direct"}, "c", 400),
        ({"kronborg_origin": "qkd-direct"}, "b", 200),
        ({"kronborg_origin": "qkd-relayed"}, "b", 200),
        ({"kronborg_origin": "simulated"}, "b", 400),
        ({"kronborg_paths": 3}, "c", 400),
        ({"kronborg_max_hops": True}, "c", 400),
    ):
        response = network.ask("a", slave, extension_mandatory=[want])
        assert response.status_code == status, (want, slave, response.json())
        if status == 400:
            assert response.json()["message"] == "not all extension_mandatory request options could be met"
    indirect = network.ask("a", "b", extension_mandatory=[{"kronborg_route_type": "indirect"}])
    assert (extension(indirect)["kronborg_route_type"], extension(indirect)["kronborg_hops"]) == ("indirect", 3)
    assert keys_of(network.fetch(list(keys_of(indirect)), "b", "a")) == keys_of(indirect)


def test_when_a_node_or_a_link_is_down_another_way_is_taken_or_it_is_said_that_there_is_none(make: Make) -> None:
    network = make((*RING, ("c", "e")))
    network.stop("b")
    response = network.ask("a", "e")
    assert extension(response)["kronborg_hops"] == 3
    assert keys_of(network.fetch(list(keys_of(response)), "e", "a")) == keys_of(response)
    assert "cannot be reached" in error_of(network.ask("a", "b"), 503)["message"]
    network.stop("c")
    wait_for(lambda: "no path of trusted nodes" in error_of(network.ask("a", "e"), 503)["message"])
    network.start("b")
    network.start("c")
    wait_for(lambda: network.ask("a", "e").status_code == 200, 120)
    wait_for(lambda: both_ends_agree(network), 120)


def test_a_direct_link_without_key_is_gone_round_and_said(make: Make) -> None:
    network = make(RING)
    relay = network.kmes["a"]
    stored = network.client("sae-a", "a").get("/api/v1/keys/sae-b/status").json()["stored_key_count"]
    while stored:
        number = min(128, stored)
        keys_of(network.ask("a", "b", number=number, extension_mandatory=[{"kronborg_route_type": "direct"}]))
        stored -= number
    response = network.ask("a", "b", number=20)
    assert extension(response)["kronborg_route_type"] == "indirect"
    assert keys_of(network.fetch(list(keys_of(response)), "b", "a")) == keys_of(response)
    direct = network.ask("a", "b", number=20, extension_mandatory=[{"kronborg_route_type": "direct"}])
    assert error_of(direct, 503)["message"] == "insufficient key material"
    labels = {"link": link_name(RING[0])}
    counted = relay.metrics.registry.get_sample_value("kronborg_kme_relay_instead_of_direct_total", labels)
    assert counted is not None
    assert counted >= 1


def test_the_same_keys_go_to_slaves_at_several_kmes(make: Make) -> None:
    network = make(RING)
    response = network.ask("a", "b", number=2, additional_slave_SAE_IDs=["sae-c", "sae-d"])
    keys = keys_of(response)
    assert extension(response)["kronborg_hops"] == 2
    for slave in "bcd":
        assert keys_of(network.fetch(list(keys), slave, "a")) == keys
        error_of(network.fetch(list(keys), slave, "a"), 400)
    direct = network.ask(
        "a", "b", additional_slave_SAE_IDs=["sae-d"], extension_mandatory=[{"kronborg_route_type": "direct"}]
    )
    assert extension(direct)["kronborg_route_type"] == "direct"


def test_keys_for_several_kmes_are_for_all_or_for_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    network, real = make(RING, relay="timeout_seconds = 1.0"), HttpsTransport.send

    async def send(self: HttpsTransport, link: Any, bodies: Any) -> list[str]:
        if link.peer == "c":
            raise PeerAbsent("not there for frames")
        return await real(self, link, bodies)

    monkeypatch.setattr(HttpsTransport, "send", send)
    error_of(network.ask("a", "b", additional_slave_SAE_IDs=["sae-c"]), 503)
    # What had arrived at b is void there.
    wait_for(lambda: network.relayed("b", "a")["voided"] > 0)
    wait_for(lambda: network.relayed("b", "a")["reserved"] == 0)


def test_a_policy_binds_who_does_not_ask(make: Make) -> None:
    more = (
        '[[policy]]\nsaes = ["sae-a", "sae-e"]\npaths = 2\n'
        '[[policy]]\nsaes = ["sae-c", "*"]\navoid = ["b"]\n'
        '[[policy]]\nsaes = ["sae-a", "sae-b"]\nroute_type = "direct"\n'
    )
    network = make((*RING, ("c", "e")), more=more)
    for one, other in (("a", "e"), ("e", "a")):
        assert "could be met" in error_of(network.ask(one, other), 400)["message"]
    assert extension(network.ask("a", "c"))["kronborg_paths"] == 1
    assert extension(network.ask("d", "b"))["kronborg_paths"] == 2
    error_of(network.ask("a", "b", extension_mandatory=[{"kronborg_route_type": "indirect"}]), 400)
    error_of(network.ask("a", "b", additional_slave_SAE_IDs=["sae-c"]), 400)


def test_frames_whose_answers_are_lost_are_sent_again_and_count_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, real, lost = make(LINE[:2]), HttpsTransport.send, []

    async def send(self: HttpsTransport, link: Any, bodies: Any) -> list[str]:
        found = await real(self, link, bodies)
        if len(lost) < 3:
            lost.append(found)
            raise PeerSilent("lost")
        return found

    monkeypatch.setattr(HttpsTransport, "send", send)
    keys = keys_of(network.ask("n0", "n2"))
    assert keys_of(network.fetch(list(keys), "n2", "n0")) == keys
    assert len(lost) == 3
    wait_for(lambda: both_ends_agree(network))


def test_frames_that_are_changed_on_the_way_are_counted_and_logged_and_nothing_leaks(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network, real, bodies = make(LINE[:2]), Connection.post, []

    def post(self: Connection, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/frames") and not bodies:
            body = {"frames": [bytearray(base64.b64decode(each)) for each in body["frames"]]}
            for each in body["frames"]:
                each[-40] ^= 1
            bodies.extend(body["frames"])
            body = {"frames": [base64.b64encode(each).decode() for each in body["frames"]]}
        return real(self, path, body)

    monkeypatch.setattr(Connection, "post", post)
    keys = keys_of(network.ask("n0", "n2"))  # the second time it gets there
    assert keys_of(network.fetch(list(keys), "n2", "n0")) == keys
    labels = {"link": link_name(LINE[0]), "direction": "in", "outcome": "tag"}
    count = network.kmes["n1"].metrics.registry.get_sample_value("kronborg_kme_relay_frames_total", labels)
    assert count == 1
    assert any(record.msg == "frame refused" for record in caplog.records)
    wait_for(lambda: both_ends_agree(network))


def test_more_keys_than_a_frame_holds_are_refused(make: Make) -> None:
    network = make(LINE[:2], size=400_000, keys="max_size = 8192")
    error = error_of(network.ask("n0", "n2", number=128, size=8192), 400)
    assert error["message"] == "too many keys at once to be relayed"
    keys = keys_of(network.ask("n0", "n2", number=64, size=8192))
    assert keys_of(network.fetch(list(keys), "n2", "n0")) == keys


def test_the_peer_port_refuses_what_is_no_frame(make: Make) -> None:
    network = make(LINE[:2])
    link = link_name(LINE[0])
    client = network.client("kme n0", "n1")
    path = f"https://{network.pair.config('n1').peer_listen}/peer/v1/links/{link}"
    rubbish = [base64.b64encode(b"KRF1" + bytes(60)).decode(), "!", ""]
    answer = client.post(f"{path}/frames", json={"frames": rubbish})
    assert (answer.status_code, answer.json()) == (200, {"outcomes": ["refused"] * 3})
    for what, body in (
        ("frames", {"frames": ["A"] * 17}),
        ("frames", {"frames": [1]}),
        ("frames", {}),
        ("adverts", {"adverts": [{"node": "x"}]}),
        ("adverts", {"adverts": [{"node": "a b", "sequence": 1, "links": [], "notice": ""}]}),
        ("adverts", {"adverts": [{"node": "x", "sequence": -1, "links": [], "notice": ""}]}),
    ):
        error_of(client.post(f"{path}/{what}", json=body), 400)
    other = network.client("kme n2", "n1")
    error_of(other.post(f"{path}/frames", json={"frames": []}), 401)
    sae = network.pair.context(Identity("sae", "sae-n0"))
    error_of(network.client("sae sae-n0", "n1", sae).post(f"{path}/frames", json={"frames": []}), 401)


def test_what_a_node_that_died_had_in_its_outbox_goes_on_or_is_void(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make(LINE[:2])
    with monkeypatch.context() as patch:
        real = HttpsTransport.send

        async def send(self: HttpsTransport, link: Any, bodies: Any) -> list[str]:
            if link.peer == "n2":
                raise PeerSilent("it stands still")
            return await real(self, link, bodies)

        patch.setattr(HttpsTransport, "send", send)
        error_of(network.ask("n0", "n2"), 503)
        network.stop("n1")
    network.start("n1")
    wait_for(lambda: both_ends_agree(network), 120)
    wait_for(lambda: network.relayed("n0", "n0")["reserved"] == network.relayed("n2", "n0")["reserved"] == 0, 120)
    assert network.relayed("n0", "n0")["voided"] > 0
    assert network.relayed("n2", "n0")["delivered"] == 0
    wait_for(lambda: network.ask("n0", "n2").status_code == 200, 120)


def test_hybrid_keys_are_the_default_across_a_border_and_can_be_asked_for(make: Make) -> None:
    more = (
        '[[policy]]\nsaes = ["sae-a", "sae-b"]\nhybrid = "always"\n'
        '[[policy]]\nsaes = ["sae-b", "sae-e"]\nhybrid = "never"\n'
    )
    network = make((*RING, ("c", "e")), more=more, domains={"e": "sweden"})
    # Until the far KME's ML-KEM key is known there is none, rather than one without it.
    wait_for(lambda: network.ask("a", "e").status_code == 200)
    for master, slave, hybrid in (
        ("a", "e", True),
        ("e", "a", True),
        ("a", "b", True),
        ("a", "c", False),
        ("b", "e", False),
    ):
        response = network.ask(master, slave, number=2)
        keys = keys_of(response)
        fetched = network.fetch(list(keys), slave, master)
        assert keys_of(fetched) == keys
        said = extension(response)
        assert said == extension(fetched)
        assert said.get("kronborg_hybrid") == ("ml-kem-1024" if hybrid else None), (master, slave)
    assert extension(network.ask("a", "b"))["kronborg_route_type"] == "direct"
    wanted = [{"kronborg_hybrid": "ml-kem-1024"}]
    several = network.ask("a", "c", additional_slave_SAE_IDs=["sae-d"], extension_mandatory=wanted)
    for slave in "cd":
        assert keys_of(network.fetch(list(keys_of(several)), slave, "a")) == keys_of(several)
    assert extension(several)["kronborg_hybrid"] == "ml-kem-1024"
    error_of(network.ask("a", "c", extension_mandatory=[{"kronborg_hybrid": "rsa"}]), 400)


def test_nodes_between_do_not_see_hybrid_keys(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from kronborg.network.relay import frames

    network, real, seen = make(LINE[:2]), frames.open_, []

    def look(*arguments: Any) -> bytes:
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(frames, "open_", look)
    (plain,) = keys_of(network.ask("n0", "n2")).values()
    assert seen.count(plain) == 2
    wanted = [{"kronborg_hybrid": "ml-kem-1024"}]
    (hybrid,) = keys_of(network.ask("n0", "n2", extension_mandatory=wanted)).values()
    assert hybrid not in seen


def test_a_kme_does_not_take_keys_without_the_secret_that_its_policy_wants(make: Make) -> None:
    network = make(LINE[:2])
    never = '[[policy]]\nsaes = ["*", "*"]\nhybrid = "always"\n'
    network.stop("n2")
    with network.pair.files["n2"].open("a") as file:
        file.write(never)
    network.start("n2")
    wait_for(
        lambda: network.ask("n0", "n2", extension_mandatory=[{"kronborg_hybrid": "ml-kem-1024"}]).status_code == 200
    )
    error_of(network.ask("n0", "n2"), 503)
    assert network.relayed("n2", "n0")["pooled"] == 32
