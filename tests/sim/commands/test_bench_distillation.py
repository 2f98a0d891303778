"""`kronborg bench distillation`: symbols to one key at both ends, without the light."""

import pytest

ENOUGH = ("--symbols", "3e6", "--distance", "1")


def test_both_ends_hold_one_key_and_every_bit_and_epsilon_has_a_line(bench) -> None:
    found = bench("distillation", *ENOUGH)
    assert found.code == 0
    figures = found.figures
    assert figures["keys_identical"]
    bits = [line["bits"] for line in figures["budget"]]
    assert sum(bits[:-1]) == bits[-1] == figures["key_bits"]
    assert sum(line["epsilon"] for line in figures["epsilons"]) == pytest.approx(figures["epsilon"])
    assert figures["key_rate_bit_per_symbol"] < figures["asymptotic_rate_bit_per_symbol"]
    assert abs(figures["excess_noise_snu"] - 0.01) < 4 * figures["excess_noise_std_snu"]
    assert "identical" in found.out


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--symbols", "1e5"), 3), (("--symbols", "0"), 2), ((*ENOUGH, "--excess-noise", "0.9"), 3)]
)
def test_no_key_and_impossible_options_are_said_in_one_line(bench, arguments: tuple[str, ...], code: int) -> None:
    found = bench("distillation", *arguments)
    assert found.code == code
    assert found.err.splitlines()[-1].startswith("kronborg bench: ")
