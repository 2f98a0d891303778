"""Secret-key rates of Gaussian-modulated coherent states, reverse reconciliation, trusted detector.

Collective attacks. V_A is the modulation variance per quadrature in shot-noise units (SNU), V = V_A + 1; the channel
has transmittance T and excess noise xi at its input; the detector efficiency eta and electronic noise v_el, in SNU of
each measured quadrature. Rates are in bits per symbol (two quadratures for heterodyne, one for homodyne).

Sources: Lodewyck et al., Phys. Rev. A 76, 042305 (2007); Fossier et al., J. Phys. B 42, 114014 (2009) for the Holevo
bound; Leverrier, Grosshans & Grangier, Phys. Rev. A 81, 062343 (2010) for finite size; Pirandola & Papanastasiou,
arXiv:2301.10270 (2024) for composable rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

from ..errors import InputError, NoKeyError

Detection = Literal["heterodyne", "homodyne"]

HIGHEST_SNU = 1e9
"""Variances above this are no shot-noise units but a mistake."""


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
        if not 0 < self.modulation_variance_snu <= HIGHEST_SNU:
            raise InputError(
                f"modulation variance {self.modulation_variance_snu:g} SNU is outside (0, {HIGHEST_SNU:g}]"
            )
        if not 0 < self.transmittance <= 1:
            raise InputError(f"transmittance {self.transmittance:g} is outside (0, 1]")
        if not 0 < self.detector_efficiency <= 1:
            raise InputError(f"detector efficiency {self.detector_efficiency:g} is outside (0, 1]")
        if not 0 <= self.excess_noise_snu <= HIGHEST_SNU:
            raise InputError(f"excess noise {self.excess_noise_snu:g} SNU is outside [0, {HIGHEST_SNU:g}]")
        if not 0 <= self.electronic_noise_snu <= HIGHEST_SNU:
            raise InputError(f"electronic noise {self.electronic_noise_snu:g} SNU is outside [0, {HIGHEST_SNU:g}]")
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
    # (x + 1) log(x + 1) - x log(x), without its cancellation at large x.
    return (math.log1p(x) + x * math.log1p(1 / x)) / math.log(2) if x > 0 else 0.0


def mutual_information(link: Link) -> float:
    """I_AB, bits per symbol: log2(1 + SNR) for heterodyne, half of it for homodyne."""
    bits = math.log2(1 + link.snr)
    return bits if link.detection == "heterodyne" else bits / 2


def _pair(total: float, difference: float, product: float) -> tuple[float, float]:
    """Two eigenvalues, the larger first. The smaller comes from the product: subtracting would cancel."""
    larger = (total + difference) / 2
    return max(larger, 1.0), max(product / larger, 1.0)


def symplectic_eigenvalues(link: Link) -> tuple[float, float, float, float]:
    """lambda_1 ... lambda_4 of the Holevo bound: Eve's state, and her state given Bob's result. Each is at least 1.

    The published lambda**4 - A lambda**2 + B = 0 and lambda**4 - C lambda**2 + D = 0 (Fossier 2009) lose their digits
    where two eigenvalues meet: at T -> 1, at V_A -> 0, at high V_A. These are the same roots, with every difference
    taken by hand. Alice's mode has the variance a = V, Bob's b, their correlation is c. Then lambda_1,2 have the sum
    sqrt((a + b)**2 - 4 c**2), the difference |a - b| and the product sqrt(B) = a b - c**2; for heterodyne detection
    sum, difference and product of lambda_3,4 are as simple.
    """
    v_a, t, xi, chi = link.modulation_variance_snu, link.transmittance, link.excess_noise_snu, link.chi_detector
    a = v_a + 1
    vacuum = 1 - t + t * xi  # what the channel adds
    b = t * a + vacuum
    c_squared = t * v_a * (a + 1)
    root_b = a * vacuum + t
    root_b_less_1 = (1 - t) * v_a + t * xi * a
    difference = (1 - t) * v_a - t * xi  # a - b
    sum_squared = (a * (1 - t)) ** 2 + 2 * a * (1 + t) * vacuum + vacuum**2 + 4 * t  # (a + b)**2 - 4 c**2
    first, second = _pair(math.sqrt(sum_squared), abs(difference), root_b)
    bob = b + chi
    if link.detection == "heterodyne":
        both = chi**2 * sum_squared + 2 * chi * (a + b) * (root_b + 1) + (root_b + 1) ** 2 + 4 * c_squared
        third, fourth = _pair(
            math.sqrt(both) / bob, abs(chi * difference + root_b_less_1) / bob, (a + root_b * chi) / bob
        )
    else:
        # lambda_3**2 - 1 and lambda_4**2 - 1 have this sum (C - 2) and this product (D - C + 1).
        total = (chi * (difference**2 + 2 * root_b_less_1) + v_a * (a + 1) * vacuum) / bob
        product = chi * (a + 1) * t * xi * v_a * (2 * (1 - t) + t * xi) / bob
        larger = (total + math.sqrt(max(total**2 - 4 * product, 0.0))) / 2
        third, fourth = math.sqrt(1 + larger), math.sqrt(1 + product / larger if larger else 1.0)
    return first, second, third, fourth


def holevo_of_covariance(a: float, b: float, c: float, chi_detector: float, detection: Detection) -> float:
    """chi_BE of a Gaussian state with these covariances, the detector's noise trusted; bits per symbol.

    The same eigenvalues as those of :func:`symplectic_eigenvalues`, from any a, b and c: digits are lost where they
    meet, and for a link with c**2 = T (V**2 - 1) that function is the better one.

    Args:
        a: variance of Alice's mode, SNU.
        b: variance of the mode that leaves the channel, SNU.
        c: their covariance, SNU.
        chi_detector: noise of the detector, at its input (:attr:`Link.chi_detector`).
        detection: heterodyne or homodyne.
    """
    root_b, bob = a * b - c * c, b + chi_detector
    sum_squared = (a + b) ** 2 - 4 * c * c
    pairs = [_pair(math.sqrt(sum_squared), abs(a - b), root_b)]
    if detection == "heterodyne":
        both = chi_detector**2 * sum_squared + 2 * chi_detector * (a + b) * (root_b + 1) + (root_b + 1) ** 2 + 4 * c * c
        apart = abs(chi_detector * (a - b) + root_b - 1)
        pairs.append(_pair(math.sqrt(both) / bob, apart / bob, (a + root_b * chi_detector) / bob))
    else:
        total = ((a * a + b * b - 2 * c * c) * chi_detector + a * root_b + b) / bob
        product = root_b * (a + root_b * chi_detector) / bob
        larger = (total + math.sqrt(max(total**2 - 4 * product, 0.0))) / 2
        pairs.append((math.sqrt(larger), math.sqrt(max(product / larger, 1.0))))
    before, after = (entropy(first) + entropy(second) for first, second in pairs)
    return max(before - after, 0.0)


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


def null_key_excess_noise(link: Link, beta: float) -> float:
    """The excess noise, SNU, at which this link's asymptotic rate is zero; 0 if it has no key even without any."""

    def rate(excess_noise: float) -> float:
        return asymptotic_rate(replace(link, excess_noise_snu=excess_noise), beta)

    if rate(0.0) <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while rate(high) > 0:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) > 0 else (low, middle)
    return low


def plob_bound(transmittance: float) -> float:
    """-log2(1 - T): what no protocol without repeaters exceeds, bits per use (Pirandola et al. 2017). inf at T = 1."""
    return math.inf if transmittance >= 1 else -math.log1p(-transmittance) / math.log(2)


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
    """z = sqrt(2) erfc^-1(epsilon): a normal variable is more than z sigma out, either side, with this probability."""
    return -NormalDist().inv_cdf(check_probability("epsilon", epsilon) / 2)


def chernoff_tail(epsilon: float) -> float:
    """w = sqrt(2 ln(1/epsilon)), a bound on such tails (Pirandola & Papanastasiou 2024)."""
    return math.sqrt(2 * math.log(1 / check_probability("epsilon", epsilon)))


def worst_case(link: Link, pairs: float, sigmas: float) -> Link:
    """The link as the estimates from so many real pairs allow at worst: lower T, higher xi, `sigmas` deviations each.

    t_min = t - w sqrt(s2 / (m' V_A)) and s2_max = s2 (1 + w sqrt(2 / m')), with s2 the noise variance and m' the pairs:
    two a symbol for heterodyne, one for homodyne. T goes with t_min**2, and xi = (s2_max - 1 - v_el) / t_min**2
    (Leverrier et al. 2010).

    Raises:
        NoKeyError: too few pairs to bound the transmittance away from zero.
    """
    gain, noise = math.sqrt(link.gain_squared), link.noise_variance_snu
    gain_min = gain - sigmas * math.sqrt(noise / (pairs * link.modulation_variance_snu))
    # s2_max - 1 - v_el as a sum: the small difference keeps its digits.
    added = link.gain_squared * link.excess_noise_snu + noise * sigmas * math.sqrt(2 / pairs)
    if gain_min <= 0 or added > HIGHEST_SNU * gain_min**2:
        raise NoKeyError("no key: too few symbols to bound the transmittance away from zero; send more symbols")
    return replace(
        link, transmittance=link.transmittance * (gain_min / gain) ** 2, excess_noise_snu=added / gain_min**2
    )


def _pairs(link: Link, symbols: float) -> float:
    return symbols * (2 if link.detection == "heterodyne" else 1)


def finite_size_penalty(symbols: float, epsilon: float) -> float:
    """Delta(n) = 7 sqrt(log2(2 / eps) / n) + (2 / n) log2(1 / eps), bits per key symbol (Leverrier et al. 2010)."""
    return 7 * math.sqrt(math.log2(2 / epsilon) / symbols) + 2 / symbols * math.log2(1 / epsilon)


def finite_size_rate(
    link: Link,
    beta: float,
    symbols: float,
    *,
    estimation_fraction: float = 0.5,
    frame_error_rate: float = 0.0,
    epsilon: float = 1e-10,
) -> float:
    """Leverrier, Grosshans & Grangier 2010, bits per symbol sent; negative means no key.

    K = (1 - FER) (n / N) (beta I_AB - chi_BE(T_min, xi_max) - Delta(n)), where N - n symbols are disclosed to estimate
    the channel, and all eps are equal. Not composable: the 7 is that of a binary alphabet. An estimation fraction of 0
    stands for an estimate from all N symbols once they are corrected, none of them disclosed: n = N.

    Raises:
        InputError: an argument that is impossible.
        NoKeyError: too few symbols to estimate the channel.
    """
    n = _key_symbols(symbols, estimation_fraction, frame_error_rate)
    estimated = worst_case(link, _pairs(link, symbols - n or symbols), gaussian_tail(epsilon))
    rate = check_efficiency(beta) * mutual_information(link) - holevo_bound(estimated) - finite_size_penalty(n, epsilon)
    return (1 - frame_error_rate) * (n / symbols) * rate


def aep_penalty(bits_per_quadrature: float, epsilon: float) -> float:
    """Delta_aep = 4 log2(sqrt(d) + 2) sqrt(log2(2 / eps_s**2)), d = 4**bits letters; in bits times sqrt(symbols)."""
    letters_root = 2.0**bits_per_quadrature
    return 4 * math.log2(letters_root + 2) * math.sqrt(1 - 2 * math.log2(check_probability("epsilon", epsilon)))


def hashing_term(hashing: float, correctness: float) -> float:
    """Theta = log2(2 eps_h**2 eps_cor), bits; negative. A sum of logarithms: the product could underflow."""
    return (
        1 + 2 * math.log2(check_probability("epsilon", hashing)) + math.log2(check_probability("epsilon", correctness))
    )


def composable_rate(
    link: Link,
    beta: float,
    symbols: float,
    *,
    estimation_fraction: float = 0.1,
    frame_error_rate: float = 0.1,
    bits_per_quadrature: float = 6,
    epsilon: float = 2.0**-32,
) -> float:
    """Pirandola & Papanastasiou 2024, bits per symbol sent; negative means no key.

    R = (1 - FER) (n / N) (beta I_AB - chi_BE(T_wc, xi_wc) - Delta_aep / sqrt(n) + Theta / n), all eps equal: the key is
    5 epsilon from ideal. An estimation fraction of 0 stands for an estimate from all symbols, as in
    :func:`finite_size_rate`; that a length which depends on the key's own symbols costs more is not in it.

    Raises:
        InputError: an argument that is impossible.
        NoKeyError: too few symbols to estimate the channel.
    """
    n = _key_symbols(symbols, estimation_fraction, frame_error_rate)
    if not 0 < bits_per_quadrature <= 64:
        raise InputError(f"{bits_per_quadrature:g} bits per quadrature are outside (0, 64]")
    estimated = worst_case(link, _pairs(link, symbols - n or symbols), chernoff_tail(epsilon))
    # A homodyne symbol is one quadrature: its alphabet is the square root of the heterodyne one.
    bits = bits_per_quadrature if link.detection == "heterodyne" else bits_per_quadrature / 2
    rate = (
        check_efficiency(beta) * mutual_information(link)
        - holevo_bound(estimated)
        - aep_penalty(bits, epsilon) / math.sqrt(n)
        + hashing_term(epsilon, epsilon) / n
    )
    return (1 - frame_error_rate) * (n / symbols) * rate


def dtu_rate(
    link: Link,
    beta: float,
    symbols: float,
    *,
    estimation_fraction: float = 0.0,
    frame_error_rate: float = 0.1,
    bits_per_quadrature: float = 6,
    epsilon: float = 1e-10,
) -> float:
    """The composable form of Jain et al., Nat. Commun. 13, 4740 (2022), bits per symbol sent; negative means no key.

    With p = 1 - FER, n' = p n corrected symbols and d bits to which one of Bob's is digitised,

        l = n' (beta I_AB - chi_BE) - sqrt(n') 4 (d + 1) sqrt(log2(2 / delta**2)) + log2(p (1 - 2 eps_s / 3))
            + 2 log2(sqrt(2) eps_h),                                              delta = 2 p eps_s / 3,

    all eps equal, estimated from all symbols by default. The formula is recalled and was not compared with the paper:
    look it up before anything is certified by it. Bounds of the estimation are those of Gaussian tails, where the paper
    takes the exact distributions.

    Raises:
        InputError: an argument that is impossible.
        NoKeyError: too few symbols to estimate the channel.
    """
    n = _key_symbols(symbols, estimation_fraction, frame_error_rate)
    if not 0 < bits_per_quadrature <= 64:
        raise InputError(f"{bits_per_quadrature:g} bits per quadrature are outside (0, 64]")
    estimated = worst_case(link, _pairs(link, symbols - n or symbols), gaussian_tail(epsilon))
    survived = (1 - frame_error_rate) * n
    letters = bits_per_quadrature * (2 if link.detection == "heterodyne" else 1)
    log_delta = math.log2(2 / 3 * (1 - frame_error_rate)) + math.log2(epsilon)
    length = (
        survived * (check_efficiency(beta) * mutual_information(link) - holevo_bound(estimated))
        - math.sqrt(survived) * 4 * (letters + 1) * math.sqrt(1 - 2 * log_delta)
        + math.log2((1 - frame_error_rate) * (1 - 2 / 3 * epsilon))
        + 1
        + 2 * math.log2(epsilon)
    )
    return length / symbols


def _key_symbols(symbols: float, estimation_fraction: float, frame_error_rate: float) -> float:
    if not 1 <= symbols <= 1e18:
        raise InputError(f"{symbols:g} symbols are outside [1, 1e18]")
    if not 0 <= estimation_fraction < 1:
        raise InputError(f"a share of {estimation_fraction:g} of the symbols for the estimation is outside [0, 1)")
    if not 0 <= frame_error_rate < 1:
        raise InputError(f"a frame error rate of {frame_error_rate:g} is outside [0, 1)")
    return (1 - estimation_fraction) * symbols
