"""Configurations of agents: what is wrong is one line with the file and the key."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.cli import main
from kronborg.errors import InputError
from kronborg.network.encryptors.config import KINDS, StrongSwan, WireGuard, read_config
from kronborg.network.tables import Address

PUBLIC_KEY = base64.b64encode(bytes(range(32))).decode()
HEAD = """[encryptor]
id = "alice"
peer = "bob"
role = "master"
agent = "127.0.0.1:8446"
certificate = "a.pem"
key = "a.key"
ca = "ca.pem"
state = "state.json"
audit_log = "audit.jsonl"
[kme]
id = "kme-a"
address = "127.0.0.1:8443"
"""
TABLES = {
    "wireguard": f"""[wireguard]
interface = "wg0"
public_key = "{PUBLIC_KEY}"
allowed_ips = ["10.1.0.0/16"]
""",
    "strongswan": """[strongswan]
connection = "bob"
local = "10.0.0.1"
remote = "10.0.0.2"
local_networks = ["10.1.0.0/16"]
remote_networks = ["10.2.0.0/16"]
""",
}


def read(folder: Path, kind: str, old: str = "", new: str = "", *, text: str | None = None):  # type: ignore[no-untyped-def]
    file = folder / "agent.toml"
    good = HEAD + TABLES[kind]
    assert old in good
    file.write_text(good.replace(old, new, 1) if text is None else text)
    return read_config(file, kind)


def test_what_is_left_out_has_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, "wireguard")
    assert found.encryptor == WireGuard("wg0", PUBLIC_KEY, None, ("10.1.0.0/16",), 25, False)
    assert (found.rotate_seconds, found.lifetime_seconds, found.simulated) == (120.0, 600.0, False)
    assert (found.master, found.agent, found.crl, found.metrics_listen) == (
        True,
        Address("127.0.0.1", 8446),
        None,
        None,
    )
    assert found.key == tmp_path / "a.key"
    tunnel = read(tmp_path, "strongswan").encryptor
    assert isinstance(tunnel, StrongSwan)
    assert (tunnel.auth, tunnel.local_id, tunnel.remote_id, tunnel.encap) == ("psk", "10.0.0.1", "10.0.0.2", False)
    assert tunnel.ike_proposals == ("aes256gcm16-prfsha384-ecp384",)


@pytest.mark.parametrize(
    ("kind", "old", "new", "said"),
    [
        ("wireguard", 'peer = "bob"', 'peer = "alice"', "[encryptor] peer: alice is this SAE"),
        ("wireguard", 'role = "master"\n', "", "[encryptor] role: is missing"),
        ("wireguard", '"master"', '"boss"', "[encryptor] role: 'boss' is none of master, slave"),
        ("wireguard", "[kme]", "rotate_seconds = 0\n[kme]", "[encryptor] rotate_seconds: 0 is outside"),
        ("wireguard", "[kme]", "lifetime_seconds = 100\n[kme]", "[encryptor] lifetime_seconds: 100 is no longer than"),
        ("wireguard", "[kme]", "rotate = 1\n[kme]", "[encryptor] rotate: is not known here"),
        ("wireguard", "8446", "66666", "[encryptor] agent: '127.0.0.1:66666' is not HOST:PORT"),
        ("wireguard", 'id = "kme-a"', 'id = "a b"', "[kme] id: 'a b' is no ID"),
        ("wireguard", '"wg0"', '"wg 0"', "[wireguard] interface: 'wg 0' is no name"),
        ("wireguard", '"wg0"', '"-wg0; x"', "[wireguard] interface: '-wg0; x' is no name"),
        ("wireguard", PUBLIC_KEY, PUBLIC_KEY[:-4], "[wireguard] public_key: is no public key"),
        ("wireguard", PUBLIC_KEY, "é", "[wireguard] public_key: is no public key"),
        ("wireguard", '["10.1.0.0/16"]', "[]", "[wireguard] allowed_ips: is no list of networks"),
        ("wireguard", '["10.1.0.0/16"]', '["10.1.0.1/16"]', "[wireguard] allowed_ips: is no list of networks"),
        ("wireguard", '["10.1.0.0/16"]', "[7]", "[wireguard] allowed_ips: is no list of networks"),
        ("wireguard", "[wireguard]", "[require]\nx = 1.5\n[wireguard]", "[require] x: is not text"),
        ("wireguard", "[wireguard]", "[other]\n[wireguard]", "other is not known here"),
        ("strongswan", "[strongswan]", "[wireguard]", "[strongswan] connection: is missing"),
        ("strongswan", '"10.0.0.1"', '"here"', "[strongswan] local: 'here' is no address"),
        ("strongswan", "local =", 'auth = "pubkey"\nlocal =', "[strongswan] certificate: is missing"),
        ("strongswan", "local =", 'auth = "pubkey"\ncertificate = "x"\nlocal =', "certificate: there is no file"),
        ("strongswan", "local =", 'esp_proposals = ["!"]\nlocal =', "esp_proposals: is no list of proposals"),
        ("strongswan", "local =", "encap = 1\nlocal =", "[strongswan] encap: is not true or false"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_file_and_key(
    tmp_path: Path, kind: str, old: str, new: str, said: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, kind, old, new)
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "agent.toml"))
    assert "\n" not in str(error.value)


@settings(max_examples=150)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_no_configuration_fails_otherwise(
    data: st.DataObject, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = (HEAD + TABLES[kind]).splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    value = data.draw(
        st.sampled_from(['""', "-1", "1e400", "nan", "[]", "{}", "true", '"::1"', "1979-05-27", '"\\u0000"', "]"])
    )
    lines[number] = f"{lines[number].split('=')[0]} = {value}"
    folder = tmp_path_factory.mktemp("x")
    try:
        read(folder, kind, text="\n".join(lines))
    except InputError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


def test_the_command_checks_a_file_and_says_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kronborg.network.kme.log.log_to_stderr", lambda: None)
    read(tmp_path, "wireguard")
    command = ["encryptor", "wireguard", "--config", str(tmp_path / "agent.toml")]
    assert main([*command, "--check"]) == 0
    assert capsys.readouterr().out == "SAE alice, master of bob, keys of kme-a every 120 s\n"
    assert main(command) == 2
    assert "a.pem" in capsys.readouterr().err
    assert main(["encryptor", "wireguard", "--config", str(tmp_path / "nowhere")]) == 2
    assert "cannot read" in capsys.readouterr().err
