"""Secret-key rates of Gaussian-modulated coherent states, reverse reconciliation, trusted detector.

Collective attacks. V_A is the modulation variance per quadrature in shot-noise units (SNU), V = V_A + 1; the channel has
transmittance T and excess noise xi at its input; the detector efficiency eta and electronic noise v_el, per quadrature in
SNU of each measured quadrature. Rates are in bits per symbol (two quadratures for heterodyne, one for homodyne).

Sources: Lodewyck et al., Phys. Rev. A 76, 042305 (2007); Fossier et al., J. Phys. B 42, 114014 (2009) for the Holevo
bound; Leverrier, Grosshans & Grangier, Phys. Rev. A 81, 062343 (2010) for finite size; Pirandola & Papanastasiou,
arXiv:2301.10270 (2024) for composable rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from ..errors import InputError

Detection = Literal["heterodyne", "homodyne"]


@dataclass(frozen=True)
class Link:
    """A channel and its detector.

    Attributes:
        modulation_variance_snu: V_A.
        transmittance: T, in (0, 1].
        excess_noise_snu: xi at the channel's input.
        detector_efficiency: eta, in (0, 1].
        electronic_noise_snu: v_el.
        detection: heterodyne measures both quadratures of each symbol, homodyne one.

    Raises:
        InputError: a value that cannot be.
    """

    modulation_variance_snu: float
    transmittance: float
    excess_noise_snu: float
    detector_efficiency: float = 1.0
    electronic_noise_snu: float = 0.0
    detection: Detection = "heterodyne"

    def __post_init__(self) -> None:
        if not 0 < self.modulation_variance_snu <= 1e9:
            raise InputError(f"modulation variance {self.modulation_variance_snu:g} SNU is outside (0, 1e9]")
        if not 0 < self.transmittance <= 1:
            raise InputError(f"transmittance {self.transmittance:g} is outside (0, 1]")
        if not 0 < self.detector_efficiency <= 1:
            raise InputError(f"detector efficiency {self.detector_efficiency:g} is outside (0, 1]")
        if not 0 <= self.excess_noise_snu <= 1e9:
            raise InputError(f"excess noise {self.excess_noise_snu:g} SNU is outside [0, 1e9]")
        if not 0 <= self.electronic_noise_snu <= 1e9:
            raise InputError(f"electronic noise {self.electronic_noise_snu:g} SNU is outside [0, 1e9]")
        if self.detection not in ("heterodyne", "homodyne"):
            raise InputError(f"detection {self.detection!r} is neither heterodyne nor homodyne")

    @property
    def gain_squared(self) -> float:
        """k: Bob's quadrature is sqrt(k) times Alice's plus noise. eta T / 2 for heterodyne, eta T for homodyne."""
        share = 2.0 if self.detection == "heterodyne" else 1.0
        return self.detector_efficiency * self.transmittance / share

    @property
    def noise_variance_snu(self) -> float:
        """Variance of that noise: 1 + v_el + k xi."""
        return 1 + self.electronic_noise_snu + self.gain_squared * self.excess_noise_snu

    @property
    def snr(self) -> float:
        """Signal over noise, per quadrature."""
        return self.gain_squared * self.modulation_variance_snu / self.noise_variance_snu

    @property
    def chi_line(self) -> float:
        """Noise of the channel, at its input."""
        return 1 / self.transmittance - 1 + self.excess_noise_snu

    @property
    def chi_detector(self) -> float:
        """Noise of the detector, at its input."""
        eta, v_el = self.detector_efficiency, self.electronic_noise_snu
        return (2 - eta + 2 * v_el) / eta if self.detection == "heterodyne" else (1 - eta + v_el) / eta

    @property
    def chi_total(self) -> float:
        """Both, at the channel's input."""
        return self.chi_line + self.chi_detector / self.transmittance


def entropy(eigenvalue: float) -> float:
    """Von Neumann entropy in bits of a mode with this symplectic eigenvalue (at least 1)."""
    x = (max(eigenvalue, 1.0) - 1) / 2
    return (x + 1) * math.log2(x + 1) - x * math.log2(x) if x > 0 else 0.0


def mutual_information(link: Link) -> float:
    """I_AB, bits per symbol: log2(1 + SNR) for heterodyne, half of it for homodyne."""
    bits = math.log2(1 + link.snr)
    return bits if link.detection == "heterodyne" else bits / 2


def _roots(trace: float, determinant: float) -> tuple[float, float]:
    """Symplectic eigenvalues from the two invariants: lambda**2 = (trace +- sqrt(trace**2 - 4 determinant)) / 2."""
    larger = (trace + math.sqrt(max(trace**2 - 4 * determinant, 0.0))) / 2
    # Their product is the determinant: dividing is stable where subtracting would cancel.
    return math.sqrt(larger), math.sqrt(determinant / larger)


def symplectic_eigenvalues(link: Link) -> tuple[float, float, float, float]:
    """lambda_1 ... lambda_4 of the Holevo bound: Eve's state, and her state given Bob's result."""
    v, t = link.modulation_variance_snu + 1, link.transmittance
    line, detector, total = link.chi_line, link.chi_detector, link.chi_total
    a = v**2 * (1 - 2 * t) + 2 * t + (t * (v + line)) ** 2
    root_b = t * (v * line + 1)
    if link.detection == "heterodyne":
        c = (a * detector**2 + root_b**2 + 1 + 2 * detector * (v * root_b + t * (v + line)) + 2 * t * (v**2 - 1)) / (
            t * (v + total)
        ) ** 2
        d = ((v + root_b * detector) / (t * (v + total))) ** 2
    else:
        c = (a * detector + v * root_b + t * (v + line)) / (t * (v + total))
        d = root_b * (v + root_b * detector) / (t * (v + total))
    return (*_roots(a, root_b**2), *_roots(c, d))


def holevo_bound(link: Link) -> float:
    """chi_BE, bits per symbol: the most an eavesdropper can know of Bob's symbol in a collective attack."""
    l1, l2, l3, l4 = symplectic_eigenvalues(link)
    return max(entropy(l1) + entropy(l2) - entropy(l3) - entropy(l4), 0.0)


def individual_information(link: Link) -> float:
    """I_BE in an individual attack, bits per symbol, homodyne (Lodewyck 2007)."""
    if link.detection != "homodyne":
        raise InputError("the individual attack is worked out for homodyne detection alone")
    v, t, eta = link.modulation_variance_snu + 1, link.transmittance, link.detector_efficiency
    bob = eta * t * (v + link.chi_total)
    given_eve = eta * (1 / (t * (1 / v + link.chi_line)) + link.chi_detector)
    return 0.5 * math.log2(bob / given_eve)


def asymptotic_rate(link: Link, beta: float) -> float:
    """K = beta I_AB - chi_BE, bits per symbol; negative means no key."""
    return check_efficiency(beta) * mutual_information(link) - holevo_bound(link)


def plob_bound(transmittance: float) -> float:
    """-log2(1 - T): what no protocol without repeaters exceeds, bits per use (Pirandola et al. 2017). inf at T = 1."""
    return math.inf if transmittance >= 1 else -math.log2(1 - transmittance)


def check_efficiency(beta: float) -> float:
    """`beta`, if it is one. Raises InputError otherwise."""
    if not 0 < beta <= 1:
        raise InputError(f"a reconciliation efficiency of {beta:g} is outside (0, 1]")
    return beta


def check_probability(name: str, value: float) -> float:
    """`value`, if it lies in (0, 1). Raises InputError otherwise."""
    if not 0 < value < 1:
        raise InputError(f"{name} = {value:g} is outside (0, 1)")
    return value


def gaussian_tail(epsilon: float) -> float:
    """z = sqrt(2) erfc^-1(epsilon): a normal variable is further out than z sigma, either side, with this probability."""
    return -NormalDist().inv_cdf(check_probability("epsilon", epsilon) / 2)


def chernoff_tail(epsilon: float) -> float:
    """w = sqrt(2 ln(1/epsilon)), a bound on such tails (Pirandola & Papanastasiou 2024)."""
    return math.sqrt(2 * math.log(1 / check_probability("epsilon", epsilon)))


def worst_case(link: Link, pairs: float, sigmas: float) -> Link:
    """The link as the estimates from so many real pairs allow at worst: lower T, higher xi, `sigmas` deviations each.

    t_min = t - w sqrt(s2 / (m' V_A)), s2_max = s2 (1 + w sqrt(2 / m')), T = t_min**2 / (eta / 2), xi = (s2_max - 1 -
    v_el) / t_min**2 (Leverrier et al. 2010; homodyne without the 2). Raises InputError when t_min is not positive.
    """
    gain, noise = math.sqrt(link.gain_squared), link.noise_variance_snu
    gain_min = gain - sigmas * math.sqrt(noise / (pairs * link.modulation_variance_snu))
    if gain_min <= 0:
        raise InputError("too few symbols to bound the transmittance away from zero: use more")
    noise_max = noise * (1 + sigmas * math.sqrt(2 / pairs))
    return Link(
        link.modulation_variance_snu,
        link.transmittance * (gain_min / gain) ** 2,
        (noise_max - 1 - link.electronic_noise_snu) / gain_min**2,
        link.detector_efficiency,
        link.electronic_noise_snu,
        link.detection,
    )


def _pairs(link: Link, symbols: float) -> float:
    return symbols * (2 if link.detection == "heterodyne" else 1)


def finite_size_rate(
    link: Link,
    beta: float,
    symbols: float,
    *,
    key_fraction: float = 0.5,
    epsilon: float = 1e-10,
    frame_error_rate: float = 0.0,
) -> float:
    """Leverrier, Grosshans & Grangier 2010, bits per symbol sent; negative means no key.

    K = (1 - FER) (n / N) (beta I_AB - chi_BE(T_min, xi_max) - Delta(n)), with n = key_fraction N and the rest for the
    estimation; Delta(n) = 7 sqrt(log2(2 / eps) / n) + (2 / n) log2(1 / eps), all eps equal.
    """
    n = key_fraction * symbols
    estimated = worst_case(link, _pairs(link, symbols - n), gaussian_tail(epsilon))
    delta = 7 * math.sqrt(math.log2(2 / epsilon) / n) + 2 / n * math.log2(1 / epsilon)
    rate = check_efficiency(beta) * mutual_information(link) - holevo_bound(estimated) - delta
    return (1 - frame_error_rate) * key_fraction * rate


def aep_penalty(bits_per_quadrature: float, epsilon_smoothing: float) -> float:
    """Delta_aep = 4 log2(sqrt(d) + 2) sqrt(log2(2 / eps_s**2)), d = 4**bits; bits times sqrt(symbols)."""
    return 4 * math.log2(2**bits_per_quadrature + 2) * math.sqrt(math.log2(2 / epsilon_smoothing**2))


def composable_rate(
    link: Link,
    beta: float,
    symbols: float,
    *,
    estimation_fraction: float = 0.1,
    success_probability: float = 0.9,
    bits_per_quadrature: float = 6,
    epsilon: float = 2.0**-32,
) -> float:
    """Pirandola & Papanastasiou 2024, bits per symbol sent; negative means no key.

    R = p_ec (n / N) (beta I_AB - chi_BE(T_wc, xi_wc) - Delta_aep / sqrt(n) + Theta / n) with n = (1 - r_pe) N, Theta =
    log2(2 eps_h**2 eps_cor), all eps equal: the key is 5 epsilon from ideal.
    """
    n = (1 - estimation_fraction) * symbols
    estimated = worst_case(link, _pairs(link, symbols - n), chernoff_tail(epsilon))
    letters = bits_per_quadrature if link.detection == "heterodyne" else bits_per_quadrature / 2
    rate = (
        check_efficiency(beta) * mutual_information(link)
        - holevo_bound(estimated)
        - aep_penalty(letters, epsilon) / math.sqrt(n)
        + math.log2(2 * epsilon**3) / n
    )
    return success_probability * (n / symbols) * rate
