"""`kronborg bench estimation`."""

import pytest

from kronborg.postprocessing import streaming


def test_a_known_channel_is_found_and_its_sums_are_exact(bench) -> None:
    found = bench("estimation", "--symbols", "3e5")
    assert found.code == 0
    assert found.figures["sums_exact"]
    assert found.figures["megasymbol_per_second"] > 0
    assert abs(found.figures["excess_noise_snu"] - 0.01) < 4 * found.figures["excess_noise_std_snu"]
    assert "exact" in found.out


def test_a_wrong_sum_fails_the_bench(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right = streaming.word_sums
    monkeypatch.setattr(streaming, "word_sums", lambda x, y: (right(x, y)[0] + 1, *right(x, y)[1:]))
    found = bench("estimation", "--symbols", "1e4")
    assert found.code == 1
    assert "not those of the symbols" in found.err


@pytest.mark.parametrize("wrong", [("--symbols", "10"), ("--folder", "/nowhere/at/all")])
def test_what_cannot_be_is_refused_in_one_line(bench, wrong: tuple[str, ...]) -> None:
    found = bench("estimation", *wrong)
    assert found.code == 2
    assert found.err.count("\n") == 1
