"""How strongly to modulate: the V_A at which the channel's SNR meets a code."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..board import Scenario
from ..errors import NoKeyError
from ..postprocessing.budget import Epsilons, smoothing_penalty
from ..postprocessing.estimation import most_known
from ..postprocessing.reconciliation import Code
from ..postprocessing.security import (
    Link,
    chernoff_tail,
    holevo_bound,
    worst_case,
)

SNR_MARGIN = 1.02
"""Aim this far above a code's threshold: what estimation, drift and the receiver's own noise may cost."""


MOST_MODULATION_SNU = 100.0
"""No code is worth more: the eavesdropper's information grows with it, the code's rate does not."""


@dataclass(frozen=True)
class Modulation:
    """A choice of V_A.

    Attributes:
        modulation_variance_snu: V_A.
        expected_bit_per_symbol: composable key per symbol that the formula promises at it; negative: no key.
    """

    modulation_variance_snu: float
    expected_bit_per_symbol: float


def expected_link(scenario: Scenario, modulation_variance_snu: float) -> Link:
    """The link that a scenario describes."""
    return Link(
        modulation_variance_snu,
        scenario.transmittance,
        scenario.excess_noise_snu,
        scenario.detector_efficiency,
        scenario.electronic_noise_snu,
    )


def modulation_for(scenario: Scenario, snr: float) -> float:
    """V_A that gives this SNR, per quadrature."""
    link = expected_link(scenario, 1.0)
    return snr * link.noise_variance_snu / link.gain_squared


def choose_modulation(
    codes: Iterable[Code], scenario: Scenario, symbols: int, estimation_fraction: float, epsilons: Epsilons
) -> Modulation:
    """The V_A, for one of the codes, that promises the longest composable key.

    Raises:
        NoKeyError: no code gets the SNR it needs.
    """
    choices = []
    for code in codes:
        variance = modulation_for(scenario, code.threshold_snr * SNR_MARGIN)
        if variance > MOST_MODULATION_SNU:
            continue
        link = expected_link(scenario, variance)
        kept = (1 - estimation_fraction) * symbols
        try:
            low = worst_case(link, 2 * symbols, chernoff_tail(epsilons.estimation))
            high = min((2 * math.sqrt(link.transmittance) - math.sqrt(low.transmittance)) ** 2, 1.0)
            eta, electronic = link.detector_efficiency, link.electronic_noise_snu
            bounds = (low.transmittance, high)
            chi = holevo_bound(most_known(variance, bounds, low.noise_variance_snu, eta, electronic))
        except NoKeyError:
            chi = math.inf  # so few symbols that the channel could be anything
        rate = 2 * code.rate - chi - smoothing_penalty(kept, epsilons.smoothing) / kept
        choices.append(Modulation(variance, rate * kept / symbols))
    if not choices:
        raise NoKeyError(
            f"no key: at {scenario.loss_db:g} dB of loss no code gets the SNR it needs; take a shorter or better fibre"
        )
    return max(choices, key=lambda choice: choice.expected_bit_per_symbol)
