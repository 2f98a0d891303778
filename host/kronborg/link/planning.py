"""How strongly to modulate: the V_A at which code, channel and eavesdropper together leave the longest key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..board import Scenario
from ..errors import NoKeyError
from ..postprocessing.budget import Epsilons
from ..postprocessing.estimation import most_known
from ..postprocessing.reconciliation import available_codes
from ..postprocessing.reconciliation.slices import letters_for
from ..postprocessing.security import (
    Link,
    chernoff_tail,
    holevo_bound,
    worst_case,
)
from .schemes import LEAST_SLICED_SNR, EightDimensions, Scheme, Slices, expected_bits

SNR_MARGIN = 1.02
"""Aim this far above a code's threshold: what estimation, drift and the receiver's own noise may cost."""


SLICED_STEP = 1.06
"""Ratio of the SNRs at which slices are looked at, from LEAST_SLICED_SNR to MOST_SNR."""

MOST_SNR = 12.0

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


def operating_points(most_snr: float) -> Iterator[tuple[float, Scheme]]:
    """SNRs per quadrature to aim at, and what works there: codes a little above their thresholds, and slices."""
    for code in available_codes():
        yield code.threshold_snr * SNR_MARGIN, EightDimensions(code, 1.0, 1.0)
    snr = LEAST_SLICED_SNR
    while snr < most_snr:
        yield snr, Slices(letters_for(snr), 1.0, 1.0)
        snr *= SLICED_STEP


def phase_variance(linewidth_hz: float, symbol_rate_hz: float, pilot_snr_db: float) -> float:
    """Variance, in rad**2, of the phase that the best smoother of a pilot leaves: sqrt(q r) / 2.

    q = 2 pi linewidth / symbol rate is what the phase walks from symbol to symbol, r = 1 / (2 SNR) the variance of a
    pilot's reading. It makes an excess noise of V_A times that.
    """
    return math.sqrt(2 * math.pi * linewidth_hz / symbol_rate_hz / (2 * 10 ** (pilot_snr_db / 10))) / 2


def choose_modulation(
    scenario: Scenario,
    symbols: int,
    estimation_fraction: float,
    epsilons: Epsilons,
    phase_variance_rad2: float = 0.0,
    most_snr: float = MOST_SNR,
) -> Modulation:
    """The V_A that promises the longest composable key.

    Args:
        scenario: fibre and detector.
        symbols: to send.
        estimation_fraction: of them, disclosed before the code is chosen.
        epsilons: failure probabilities.
        phase_variance_rad2: what is left of the phase at the receiver: excess noise that grows with V_A.
        most_snr: per quadrature, that the receiver's words have room for.

    Raises:
        NoKeyError: nothing works at any SNR that this channel can have.
    """
    kept = int((1 - estimation_fraction) * symbols)
    points = [
        (variance, snr, scheme)
        for snr, scheme in operating_points(most_snr)
        if (variance := modulation_for(scenario, snr)) <= MOST_MODULATION_SNU
    ]
    if not points:
        raise NoKeyError(
            f"no key: at {scenario.loss_db:g} dB of loss no code gets the SNR it needs; take a shorter or better fibre"
        )
    # Where not one block is full there is no key, whatever the modulation; the link says so.
    points = [point for point in points if point[2].length <= 2 * kept] or points
    choices = []
    for variance, snr, scheme in points:
        noise = scenario.excess_noise_snu + variance * phase_variance_rad2
        link = expected_link(replace(scenario, excess_noise_snu=noise), variance)
        try:
            # Whole blocks and what is disclosed; half of it, for a calibration of that length is as uncertain.
            used = 2 * kept // scheme.length * scheme.length / 2 + symbols - kept
            low = worst_case(link, max(int(used), 1), chernoff_tail(epsilons.estimation))
            high = min((2 * math.sqrt(link.transmittance) - math.sqrt(low.transmittance)) ** 2, 1.0)
            eta, electronic = link.detector_efficiency, link.electronic_noise_snu
            bounds = (low.transmittance, high)
            chi = holevo_bound(most_known(variance, bounds, low.noise_variance_snu, eta, electronic))
            expected = expected_bits(scheme, min(snr, link.snr), kept, chi, epsilons)
        except NoKeyError:
            expected = -math.inf  # so few symbols that the channel could be anything
        choices.append(Modulation(variance, expected / symbols))
    return max(choices, key=lambda choice: choice.expected_bit_per_symbol)
