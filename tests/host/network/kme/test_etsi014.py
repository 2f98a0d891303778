"""ETSI GS QKD 014 V1.1.1, sentence by sentence of its tables, over real TLS; and what it leaves open."""

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from etsi_qkd_014_client import QKD014Client

from kronborg.network.identity import Identity

from .conftest import Running, running

NO_KEY = "00000000-0000-4000-8000-000000000000"


def error_of(response: httpx.Response, status: int) -> Any:
    """The Error object (table 13) of a response with this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert isinstance(body["message"], str)
    assert set(body) <= {"message", "details"}
    assert all(isinstance(each, dict) for each in body.get("details", []))
    return body


def keys_of(response: httpx.Response) -> dict[str, bytes]:
    """The keys of a Key container (table 11)."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) <= {"keys", "key_container_extension"}
    found = {}
    for each in body["keys"]:
        assert {"key_ID", "key"} <= set(each) <= {"key_ID", "key", "key_ID_extension", "key_extension"}
        assert str(uuid.UUID(each["key_ID"])) == each["key_ID"]
        found[each["key_ID"]] = base64.b64decode(each["key"], validate=True)
    assert len(found) == len(body["keys"])
    return found


# --- Get status (tables 3, 4 and 9)


def test_status_has_every_mandatory_member_of_its_type(network: Running) -> None:
    response = network.client("alice", "kme-a").get("/api/v1/keys/bob/status")
    assert response.status_code == 200
    status = response.json()
    assert {key: status[key] for key in status if key not in ("stored_key_count", "status_extension")} == {
        "source_KME_ID": "kme-a",
        "target_KME_ID": "kme-b",
        "master_SAE_ID": "alice",
        "slave_SAE_ID": "bob",
        "key_size": 256,
        "max_key_count": 100_000,
        "max_key_per_request": 128,
        "max_key_size": 4096,
        "min_key_size": 64,
        "max_SAE_ID_count": 8,
    }
    assert type(status["stored_key_count"]) is int
    assert isinstance(status["status_extension"], dict)


def test_stored_key_count_is_what_can_be_delivered_now(network: Running) -> None:
    before = network.stored()
    keys_of(network.enc(number=7, size=512))
    assert network.stored() == before - 14


def test_stored_key_count_is_at_most_max_key_count(tmp_path: Path) -> None:
    with running(tmp_path, keys="max_count = 20") as few:
        few.fill(4000)
        assert few.stored() == 20


# --- Get key (tables 5, 6, 10 and 11)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"number": null, "size": null, "extension_optional": null}'])
def test_everything_in_a_key_request_has_a_default(network: Running, body: bytes) -> None:
    response = network.client("alice", "kme-a").post("/api/v1/keys/bob/enc_keys", content=body)
    (key,) = keys_of(response).values()
    assert len(key) == 32


def test_number_and_size_are_what_comes_back(network: Running) -> None:
    keys = keys_of(network.enc(number=3, size=1024))
    assert [len(key) for key in keys.values()] == [128] * 3
    assert len(set(keys.values())) == 3


@pytest.mark.parametrize(
    ("query", "number", "size"),
    [("", 1, 32), ("?number=2", 2, 32), ("?size=64", 1, 8), ("?number=3&size=1024", 3, 128)],
)
def test_get_serves_requests_of_number_and_size_alone(network: Running, query: str, number: int, size: int) -> None:
    keys = keys_of(network.client("alice", "kme-a").get(f"/api/v1/keys/bob/enc_keys{query}"))
    assert [len(key) for key in keys.values()] == [size] * number


def test_delivered_keys_are_removed_from_the_pool_and_no_key_comes_twice(network: Running) -> None:
    before, seen = network.stored(), set()
    for _ in range(3):
        seen |= set(keys_of(network.enc(number=5)).values())
    assert len(seen) == 15
    assert network.stored() == before - 15


def test_size_that_is_no_multiple_of_8(network: Running) -> None:
    assert error_of(network.enc(size=257), 400)["message"] == "size shall be a multiple of 8"


@pytest.mark.parametrize(
    "body", [{"number": 0}, {"number": -1}, {"number": 129}, {"size": 56}, {"size": 4104}, {"size": 0}]
)
def test_number_and_size_out_of_range_are_bad_requests(network: Running, body: dict[str, int]) -> None:
    before = network.stored()
    assert "out of range" in error_of(network.enc(**body), 400)["message"]
    assert network.stored() == before


@pytest.mark.parametrize(
    "query", ["number=x", "number=1.0", "size=", "number=-1", "number=1&number=2", "numbr=1", "number=٣"]
)
def test_get_parameters_are_whole_numbers_and_known(network: Running, query: str) -> None:
    error_of(network.client("alice", "kme-a").get(f"/api/v1/keys/bob/enc_keys?{query}"), 400)


def test_additional_slaves_get_the_same_key(network: Running) -> None:
    keys = keys_of(network.enc(number=2, additional_slave_SAE_IDs=["dave"]))
    for slave in ("dave", "bob"):
        assert keys_of(network.dec(list(keys), slave)) == keys
        assert "not found" in error_of(network.dec(list(keys), slave), 400)["message"]


@pytest.mark.parametrize(
    ("saes", "message"),
    [
        (["dave"] * 9, "too many"),
        (["dave", "dave"], "twice"),
        (["bob"], "twice"),
        (["alice"], "itself"),
        (["nobody"], "not known"),
        (["carol"], "no link leads"),
        (["a b"], "malformed"),
        ([""], "malformed"),
    ],
)
def test_additional_slaves_that_cannot_be(network: Running, saes: list[str], message: str) -> None:
    assert message in error_of(network.enc(additional_slave_SAE_IDs=saes), 400)["message"]


def test_a_mandatory_extension_that_is_not_known(network: Running) -> None:
    wanted = [{"kronborg_route_type": "direct"}, {"abc_route_type": "direct"}]
    error = error_of(network.enc(extension_mandatory=wanted), 400)
    assert error == {
        "message": "not all extension_mandatory parameters are supported",
        "details": [{"extension_mandatory_unsupported": "abc_route_type is not supported"}],
    }


def test_a_mandatory_extension_that_can_be_met_and_one_that_cannot(network: Running) -> None:
    response = network.enc(extension_mandatory=[{"kronborg_route_type": "direct"}])
    assert keys_of(response)
    (key,) = response.json()["keys"]
    assert key["key_extension"] == {"kronborg_origin": "qkd-direct", "kronborg_route_type": "direct"}
    before = network.stored()
    for value in ("indirect", 7, None, ["direct"]):
        error = error_of(network.enc(extension_mandatory=[{"kronborg_route_type": value}]), 400)
        assert error["message"] == "not all extension_mandatory request options could be met"
    assert network.stored() == before


def test_an_optional_extension_may_be_ignored(network: Running) -> None:
    assert keys_of(network.enc(extension_optional=[{"abc_max_age": 30_000}, {"kronborg_route_type": "indirect"}]))


def test_an_operator_may_have_optional_extensions_refused(tmp_path: Path) -> None:
    with running(tmp_path, keys='unhandled_optional = "refuse"') as strict:
        strict.fill(1000)
        assert keys_of(strict.enc(extension_optional=[{"kronborg_route_type": "direct"}]))
        error = error_of(strict.enc(extension_optional=[{"abc_max_age": 30_000}]), 400)
        assert error["message"] == "not all extension_optional request options handled"
        assert error["details"] == [{"extension_optional_unhandled": "abc_max_age is not handled"}]


def test_too_little_key_is_503_and_nothing_is_used_up(tmp_path: Path) -> None:
    with running(tmp_path) as poor:
        poor.fill(16 + 2 * 32 * 5)
        assert error_of(poor.enc(number=6), 503) == {
            "message": "insufficient key material",
            "details": [{"available": 5}],
        }
        assert len(keys_of(poor.enc(number=5))) == 5
        assert poor.stored("bob", "alice", "kme-b") == 5


@pytest.mark.parametrize("path", ["nobody/status", "alice/status", "carol/status", "nobody/enc_keys", "alice/enc_keys"])
def test_slaves_without_a_way_to_them_are_bad_requests(network: Running, path: str) -> None:
    error_of(network.client("alice", "kme-a").get(f"/api/v1/keys/{path}"), 400)


WRONG_JSON = {
    "no JSON": b"number=1",
    "an array": b"[]",
    "a string": b'"number"',
    "cut": b'{"number": 1',
    "no UTF-8": b'{"number": "\xff"}',
    "text for a number": b'{"number": "1"}',
    "a fraction": b'{"number": 1.0}',
    "true": b'{"number": true}',
    "not a number": b'{"number": NaN}',
    "a member twice": b'{"number": 1, "number": 2}',
    "an unknown member": b'{"numbr": 1}',
    "a huge number": b'{"number": ' + b"9" * 5000 + b"}",
    "deep": b'{"extension_optional": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "text for a list": b'{"additional_slave_SAE_IDs": "dave"}',
    "a number for a name": b'{"additional_slave_SAE_IDs": [7]}',
    "an object for a list": b'{"extension_mandatory": {"a_b": 1}}',
    "a name for an object": b'{"extension_mandatory": ["a_b"]}',
    "half a character": b'{"additional_slave_SAE_IDs": ["\\ud800"]}',
    "half a character in a name": b'{"extension_mandatory": [{"\\ud800": 1}]}',
    "many extensions": json.dumps({"extension_optional": [{"a_b": 1}] * 65}).encode(),
}


@pytest.mark.parametrize("body", WRONG_JSON.values(), ids=WRONG_JSON.keys())
def test_a_malformed_request_has_the_standards_error_body(network: Running, body: bytes) -> None:
    client, before = network.client("alice", "kme-a"), network.stored()
    headers = {"Content-Type": "application/json"}
    error_of(client.post("/api/v1/keys/bob/enc_keys", content=body, headers=headers), 400)
    assert network.stored() == before


def test_another_content_type_is_a_bad_request(network: Running) -> None:
    client = network.client("alice", "kme-a")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        response = client.post("/api/v1/keys/bob/enc_keys", content=b"{}", headers={"Content-Type": kind})
        error_of(response, 400)
    kind = "application/json; charset=utf-8"
    assert keys_of(client.post("/api/v1/keys/bob/enc_keys", content=b"{}", headers={"Content-Type": kind}))


# --- Get key with key IDs (tables 7, 8, 11 and 12)


@pytest.mark.parametrize("number", [1, 128])
def test_the_slave_gets_the_masters_keys_by_their_ids_in_the_order_asked_for(network: Running, number: int) -> None:
    keys = keys_of(network.enc(number=number))
    asked = list(keys)[::-1]
    fetched = keys_of(network.dec(asked))
    assert fetched == keys
    assert list(fetched) == asked


def test_get_serves_one_key_id(network: Running) -> None:
    keys = keys_of(network.enc())
    (key_id,) = keys
    client = network.client("bob", "kme-b")
    assert keys_of(client.get(f"/api/v1/keys/alice/dec_keys?key_ID={key_id}")) == keys
    error_of(client.get("/api/v1/keys/alice/dec_keys"), 400)
    error_of(client.get(f"/api/v1/keys/alice/dec_keys?key_ID={key_id}&key_ID={NO_KEY}"), 400)


def test_both_directions_work_and_have_pools_of_their_own(network: Running) -> None:
    before = network.stored("alice", "bob", "kme-a")
    keys = keys_of(network.enc("bob", "alice", "kme-b", number=4))
    assert keys_of(network.dec(list(keys), "alice", "bob", "kme-a")) == keys
    assert network.stored("alice", "bob", "kme-a") == before


def test_delivered_keys_are_not_delivered_again(network: Running) -> None:
    keys = list(keys_of(network.enc(number=2)))
    keys_of(network.dec(keys))
    for again in (keys, keys[:1]):
        assert error_of(network.dec(again), 400)["message"] == "one or more keys specified are not found on KME"


def test_all_or_none_of_several_ids(network: Running) -> None:
    keys = keys_of(network.enc(number=2))
    assert "not found" in error_of(network.dec([*keys, NO_KEY]), 400)["message"]
    assert keys_of(network.dec(list(keys))) == keys


def test_ids_are_the_same_in_capitals_and_twice(network: Running) -> None:
    keys = keys_of(network.enc())
    (key_id,) = keys
    assert keys_of(network.dec([key_id.upper(), key_id])) == keys


def test_extensions_of_ids_are_taken(network: Running) -> None:
    keys = keys_of(network.enc())
    body = {"key_IDs": [{"key_ID": key, "key_ID_extension": {"abc_x": 1}} for key in keys], "key_IDs_extension": {}}
    assert keys_of(network.client("bob", "kme-b").post("/api/v1/keys/alice/dec_keys", json=body)) == keys


def test_a_key_of_another_sae_is_unauthorized_and_stays_its_own(network: Running) -> None:
    keys, other = keys_of(network.enc()), keys_of(network.enc(slave="dave"))
    error_of(network.dec(list(keys), "dave"), 401)
    error_of(network.dec([*keys, *other], "dave"), 401)
    assert "not found" in error_of(network.dec([*keys, NO_KEY], "dave"), 400)["message"]
    assert keys_of(network.dec(list(keys), "bob")) == keys
    assert keys_of(network.dec(list(other), "dave")) == other


def test_a_key_of_another_master_is_not_found(network: Running) -> None:
    keys = keys_of(network.enc("carol"))
    assert "not found" in error_of(network.dec(list(keys), master="alice"), 400)["message"]
    assert keys_of(network.dec(list(keys), master="carol")) == keys


def test_the_master_cannot_fetch_its_own_key_again(network: Running) -> None:
    keys = list(keys_of(network.enc()))
    assert "not found" in error_of(network.dec(keys, "alice", "bob", "kme-a"), 400)["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"key_IDs": []}',
        b'{"key_IDs": ["' + NO_KEY.encode() + b'"]}',
        b'{"key_IDs": [{"key_ID": "no uuid"}]}',
        b'{"key_IDs": [{"key_ID": 7}]}',
        b'{"key_IDs": [{}]}',
        b'{"key_IDs": [{"key_ID": "' + NO_KEY.replace("-", "").encode() + b'"}]}',
        b'{"key_IDs": [{"key_ID": "' + NO_KEY.encode() + b'", "key": 1}]}',
        b'{"key_IDs": ' + json.dumps([{"key_ID": str(uuid.UUID(int=i))} for i in range(129)]).encode() + b"}",
    ],
)
def test_malformed_key_ids_are_bad_requests(network: Running, body: bytes) -> None:
    error_of(network.client("bob", "kme-b").post("/api/v1/keys/alice/dec_keys", content=body), 400)


# --- who calls


@pytest.mark.parametrize("bearer", ["kme kme-b", "node stranger", "sae bob", "node alice"])
def test_a_certificate_that_is_not_an_sae_of_this_kme_is_unauthorized(network: Running, bearer: str) -> None:
    kind, name = bearer.split()
    if not network.pair.authority.files(Identity(kind, name))[0].exists():
        network.pair.authority.issue(Identity(kind, name))
    client = network.client(bearer, "kme-a")
    for method, path in (("GET", "bob/status"), ("POST", "dave/enc_keys"), ("POST", "alice/dec_keys")):
        error_of(client.request(method, f"/api/v1/keys/{path}"), 401)


def test_what_a_request_says_of_its_caller_counts_for_nothing(network: Running) -> None:
    headers = {"X-Forwarded-For": "10.0.0.1", "X-Client-Cert": "alice", "X-SSL-Client-S-DN": "CN=carol"}
    client = network.client("alice", "kme-a")
    status = client.get("/api/v1/keys/bob/status", headers=headers).json()
    assert status["master_SAE_ID"] == "alice"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/metrics", 404),
        ("GET", "/api/v1/keys/a%20b/status", 400),
        ("POST", "/api/v1/keys/bob/status", 405),
        ("PUT", "/api/v1/keys/bob/enc_keys", 405),
        ("DELETE", "/api/v1/keys/bob/dec_keys", 405),
    ],
)
def test_other_paths_and_methods_have_an_error_body_too(network: Running, method: str, path: str, status: int) -> None:
    error_of(network.client("alice", "kme-a").request(method, path), status)


def test_answers_are_not_to_be_kept(network: Running) -> None:
    assert network.enc().headers["cache-control"] == "no-store"


# --- somebody else's SAE


@pytest.fixture(scope="module")
def others(network: Running) -> dict[str, QKD014Client]:
    """The client that LIP6 publishes, as master and as slave."""
    pair = network.pair
    clients = {}
    for sae, kme in (("alice", "kme-a"), ("bob", "kme-b")):
        certificate, key = pair.authority.files(Identity("sae", sae))
        authority = str(pair.folder / "pki" / "ca.pem")
        clients[sae] = QKD014Client(str(pair.address(kme)), str(certificate), str(key), authority)
    return clients


def test_an_independent_client_gets_status_and_the_same_keys_at_both_ends(others: dict[str, QKD014Client]) -> None:
    code, status = others["alice"].get_status("bob")
    assert (code, status.source_kme_id, status.key_size) == (200, "kme-a", 256)
    code, sent = others["alice"].get_key("bob", number=3, size=512)
    assert (code, len(sent.keys)) == (200, 3)
    code, fetched = others["bob"].get_key_with_key_IDs("alice", [key.key_id for key in sent.keys])
    assert code == 200
    assert [(key.key_id, key.key) for key in fetched.keys] == [(key.key_id, key.key) for key in sent.keys]


def test_an_independent_client_understands_errors(others: dict[str, QKD014Client]) -> None:
    code, error = others["alice"].get_key("bob", size=257)
    assert (code, error.message) == (400, "size shall be a multiple of 8")
    code, error = others["bob"].get_key_with_key_IDs("alice", [NO_KEY])
    assert (code, error.message) == (400, "one or more keys specified are not found on KME")
    code, sent = others["alice"].get_key("dave")
    code, error = others["bob"].get_key_with_key_IDs("alice", [sent.keys[0].key_id])
    assert code == 401
