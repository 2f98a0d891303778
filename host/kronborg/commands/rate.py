"""Calculate the secret-key rate of a link.

A rate that is not positive is printed like any other, and the exit code is that of a link without key.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..console.atomic import write_text
from ..errors import InputError, NoKeyError
from ..postprocessing.discrete_modulation import (
    ORDERS,
    discrete_asymptotic_rate,
    discrete_holevo_bound,
    gateware_alphabet,
)
from ..postprocessing.security import (
    Link,
    asymptotic_rate,
    composable_rate,
    dtu_rate,
    finite_size_rate,
    holevo_bound,
    mutual_information,
    plob_bound,
)

FINITE_DEFAULTS = {
    "finite": {"estimation_fraction": 0.5, "frame_error_rate": 0.0, "epsilon": 1e-10},
    "composable": {
        "estimation_fraction": 0.1,
        "frame_error_rate": 0.1,
        "epsilon": 2.0**-32,
        "bits_per_quadrature": 6.0,
    },
    "dtu": {
        "estimation_fraction": 0.0,
        "frame_error_rate": 0.1,
        "epsilon": 1e-10,
        "bits_per_quadrature": 6.0,
    },
}
"""Options that each finite-size proof knows, and what they are unless given: the conventions of its authors."""

FINITE_RATES = {"finite": finite_size_rate, "composable": composable_rate, "dtu": dtu_rate}
"""The rate of each of them."""

PICTURE_FORMATS = ("png", "svg")
POINTS = 400
"""Of the curve of a sweep."""
LOWEST_RATE = 1e-6
"""Bit per symbol at which the curve of a sweep ends, should it not end before: 100 bit/s at 100 MBd."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    channel = parser.add_argument_group("link")
    channel.add_argument("--distance", type=float, metavar="KM", help="length of the fibre")
    channel.add_argument(
        "--attenuation", type=float, metavar="DB/KM", help="of the fibre, for --distance and --sweep (default 0.2)"
    )
    channel.add_argument("--transmittance", type=float, metavar="T", help="of the channel, instead of a distance")
    for name, default, text in (
        ("modulation-variance", 4.0, "V_A per quadrature, SNU"),
        ("excess-noise", 0.01, "at the channel's input, SNU"),
        ("detector-efficiency", 0.6, "trusted"),
        ("electronic-noise", 0.05, "trusted, per measured quadrature, SNU"),
        ("beta", 0.95, "reconciliation efficiency"),
    ):
        channel.add_argument(
            f"--{name}", type=float, default=default, metavar="X", help=f"{text} (default {default:g})"
        )
    channel.add_argument(
        "--modulation",
        choices=("gaussian", *ORDERS),
        default="gaussian",
        help="gaussian, or an alphabet of the gateware (Denys, Brown & Leverrier 2021, asymptotic)",
    )
    channel.add_argument(
        "--shape",
        type=float,
        metavar="X",
        help="of an alphabet: probabilities exp(-X x^2 / 2) at odd x (default: good at V_A = 4; 0: equal)",
    )
    channel.add_argument("--detection", choices=("heterodyne", "homodyne"), default="heterodyne")

    proof = parser.add_argument_group("security proof, all against collective attacks")
    proof.add_argument(
        "--proof",
        choices=("asymptotic", *FINITE_DEFAULTS),
        default="asymptotic",
        help="asymptotic; finite: Leverrier et al. 2010; composable: Pirandola & Papanastasiou 2024; dtu: Jain et al."
        " 2022, recalled and not compared with the paper",
    )
    proof.add_argument("--symbols", type=float, metavar="N", help="symbols sent; needed unless asymptotic")
    proof.add_argument(
        "--estimation-fraction",
        type=float,
        metavar="X",
        help="share of them disclosed (finite 0.5, composable 0.1, dtu 0); 0: all are used, once corrected",
    )
    proof.add_argument("--frame-error-rate", type=float, metavar="X", help="(finite 0, others 0.1)")
    proof.add_argument(
        "--epsilon", type=float, metavar="X", help="each failure probability (finite and dtu 1e-10, composable 2^-32)"
    )
    proof.add_argument(
        "--bits-per-quadrature",
        type=float,
        metavar="P",
        help="to which Bob's result is digitised (composable and dtu 6)",
    )

    output = parser.add_argument_group("output")
    output.add_argument("--sweep", type=Path, metavar="FILE.png|svg", help="plot the rate against distance")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    rate, proof = _rate_function(options)
    distance, transmittance = _channel(options)
    if transmittance is None and (options.sweep is None or options.json):
        raise InputError("how far? Give --distance or --transmittance")
    if options.sweep is not None and options.sweep.suffix[1:].lower() not in PICTURE_FORMATS:
        raise InputError(f"cannot plot to {str(options.sweep)!r}: name a file that ends in .png or .svg")
    link = Link(
        options.modulation_variance,
        1.0 if transmittance is None else transmittance,
        options.excess_noise,
        options.detector_efficiency,
        options.electronic_noise,
        options.detection,
    )
    curve = None if options.sweep is None else _curve(rate, link, options.attenuation, POINTS)
    if transmittance is not None:
        figures = _figures(link, rate(link), distance, options, proof)
        if curve is not None:
            figures["sweep"] = {"distance_km": curve[0], "key_rate_bit_per_symbol": curve[1]}
        if options.json:
            text = json.dumps(figures, indent=2, allow_nan=False) + "\n"
            if options.json == "-":
                print(text, end="")
            else:
                write_text(options.json, text)
        if options.json != "-":
            _print(figures)
    if curve is not None:
        point = None if distance is None else (distance, rate(link))
        _plot(options.sweep, curve, point, link, options, proof)
    if transmittance is not None and figures["key_rate_bit_per_symbol"] <= 0:
        raise NoKeyError("no key: an eavesdropper may know as much; lower loss or noise, or choose another V_A")
    return 0


def _channel(options: argparse.Namespace) -> tuple[float | None, float | None]:
    """Distance in km, if the user speaks of one, and transmittance."""
    if options.distance is not None and options.transmittance is not None:
        raise InputError("--distance and --transmittance say the same thing: give one of them")
    if options.attenuation is None:
        options.attenuation = 0.2
    elif options.transmittance is not None and options.sweep is None:
        raise InputError("--attenuation goes with --distance or --sweep, not with --transmittance alone")
    if not 0 < options.attenuation <= 100:
        raise InputError(f"an attenuation of {options.attenuation:g} dB/km is outside (0, 100]")
    if options.distance is None:
        return None, options.transmittance
    if not 0 <= options.distance <= 10000:
        raise InputError(f"a distance of {options.distance:g} km is outside [0, 10000]")
    return options.distance, _transmittance(options.distance, options.attenuation)


def _transmittance(distance_km: float, attenuation_db_per_km: float) -> float:
    return 10 ** (-attenuation_db_per_km * distance_km / 10)


def _rate_function(options: argparse.Namespace) -> tuple[Callable[[Link], float], dict[str, float]]:
    """The rate of a link under the chosen proof, and what the proof assumes."""
    names = {name for defaults in FINITE_DEFAULTS.values() for name in defaults} | {"symbols"}
    defaults = FINITE_DEFAULTS.get(options.proof, {})
    known = {*defaults, "symbols"} if defaults else set()
    for name in sorted(names - known):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} means nothing to --proof {options.proof}: leave it out")
    if options.modulation != "gaussian":
        if defaults:
            raise InputError(f"--proof {options.proof} is worked out for Gaussian modulation alone: leave it out")
        alphabet = gateware_alphabet(options.modulation, options.modulation_variance, options.shape)
        return lambda link: discrete_asymptotic_rate(link, alphabet, options.beta), {}
    if options.shape is not None:
        raise InputError("--shape is that of an alphabet: name one with --modulation")
    if not defaults:
        return lambda link: asymptotic_rate(link, options.beta), {}
    if options.symbols is None:
        raise InputError(f"--proof {options.proof} depends on how many symbols are sent: give --symbols")
    proof = {
        name: value if getattr(options, name) is None else getattr(options, name) for name, value in defaults.items()
    }
    proof["symbols"] = options.symbols
    compute = FINITE_RATES[options.proof]
    return lambda link: compute(link, options.beta, **proof), proof


def _figures(
    link: Link, rate: float, distance: float | None, options: argparse.Namespace, proof: dict[str, float]
) -> dict[str, Any]:
    plob = plob_bound(link.transmittance)
    known = holevo_bound(link)
    if options.modulation != "gaussian":
        alphabet = gateware_alphabet(options.modulation, options.modulation_variance, options.shape)
        known = discrete_holevo_bound(link, alphabet)
    return {
        "key_rate_bit_per_symbol": rate,
        "plob_bound": plob if math.isfinite(plob) else None,
        "mutual_information": mutual_information(link),
        "holevo_bound": known,
        "snr": link.snr,
        "proof": options.proof,
        "proof_recalled": options.proof == "dtu",
        "modulation": options.modulation,
        "detection": link.detection,
        "distance_km": distance,
        "loss_db": -10 * math.log10(link.transmittance) + 0.0,
        "transmittance": link.transmittance,
        "modulation_variance_snu": link.modulation_variance_snu,
        "excess_noise_snu": link.excess_noise_snu,
        "detector_efficiency": link.detector_efficiency,
        "electronic_noise_snu": link.electronic_noise_snu,
        "reconciliation_efficiency": options.beta,
        **proof,
    }


def _print(figures: dict[str, Any]) -> None:
    rate, plob = figures["key_rate_bit_per_symbol"], figures["plob_bound"]
    proof = f"{figures['proof']} (recalled)" if figures["proof_recalled"] else figures["proof"]
    remark = "no key" if rate <= 0 else f"{proof}, {figures['detection']}"
    share = f"   the key rate is {100 * rate / plob:.1f} % of it" if plob and rate > 0 else ""
    print(f"key rate              {rate:.9f} bit/symbol   {remark}")
    print(f"PLOB bound            {'unlimited' if plob is None else f'{plob:.9f} bit/symbol'}{share}")
    print(f"mutual information    {figures['mutual_information']:.9f} bit/symbol")
    print(f"Holevo bound          {figures['holevo_bound']:.9f} bit/symbol")
    print(f"SNR                   {figures['snr']:.6g} ({10 * math.log10(figures['snr']):.2f} dB)")
    where = "" if figures["distance_km"] is None else f", {figures['distance_km']:g} km"
    print(f"channel               T = {figures['transmittance']:.6g}, {figures['loss_db']:.2f} dB{where}")


def _curve(
    rate: Callable[[Link], float], link: Link, attenuation: float, points: int
) -> tuple[list[float], list[float]]:
    """Distances in km from 0 to where the key ends, and the rates there."""

    def at(distance: float) -> float:
        try:
            return rate(replace(link, transmittance=_transmittance(distance, attenuation)))
        except NoKeyError:
            return 0.0  # the symbols do not even bound the transmittance

    if at(0.0) <= LOWEST_RATE:
        raise NoKeyError("no key at any distance, so there is no curve to plot; lower the noise or send more symbols")
    # The rate falls with distance. 70 dB is beyond every end: there the PLOB bound is below the lowest rate.
    low, high = 0.0, 70 / attenuation
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > LOWEST_RATE else (low, middle)
    distances = [low * index / (points - 1) for index in range(points)]
    return distances, [at(distance) for distance in distances]


def _plot(
    path: Path,
    curve: tuple[list[float], list[float]],
    point: tuple[float, float] | None,
    link: Link,
    options: argparse.Namespace,
    proof: dict[str, float],
) -> None:
    """Draw the rate against distance, with the PLOB bound above it, and the point that was asked for."""
    distances, rates = curve
    end, floor = distances[-1], max(10 ** math.floor(math.log10(rates[POINTS - 10])), LOWEST_RATE)

    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator

    blue, grey, ink = "#3d86d6", "#8b919a", "#23272e"
    style = {
        "font.family": ["DejaVu Sans"],
        "font.size": 10,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": grey,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": ink,
        "ytick.color": ink,
        "svg.hashsalt": "rate",
    }
    # Figures are drawn without pyplot: no display, no state; and a user's own matplotlibrc changes nothing.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style)
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        far = [1.08 * end * (index + 0.25) / POINTS for index in range(POINTS)]
        bound = [plob_bound(_transmittance(km, options.attenuation)) for km in far]
        axes.semilogy(far, bound, color=grey, linewidth=1.4, linestyle=(0, (5, 3)), label="PLOB bound")
        # At its end the curve falls to the axis.
        distances, rates = [*distances, end], [*rates, floor / 10]
        name = f"{options.proof} (recalled)" if options.proof == "dtu" else options.proof
        name += "" if options.symbols is None else f", {_count(options.symbols)} symbols"
        axes.semilogy(distances, rates, color=blue, linewidth=2.2, label=name)
        axes.fill_between(distances, floor / 10, rates, color=blue, alpha=0.1, linewidth=0)
        if point is not None and point[0] < end:
            distance, here = point
            label = f"{distance:g} km: {here:.3g} bit/symbol"
            dot: dict[str, Any] = {"linestyle": "none", "markersize": 8, "markeredgecolor": "white", "zorder": 3}
            axes.plot([distance], [here], marker="o", color=blue, label=label, **dot)
        axes.set_xlim(0, 1.08 * end)
        axes.set_ylim(floor, 10)
        axes.yaxis.set_major_locator(LogLocator(base=10, numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
        axes.grid(True, which="major", color=grey, alpha=0.3, linewidth=0.6)
        axes.grid(True, which="minor", color=grey, alpha=0.12, linewidth=0.5)
        axes.set_xlabel(f"fibre length (km, {options.attenuation:g} dB/km)")
        axes.set_ylabel("secret-key rate (bit/symbol)")
        assumed = (
            f"{'Gaussian' if options.modulation == 'gaussian' else options.modulation.upper()}, {link.detection}",
            f"$V_A$ = {link.modulation_variance_snu:g} SNU",
            f"$\\xi$ = {1e3 * link.excess_noise_snu:g} mSNU",
            f"$\\eta$ = {link.detector_efficiency:g}",
            f"$v_\\mathrm{{el}}$ = {1e3 * link.electronic_noise_snu:g} mSNU",
            f"$\\beta$ = {options.beta:g}",
            *([f"$\\epsilon$ = {_count(proof['epsilon'])}"] if proof else []),
        )
        axes.set_title("   ".join(assumed), fontsize=8.5, loc="left", pad=10)
        axes.legend(frameon=False, loc="upper right")
        picture = io.BytesIO()
        form = path.suffix[1:].lower()
        figure.savefig(picture, format=form, dpi=200, metadata={"Date": None} if form == "svg" else None)
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or type(error).__name__}") from None


def _count(value: float) -> str:
    """0.01, 10, $10^{-4}$, $2.5 \\times 10^{9}$."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    front = "" if float(mantissa) == 1 else f"{float(mantissa):g} \\times "
    return f"${front}10^{{{int(exponent)}}}$"
