from __future__ import annotations

import json

import numpy as np
import pytest

PROMISED = (
    "distance_km",
    "loss_db",
    "symbol_rate_hz",
    "symbols",
    "modulation_variance_snu",
    "transmittance",
    "excess_noise_snu",
    "excess_noise_worst_case_snu",
    "electronic_noise_snu",
    "snr",
    "reconciliation_efficiency",
    "frame_error_rate",
    "disclosed_bits",
    "key_bits",
    "keys_identical",
    "key_rate_bit_per_symbol",
    "key_rate_bit_per_second",
    "epsilon",
    "wall_seconds",
    "stage_seconds",
)


def test_json_has_every_promised_field_with_its_value(example):
    result = example.result()
    values = json.loads(result.to_json())
    assert set(PROMISED) <= set(values)
    for name in PROMISED:
        assert values[name] == getattr(result, name), name
    assert values["schema"] == "kronborg-run/1"
    assert values["budget"][0] == {"label": "uniform code bits", "bits": 20_447_232}
    assert values["budget"][-1]["bits"] == values["key_bits"]


def test_json_of_two_runs_differs_in_times_only(example):
    first = json.loads(example.result().to_json())
    second = json.loads(example.result(wall_seconds=9.0, stage_seconds={"estimate": 1.0}).to_json())
    assert list(first) == list(second)
    assert {name for name in first if first[name] != second[name]} == {"wall_seconds", "stage_seconds"}


def test_json_takes_numbers_as_numpy_has_them(example):
    result = example.result(symbols=np.int64(5), snr=np.float32(0.5), keys_identical=np.bool_(True))
    values = json.loads(result.to_json())
    assert (values["symbols"], values["snr"], values["keys_identical"]) == (5, 0.5, True)


def test_json_refuses_what_is_not_a_number(example):
    with pytest.raises(ValueError, match="nan"):
        example.result(snr=float("nan")).to_json()


@pytest.mark.parametrize("last", [1_270_310, 1_270_312])
def test_a_budget_that_is_one_bit_off_is_refused(example, last):
    budget = (*example.result().budget[:-1], ("key", last))
    with pytest.raises(ValueError, match="does not add up"):
        example.result(budget=budget, key_bits=last)


def test_a_budget_of_another_key_is_refused(example):
    with pytest.raises(ValueError, match="does not add up"):
        example.result(key_bits=1)
