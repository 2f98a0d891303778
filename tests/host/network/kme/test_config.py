"""A configuration that is wrong is said so in one line, with the file and the key."""

from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg.errors import InputError
from kronborg.network.kme.config import Address, KeySettings, read_config

GOOD = """
[kme]
id = "kme-a"
listen = "0.0.0.0:8443"
peer_listen = "[::1]:8444"
certificate = "pki/kme.pem"
key = "/etc/kme.key"
ca = "pki/ca.pem"

[store]
path = "keys.sqlite"

[[link]]
name = "cph-odense"
peer = "kme-b"
address = "odense.example:8444"

[[sae]]
id = "alice"
kme = "kme-a"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "kme.toml"
    path.write_text(text)
    return path


def test_the_least_that_a_configuration_needs(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD))
    assert config.listen == Address("0.0.0.0", 8443)
    assert str(config.peer_listen) == "[::1]:8444"
    assert (config.certificate, config.key) == (tmp_path / "pki/kme.pem", Path("/etc/kme.key"))
    assert (config.crl, config.metrics_listen, config.audit_log) == (None, None, tmp_path / "audit.jsonl")
    assert config.keys == KeySettings()
    assert config.links["cph-odense"].address == Address("odense.example", 8444)
    assert config.saes == {"alice": "kme-a"}


WRONG = {
    ('id = "kme-a"', ""): "[kme] id: is missing",
    ('id = "kme-a"', 'id = "kme a"'): "[kme] id: 'kme a' is no ID",
    ('id = "kme-a"', "id = 7"): "[kme] id: is not text in quotes",
    ('"0.0.0.0:8443"', '"0.0.0.0"'): "[kme] listen: '0.0.0.0' is not HOST:PORT",
    ('"0.0.0.0:8443"', '"a:99999"'): "[kme] listen: 'a:99999' is not HOST:PORT",
    ('ca = "pki/ca.pem"', 'ca = "x"\nhurry = true'): "[kme] hurry: is not known here",
    ('ca = "pki/ca.pem"', 'ca = "x"\nrequest_seconds = 0'): "[kme] request_seconds: 0 is outside 0.1 to 600",
    ("[store]", '[store]\nbackend = "paper"'): "[store] backend: 'paper' is none of",
    ('path = "keys.sqlite"', ""): "[store] path: is missing",
    ("[store]", "[keys]\ndefault_size = 100\n[store]"): "[keys] default_size: 100 is not a multiple of 8",
    ("[store]", "[keys]\nmin_size = 512\n[store]"): "[keys] default_size: is outside 512 to 4096",
    ("[store]", "[keys]\nmax_per_request = 0\n[store]"): "[keys] max_per_request: 0 is outside 1 to 4096",
    ("[store]", "[keys]\nmax_per_request = true\n[store]"): "[keys] max_per_request: is not a whole number",
    ("[store]", '[keys]\nunhandled_optional = "maybe"\n[store]'): "[keys] unhandled_optional: 'maybe' is neither",
    ('peer = "kme-b"', 'peer = "kme-a"'): "[[link]] 1 peer: kme-a is this KME",
    ('address = "odense.example:8444"', ""): "[[link]] 1 address: is missing",
    ('name = "cph-odense"', 'name = "simulated"'): "[[link]] 1 simulated: is false, and the link's name says otherwise",
    ("[[link]]", "[link]"): "link comes several times: write [[link]]",
    ("[[sae]]", '[[sae]]\nid = "alice"\nkme = "kme-a"\n[[sae]]'): "[[sae]] 2 id: alice comes twice",
    ('kme = "kme-a"', 'kme = "kme-z"'): "[[sae]] alice kme: no link leads to kme-z, and there is no [relay]",
    ("[store]", "[relay]\npaths = 3\n[store]"): "[relay] paths: 3 is outside 1 to 2",
    ("[store]", '[relay]\ntransport = "pigeon"\n[store]'): "[relay] transport: 'pigeon' is none of https, nats",
    ("[store]", '[relay]\ntransport = "nats"\n[store]'): "[relay] nats: is missing",
    ("[store]", "[relay]\navoid = [7]\n[store]"): "[relay] avoid: is not a list of IDs",
    ("[store]", "[relay]\nhurry = 1\n[store]"): "[relay] hurry: is not known here",
    ("[store]", '[[policy]]\nsaes = ["alice"]\n[store]'): "[[policy]] 1 saes: names two SAEs",
    (
        "[store]",
        '[[policy]]\nsaes = ["*", "*"]\nroute_type = "fast"\n[store]',
    ): "[[policy]] 1 route_type: 'fast' is none of",
    ("[store]", '[[policy]]\nsaes = ["*", "*"]\nhybrid = "always"\n[store]'): "a border, hybrid keys and domains need",
    ("[store]", '[relay]\n[border]\nlisten = "a:1"\n[store]'): "[border] peer: is missing",
    (
        "[store]",
        '[relay]\n[border]\nlisten = "a:1"\npeer = "x"\naddress = "b:1"\nca = "c"\nsaes = ["bob"]\n[store]',
    ): "[border] saes: bob has no [[sae]] at kme-a",
    ("[store]", "[colour]\n[store]"): "colour is not known here",
    ("[store]", "[store"): "(at line",
}


@pytest.mark.parametrize(("change", "message"), WRONG.items(), ids=[text[:40] for text in WRONG.values()])
def test_what_is_wrong_is_named(
    tmp_path: Path, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, GOOD.replace(*change, 1))
    assert main(["kme", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kronborg kme: {path}: ")
    assert message in line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_config(tmp_path / "nothing.toml")
    (tmp_path / "kme.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"kme\.toml"):
        read_config(tmp_path / "kme.toml")


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, GOOD)
    assert main(["kme", "--check", str(path)]) == 0
    assert main(["kme", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("KME kme-a: 1 links, 1 SAEs")
    assert captured.err == f"kronborg kme: cannot read {tmp_path / 'pki/kme.pem'}: No such file or directory\n"


MORE = """
[[link]]
name = "cph-roskilde"
peer = "kme-c"
address = "roskilde.example:8444"

[[policy]]
saes = ["alice", "*"]
route_type = "direct"
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("", "", ""),
        ('id = "alice"', 'id = "carol"', ""),
        ('kme = "kme-a"\n', 'kme = "kme-a"\n' + MORE, ""),
        ("odense.example:8444", "odense.example:8555", "link cph-odense"),
        ("keys.sqlite", "other.sqlite", "store"),
        ("0.0.0.0:8443", "0.0.0.0:9443", "listen"),
        ("[store]", "[relay]\npaths = 1\n[store]", "relay"),
    ],
)
def test_a_kme_goes_on_with_more_links_and_other_saes_and_with_nothing_else(
    tmp_path: Path, old: str, new: str, changed: str
) -> None:
    before = read_config(write(tmp_path, GOOD))
    assert read_config(write(tmp_path, GOOD.replace(old, new))).extends(before) == changed


def test_a_link_that_is_gone_takes_a_restart(tmp_path: Path) -> None:
    more = read_config(write(tmp_path, GOOD + MORE))
    assert read_config(write(tmp_path, GOOD)).extends(more) == "link cph-roskilde"
