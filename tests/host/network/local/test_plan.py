"""Plans of networks: what is wrong in one is said in one line, with file and key."""

from pathlib import Path

import pytest

from kronborg.errors import InputError
from kronborg.network.kme.config import read_config
from kronborg.network.local.files import Files, config_of
from kronborg.network.local.plan import EXAMPLE, Plan, reached, read_plan

TWO = """
[[site]]
id = "a"
[[site]]
id = "b"
[[link]]
ends = ["a", "b"]
length_km = 5.0
"""

ABROAD = """
[[site]]
id = "c"
operator = "sweden"
[[site]]
id = "d"
operator = "sweden"
[[link]]
ends = ["c", "d"]
length_km = 5
[[border]]
ends = ["b", "c"]
"""


def plan(folder: Path, text: str) -> Plan:
    file = folder / "network.toml"
    file.write_text(text)
    return read_plan(file)


def test_the_example_has_ten_sites_that_all_reach_each_other_over_links_that_give_key() -> None:
    found = read_plan(EXAMPLE)
    assert len(found.sites) == 10
    assert all(reached(found, site) == set(found.sites) for site in found.sites)
    rates = {link.length_km: link.bits_per_second(found.light) for link in found.links.values()}
    assert min(rates.values()) > 1e5
    # The longer the fibre, the less key.
    short = [rates[length] for length in sorted(rates) if length < 40]
    assert short == sorted(short, reverse=True)


def test_a_rate_is_that_of_kronborg_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from kronborg.cli import main

    found = plan(tmp_path, TWO)
    command = ["rate", "--distance", "5", "--excess-noise", "0.002", "--proof", "composable", "--symbols", "1e9"]
    assert main([*command, "--json", "-"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert found.links["simulated-a--b"].bits_per_symbol(found.light) == said["key_rate_bit_per_symbol"]


def test_every_configuration_that_is_made_of_a_plan_is_one(tmp_path: Path) -> None:
    found, files = plan(tmp_path, TWO + ABROAD), Files(tmp_path)
    for site in found.sites.values():
        files.site(site.id).mkdir(parents=True)
        files.config(site.id).write_text(config_of(found, site))
    b, c, a = (read_config(files.config(name)) for name in "bca")
    assert b.border is not None
    assert c.border is not None
    assert (b.border.peer, b.border.saes, c.border.saes) == ("c", ("sae-d",), ("sae-a",))
    assert (b.border.address, c.border.listen) == (c.border.listen, c.border.listen)
    assert a.saes["sae-d"] == "b"
    assert a.hybrid("sae-a", "sae-d")
    assert not a.hybrid("sae-a", "sae-b")
    assert a.links["simulated-a--b"].simulated
    assert reached(found, "a") == set("abcd")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "[[site]]: a network on one machine has 2 to 100 sites, not 0"),
        ('[[site]]\nid = "../x"', "[[site]] 1 id: '../x' is no ID"),
        ('[[site]]\nid = ".."', "[[site]] 1 id: '..' is no site's"),
        ('[[site]]\nid = "a"\n[[site]]\nid = "a"', "[[site]] 2 id: a comes twice"),
        ('[[site]]\nid = "a"\nfloor = 3', "[[site]] 1 floor: is not known here"),
        (TWO + "[light]\nbeta = 2.0", "[light] beta: 2 is outside 0.001 to 1"),
        (TWO + "[network]\nfirst_port = 65530", "[network] first_port: with 65530, no port is left for"),
        (TWO + '[network]\ntransport = "pigeon"', "[network] transport: 'pigeon' is none of https, nats"),
        (TWO + '[[link]]\nends = ["b", "a"]\nlength_km = 1', "[[link]] 2 ends: there is another link between b and a"),
        (TWO + '[[link]]\nends = ["a", "c"]\nlength_km = 1', "[[link]] 2 ends: there is no site c"),
        (TWO + '[[talk]]\nends = ["a"]', "[[talk]] 1 ends: names two sites"),
        (TWO + '[[talk]]\nends = ["a", "b"]\nloud = true', "[[talk]] 1 loud: is not known here"),
        (TWO + '[[border]]\nends = ["a", "b"]', "[[border]] 1 ends: both are of operator home"),
        (
            TWO + ABROAD + '[[site]]\nid = "e"\noperator = "norway"\n[[border]]\nends = ["b", "e"]',
            "[[border]] 2 ends: a gateway has one border",
        ),
        (TWO + ABROAD + '[[link]]\nends = ["a", "d"]\nlength_km = 1', "have different operators: write a [[border]]"),
        (TWO.replace("length_km = 5.0", ""), "[[link]] 1 length_km: is missing"),
        (TWO.replace("5.0", "300.0"), "[[link]] 1 length_km: 300 km give no key from 1e+09 symbols"),
        (TWO + '[[site]]\nid = "e"\n[[talk]]\nends = ["a", "e"]', "[[talk]] 1 ends: no way leads from a to e"),
        (TWO + '[[tunnel]]\nends = ["a", "b"]\nrotate_seconds = 0.5', "[[tunnel]] 1 rotate_seconds: 0.5 is outside 1"),
        (TWO + 2 * '[[tunnel]]\nends = ["a", "b"]\n', "[[tunnel]] 2 ends: a has another tunnel"),
        (TWO + ABROAD + '[[tunnel]]\nends = ["a", "d"]', "[[tunnel]] 1 ends: agents of different operators"),
        (TWO + "[mood]\n", "mood is not known here"),
        ("[[site]", "network.toml: "),
    ],
)
def test_a_plan_that_is_wrong_gets_one_line_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        plan(tmp_path, text)
    assert said in str(raised.value)
    assert str(tmp_path / "network.toml") in str(raised.value)
    assert "\n" not in str(raised.value)
