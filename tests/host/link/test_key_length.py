"""The whole chain, many times: no key is longer than the formula grants for the channel as it really is."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kronborg.board import Scenario
from kronborg.errors import NoKeyError
from kronborg.link.alice import Alice
from kronborg.link.bob import Bob
from kronborg.link.planning import expected_link
from kronborg.postprocessing.budget import Budget, Epsilons, key_budget
from kronborg.postprocessing.calibration import ShotNoise
from kronborg.postprocessing.estimation import Moments, estimate
from kronborg.postprocessing.reconciliation import Code
from kronborg.postprocessing.security import Link, holevo_bound
from kronborg_sim.devices.drawn_light import DrawnLight

VARIANCE = 2.2


def distil(folder: Path, scenario: Scenario, seed: int) -> tuple[Bob, Budget | None]:
    light = DrawnLight(scenario, VARIANCE, seed, frame_symbols=102_000)
    alice = Alice(light.emit(0, 4), light.snu_per_word, folder / "alice.sqlite")
    bob = Bob(
        alice.handle,
        light.receive(0, 4),
        modulation_variance_snu=VARIANCE,
        snu_per_word=light.snu_per_word,
        shot_noise=light.shot_noise,
        detector_efficiency=light.detector_efficiency,
        epsilons=Epsilons.within(1e-9),
        store=folder / "bob.sqlite",
        randomness=np.random.default_rng([seed, 99]).bytes,
    )
    bob.announce()
    bob.estimate(0.02)
    bob.choose_code()
    try:
        return bob, bob.distil(bob.reconcile())
    except NoKeyError:
        return bob, None


@pytest.mark.parametrize("excess_noise", [0.0, 0.02, 0.3])
def test_no_key_of_the_chain_is_longer_than_the_formula_for_the_true_channel(
    tmp_path: Path, short_code: Code, excess_noise: float
) -> None:
    scenario = Scenario(
        distance_km=0.5, excess_noise_snu=excess_noise, detector_efficiency=1.0, electronic_noise_snu=0.01
    )
    true = expected_link(scenario, VARIANCE)
    keys = 0
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        bob, budget = distil(tmp_path / str(seed), scenario, seed)
        if budget is None:
            continue
        keys += 1
        blocks = len(bob._squares)
        granted = key_budget(
            blocks=blocks,
            blocks_tried=blocks,
            block_bits=short_code.length,
            syndrome_bits=short_code.length - short_code.dimension,
            hashed_bits=short_code.core_length,
            dither_steps=1.0,
            worst_case=true,
            epsilons=Epsilons.within(1e-9),
        )
        symbols = blocks * short_code.length / 2
        assert budget.key_bits <= granted.key_bits
        assert budget.key_bits < symbols * (2 * short_code.rate - holevo_bound(true))
    assert keys == (0 if excess_noise == 0.3 else 5)


def test_keys_are_too_long_no_more_often_than_the_estimation_may_fail() -> None:
    """Thousands of channels, drawn as sums: at an epsilon that can be counted, not at 1e-10."""
    link, pairs, rng = Link(4, 0.6, 0.02, 0.8, 0.05), 2_000_000, np.random.default_rng(3)
    epsilon, gain = 0.05, math.sqrt(link.gain_squared)
    shot_noise = ShotNoise(1.0, link.electronic_noise_snu, 0.0)
    longer, trials = 0, 1500
    known = holevo_bound(link)
    for _ in range(trials):
        xx = link.modulation_variance_snu * rng.chisquare(pairs)
        # y = t x + z: along x a normal variable, beside it chi-squared with one degree of freedom fewer.
        along = rng.normal() * math.sqrt(link.noise_variance_snu)
        beside = link.noise_variance_snu * rng.chisquare(pairs - 1)
        root = math.sqrt(xx)
        moments = Moments(pairs, xx, gain * xx + along * root, (gain * root + along) ** 2 + beside)
        found = estimate(
            moments,
            modulation_variance_snu=link.modulation_variance_snu,
            shot_noise=shot_noise,
            detector_efficiency=link.detector_efficiency,
            epsilon=epsilon,
        )
        longer += holevo_bound(found.worst_case) < known
    assert longer <= 2 * epsilon * trials
    assert longer > 0  # the bound is one, and not a wall


def test_a_better_channel_never_has_a_shorter_key() -> None:
    """The formula falls with excess noise: what the worst case of an estimate rests on."""
    fixed = {
        "blocks": 100,
        "blocks_tried": 100,
        "block_bits": 100_000,
        "syndrome_bits": 58_000,
        "hashed_bits": 60_000,
        "dither_steps": 1.0,
        "epsilons": Epsilons.within(1e-9),
    }
    lengths = [
        key_budget(worst_case=replace(Link(5, 0.6, 0.0, 0.6, 0.1), excess_noise_snu=noise), **fixed).key_bits
        for noise in np.linspace(0, 0.06, 13)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]
