"""What the channel did: maximum-likelihood estimates and their worst case."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NoKeyError
from .calibration import ShotNoise
from .security import Link, chernoff_tail

FEWEST_SYMBOLS = 100


@dataclass(frozen=True)
class Estimate:
    """The channel as m disclosed symbols show it, heterodyne detection.

    Attributes:
        symbols: m.
        modulation_variance_snu: V_A, as Alice set it.
        gain: t, Bob's quadrature over Alice's.
        noise_variance_snu: sigma**2, what Bob's quadrature has beyond t times Alice's.
        transmittance: T = 2 t**2 / eta.
        excess_noise_snu: xi = (sigma**2 - 1 - v_el) / t**2, at the channel's input; may be negative.
        excess_noise_std_snu: its statistical standard deviation.
        snr: t**2 V_A / sigma**2.
        worst_case: the link with the lowest T and the highest xi that the data allow, each with the given probability.
    """

    symbols: int
    modulation_variance_snu: float
    gain: float
    noise_variance_snu: float
    transmittance: float
    excess_noise_snu: float
    excess_noise_std_snu: float
    snr: float
    worst_case: Link


def estimate(
    alice: NDArray[np.complex128],
    bob: NDArray[np.complex128],
    *,
    modulation_variance_snu: float,
    shot_noise: ShotNoise,
    detector_efficiency: float,
    epsilon: float,
) -> Estimate:
    """Estimate transmittance and excess noise (Leverrier, Grosshans & Grangier, Phys. Rev. A 81, 062343, 2010).

    Over the m' = 2 m real pairs, t = sum(x y) / sum(x**2) and sigma**2 = sum((y - t x)**2) / m'. Their standard
    deviations are sqrt(sigma**2 / (m' V_A)) and sigma**2 sqrt(2 / m'). Both are read in units of the calibration, whose
    unit u is known to a relative r: y scales with u**-1/2 and sigma**2 with 1/u, which adds t r / 2 and sigma**2 r in
    quadrature, for calibration and estimation are independent; its confidence costs no epsilon of its own. (The error
    of v_el = dark / u partly cancels that of sigma**2; not to count on this errs on the safe side.) The worst case
    takes each w = sqrt(2 ln(1/epsilon)) deviations to its bad side: T_wc = 2 t_min**2 / eta and xi_wc = (sigma_max**2 -
    1 - v_el) / t_min**2.

    Args:
        alice: symbols sent, sqrt(SNU) at the channel's input, complex, shape (m,).
        bob: symbols received, sqrt(SNU), complex, shape (m,).
        modulation_variance_snu: V_A, per quadrature, as Alice set it.
        shot_noise: the calibration that gave Bob's unit.
        detector_efficiency: eta, trusted.
        epsilon: probability that a bound fails, for each of the two.

    Raises:
        InputError: arrays of different lengths, or values that are not finite.
        NoKeyError: too few symbols, no signal in them, or a channel that physics rules out even at worst.
    """
    if alice.shape != bob.shape or alice.ndim != 1:
        raise InputError(f"{alice.shape} symbols sent and {bob.shape} received do not match")
    m = len(alice)
    if m < FEWEST_SYMBOLS:
        raise NoKeyError(f"no key: {m} disclosed symbols are too few to estimate the channel; send more symbols")
    power = float(np.vdot(alice, alice).real)
    if not math.isfinite(power) or not np.all(np.isfinite(bob)):
        raise InputError("symbols that are not finite cannot be estimated from")
    if power == 0:
        raise InputError("Alice's symbols are all zero")
    gain = float(np.vdot(alice, bob).real) / power
    noise = float(np.mean(np.abs(bob - gain * alice) ** 2)) / 2
    width = chernoff_tail(epsilon)
    gain_std = math.hypot(math.sqrt(noise / (2 * m * modulation_variance_snu)), gain * shot_noise.relative_std / 2)
    noise_std = noise * math.hypot(1 / math.sqrt(m), shot_noise.relative_std)
    gain_min = gain - width * gain_std
    if gain_min <= 0:
        raise NoKeyError(
            "no key: Bob's symbols show no signal beyond statistics; check the light and the synchronisation, or send"
            " more symbols"
        )
    vacuum = 1 + shot_noise.electronic_noise_snu
    share = detector_efficiency / 2
    # Beyond physics by more than statistics: clipping would hide a wrong calibration and promise too long a key.
    if gain_min**2 > share:
        raise NoKeyError(
            f"no key: a transmittance of {gain**2 / share:.3f} is above 1; check the detector's efficiency, V_A and the"
            " shot-noise calibration"
        )
    if noise + width * noise_std < vacuum:
        raise NoKeyError(
            f"no key: the noise lies {vacuum - noise:.3f} SNU below vacuum and electronic noise; calibrate shot noise"
            " again"
        )
    worst = Link(
        modulation_variance_snu,
        gain_min**2 / share,
        (noise + width * noise_std - vacuum) / gain_min**2,
        detector_efficiency,
        shot_noise.electronic_noise_snu,
    )
    return Estimate(
        symbols=m,
        modulation_variance_snu=modulation_variance_snu,
        gain=gain,
        noise_variance_snu=noise,
        transmittance=gain**2 / share,
        excess_noise_snu=(noise - vacuum) / gain**2,
        excess_noise_std_snu=noise_std / gain**2,
        snr=gain**2 * modulation_variance_snu / noise,
        worst_case=worst,
    )
