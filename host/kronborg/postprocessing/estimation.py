"""What the channel did: maximum-likelihood estimates and their worst case.

All that the estimates need of the symbols is a few sums, which add up over blocks, files and machines
(:class:`Moments`). So symbols that became key can be estimated from as well: once a block is corrected Alice knows
Bob's quadratures, and three sums are all that she tells (``link.alice``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NoKeyError
from .calibration import ShotNoise
from .security import Link, chernoff_tail, holevo_bound

FEWEST_SYMBOLS = 100


@dataclass(frozen=True)
class Moments:
    """Sums over pairs of quadratures: x, Alice's, and y, Bob's. They add up.

    Attributes:
        pairs: how many; two a symbol.
        xx: sum of x**2.
        xy: sum of x y.
        yy: sum of y**2.
        own: sum over y of the variance of noise that Bob added himself: no part of the channel, but of the statistics.
    """

    pairs: int
    xx: float
    xy: float
    yy: float
    own: float = 0.0

    @classmethod
    def of(cls, x: NDArray[np.inexact], y: NDArray[np.inexact]) -> Moments:
        """Sums of quadratures, each of shape (2 m,); complex symbols of shape (m,) may be given as they are.

        Raises:
            InputError: arrays that do not match, values that are not finite, or constant ones.
        """
        if x.shape != y.shape or x.ndim != 1:
            raise InputError(f"{x.shape} symbols sent and {y.shape} received do not match")
        real = [_quadratures(values) for values in (x, y)]
        sums = [float(np.dot(real[i], real[j])) for i, j in ((0, 0), (0, 1), (1, 1))]
        if not all(map(math.isfinite, sums)):
            raise InputError("symbols that are not finite cannot be estimated from")
        for whose, values in (("Alice's", x), ("Bob's", y)):
            if len(values) > 1 and np.all(values == values[0]):
                raise InputError(f"{whose} symbols are constant, all zero or another: there is no signal in them")
        return cls(len(real[0]), *sums)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.pairs + other.pairs,
            self.xx + other.xx,
            self.xy + other.xy,
            self.yy + other.yy,
            self.own + other.own,
        )

    def scaled(self, x: float, y: float) -> Moments:
        """Those of x and y times these factors: words to sqrt(SNU)."""
        return Moments(self.pairs, self.xx * x * x, self.xy * x * y, self.yy * y * y, self.own * y * y)

    def with_own_noise(self, variance: float) -> Moments:
        """The same, knowing that each y has noise of this variance that Bob added himself."""
        return replace(self, own=self.own + self.pairs * variance)


NO_PAIRS = Moments(0, 0.0, 0.0, 0.0)
"""Where sums begin."""


def _quadratures(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Real numbers, in float64, of real or complex ones."""
    wide = np.ascontiguousarray(values, np.complex128 if np.iscomplexobj(values) else np.float64)
    return wide.view(np.float64)


@dataclass(frozen=True)
class Estimate:
    """The channel as m symbols show it, heterodyne detection.

    Attributes:
        symbols: m.
        modulation_variance_snu: V_A, as Alice set it.
        gain: t, Bob's quadrature over Alice's.
        noise_variance_snu: sigma**2, what Bob's quadrature has beyond t times Alice's.
        transmittance: T = 2 t**2 / eta.
        excess_noise_snu: xi = (sigma**2 - 1 - v_el) / t**2, at the channel's input; may be negative.
        excess_noise_std_snu: its statistical standard deviation.
        snr: t**2 V_A / sigma**2.
        transmittance_bounds: lowest and highest T that the data allow.
        worst_case: of all links that the data allow, the one of which an eavesdropper knows most.
    """

    symbols: int
    modulation_variance_snu: float
    gain: float
    noise_variance_snu: float
    transmittance: float
    excess_noise_snu: float
    excess_noise_std_snu: float
    snr: float
    transmittance_bounds: tuple[float, float]
    worst_case: Link


def estimate(
    moments: Moments,
    *,
    modulation_variance_snu: float,
    shot_noise: ShotNoise,
    detector_efficiency: float,
    epsilon: float,
) -> Estimate:
    """Estimate transmittance and excess noise (Leverrier, Grosshans & Grangier, Phys. Rev. A 81, 062343, 2010).

    Over the m' = 2 m real pairs, t = sum(x y) / sum(x**2) and sigma**2 = sum((y - t x)**2) / m'. Their standard
    deviations are sqrt(sigma**2 / (m' V_A)) and sigma**2 sqrt(2 / m'), where sigma**2 still has the noise that Bob
    added himself; it is taken off the estimate only. Both are read in units of the calibration, whose unit u is known
    to a relative r: y scales with u**-1/2 and sigma**2 with 1/u, which adds t r / 2 and sigma**2 r in quadrature, for
    calibration and estimation are independent; its confidence costs no epsilon of its own. (The error of v_el = dark /
    u partly cancels that of sigma**2; not to count on this errs on the safe side.) The worst case
    lies within w = sqrt(2 ln(1/epsilon)) deviations: sigma**2 at its largest, for the Holevo bound grows with it, and
    the transmittance where the Holevo bound is largest between t_min and t_max (:func:`most_known`). The paper takes
    t_min; with the code's rate fixed, what matters is the eavesdropper's information alone, and below some 70 % of
    transmittance that grows with T. Each w bounds one tail by epsilon / 2, so both sides of t cost one epsilon.

    Args:
        moments: of the m symbols: x sent, in sqrt(SNU) at the channel's input, and y received, in sqrt(SNU).
        modulation_variance_snu: V_A, per quadrature, as Alice set it.
        shot_noise: the calibration that gave Bob's unit.
        detector_efficiency: eta, trusted.
        epsilon: probability that a bound fails, for each of the two.

    Raises:
        InputError: sums that no symbols have.
        NoKeyError: too few symbols, no signal in them, or a channel that physics rules out even at worst.
    """
    m = moments.pairs // 2
    if m < FEWEST_SYMBOLS:
        raise NoKeyError(f"no key: {m} symbols are too few to estimate the channel; send more symbols")
    if not (all(map(math.isfinite, (moments.xx, moments.xy, moments.yy))) and moments.xx > 0):
        raise InputError("Alice's symbols are all zero, or not finite: there is nothing to estimate from")
    gain = moments.xy / moments.xx
    measured = (moments.yy - moments.xy**2 / moments.xx) / moments.pairs
    noise = measured - moments.own / moments.pairs
    if not noise > 0:
        raise InputError("sums of no symbols: x y is larger than x and y allow")
    width = chernoff_tail(epsilon)
    gain_std = math.hypot(math.sqrt(measured / (2 * m * modulation_variance_snu)), gain * shot_noise.relative_std / 2)
    noise_std = measured * math.hypot(1 / math.sqrt(m), shot_noise.relative_std)
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
    bounds = (gain_min**2 / share, min((gain + width * gain_std) ** 2 / share, 1.0))
    worst = most_known(
        modulation_variance_snu,
        bounds,
        noise + width * noise_std,
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
        transmittance_bounds=bounds,
        worst_case=worst,
    )


def most_known(
    modulation_variance_snu: float,
    transmittances: tuple[float, float],
    noise_variance_snu: float,
    detector_efficiency: float,
    electronic_noise_snu: float,
) -> Link:
    """The link, between two transmittances and with this noise at the detector, with the largest Holevo bound.

    At fixed noise sigma**2 = 1 + v_el + (eta T / 2) xi the bound rises with T, then falls: a ternary search finds its
    peak, and the ends are looked at besides.
    """

    def link(transmittance: float) -> Link:
        added = max(noise_variance_snu - 1 - electronic_noise_snu, 0.0)
        excess = added / (detector_efficiency * transmittance / 2)
        return Link(modulation_variance_snu, transmittance, excess, detector_efficiency, electronic_noise_snu)

    low, high = transmittances
    for _ in range(60):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if holevo_bound(link(left)) < holevo_bound(link(right)) else (low, right)
    return max(map(link, (*transmittances, (low + high) / 2)), key=holevo_bound)
