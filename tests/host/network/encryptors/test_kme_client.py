"""What an agent makes of its KME's answers."""

import base64
import json
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.network.encryptors.kme_client import KmeClient, KmeFails
from kronborg.network.identity import Identity
from kronborg.network.kme.tls import Credentials
from kronborg_sim.network.pair import free_ports

from ..kme.conftest import Running

KEY_ID = str(uuid.UUID(int=5))
GOOD = {"key_ID": KEY_ID, "key": base64.b64encode(bytes(32)).decode()}


def client(
    network: Running, sae: str, kme: str, *, named: str = "", simulated: bool = False, **require: Any
) -> KmeClient:
    files = network.pair.authority.files(Identity("sae", sae))
    folder = network.pair.folder / "pki"
    credentials = Credentials(*files, folder / "ca.pem", folder / "crl.pem")
    return KmeClient(network.pair.address(kme), named or kme, credentials, require, simulated=simulated)


def test_both_ends_get_the_same_key_under_its_name(keys: Running) -> None:
    key = client(keys, "alice", "kme-a", kronborg_route_type="direct").new_key("bob")
    assert client(keys, "bob", "kme-b").key_of("alice", key.id) == key
    assert len(key.bits) == 32
    with pytest.raises(KmeFails, match=r"kme-b answers 400: one or more keys specified are not found"):
        client(keys, "bob", "kme-b").key_of("alice", key.id)
    with pytest.raises(KmeFails, match="kme-a answers 400: not all extension_mandatory"):
        client(keys, "alice", "kme-a", kronborg_hybrid="ml-kem-1024").new_key("bob")


def test_who_is_not_the_kme_is_not_asked(keys: Running) -> None:
    with pytest.raises(KmeFails, match="is not KME kme-c"):
        client(keys, "alice", "kme-a", named="kme-c").new_key("bob")
    nobody = client(keys, "alice", "kme-a")
    object.__setattr__(nobody._address, "port", free_ports(1)[0])
    with pytest.raises(KmeFails, match="does not answer"):
        nobody.new_key("bob")


def test_simulated_keys_are_taken_only_where_that_was_said(keys: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"keys": [{**GOOD, "key_extension": {"kronborg_origin": "simulated"}}]}
    monkeypatch.setattr(KmeClient, "_ask", lambda *_: answer)
    with pytest.raises(KmeFails, match="say simulated = true"):
        client(keys, "alice", "kme-a").new_key("bob")
    assert client(keys, "alice", "kme-a", simulated=True).new_key("bob").id == KEY_ID


def test_another_key_than_the_one_asked_for_is_refused(keys: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KmeClient, "_ask", lambda *_: {"keys": [GOOD]})
    with pytest.raises(KmeFails, match="another key"):
        client(keys, "bob", "kme-b").key_of("alice", str(uuid.UUID(int=6)))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"keys": None},
        {"keys": []},
        {"keys": [GOOD, GOOD]},
        {"keys": [{**GOOD, "key": 7}]},
        {"keys": [{**GOOD, "key": "é"}]},
        {"keys": [{**GOOD, "key": base64.b64encode(bytes(31)).decode()}]},
        {"keys": [{**GOOD, "key_ID": "x"}]},
        {"keys": [{**GOOD, "key_ID": KEY_ID + "\n"}]},
        {"keys": [{**GOOD, "key_ID": 7}]},
        {"keys": [{**GOOD, "key_extension": "x"}]},
        {"keys": {"key_ID": KEY_ID}},
    ],
)
def test_what_is_no_single_key_of_256_bits_is_refused(
    keys: Running, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(KmeClient, "_ask", lambda *_: answer)
    with pytest.raises(KmeFails, match="no single key of 256 bits") as error:
        client(keys, "alice", "kme-a").new_key("bob")
    assert GOOD["key"] not in str(error.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(GOOD),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["keys", "key_ID", "key", "key_extension"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(JSON)
def test_no_answer_makes_it_fail_otherwise(answer: Any) -> None:
    asked = KmeClient.__new__(KmeClient)
    asked._kme, asked._simulated = Identity("kme", "kme-a"), False
    with suppress(KmeFails):
        assert asked._key(json.loads(json.dumps(answer))).id == KEY_ID
