"""The report's pictures as SVG that takes its colours and fonts from the page around it.

The same arrays give the same bytes. matplotlib is imported when the first picture is drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .result import Pictures, RunResult
from .units import msnu, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholders for the colours that change between light and dark; the page defines the variables.
_INK, _MUTED, _GRID = "#010203", "#040506", "#070809"
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _GRID: "var(--rule)"}

# Readable on both, and told apart by people who see red and green alike.
_BLUE, _ORANGE, _RED, _GREY = "#3d86d6", "#dd7a1c", "#d43f5b", "#8b919a"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": "none",
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}

_WIDE = (4.8, 3.2)
_SQUARE = (4.0, 4.0)


@dataclass(frozen=True)
class _Picture:
    """One figure with one pair of axes."""

    figure: Figure
    axes: Axes

    def svg(self, description: str) -> str:
        """The figure as an <svg> element for an HTML page, announced to screen readers as `description`."""
        buffer = io.StringIO()
        self.figure.savefig(
            buffer, format="svg", dpi=180, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
        drawing = buffer.getvalue()
        # In HTML an <svg> needs neither prolog nor namespaces, and groups need no ids.
        drawing = drawing[drawing.index(">", drawing.index("<svg")) + 1 :]
        drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)
        for colour, variable in _VARIABLES.items():
            drawing = drawing.replace(colour, variable)
        width, height = 72 * self.figure.get_size_inches()
        head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}">'
        return head + drawing.strip()


@contextmanager
def _picture(name: str, size: tuple[float, float]) -> Iterator[_Picture]:
    """An empty picture of `size` inches in the house style; draw it and take its `svg()` within the context."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        # A user's own matplotlibrc must not change the report.
        matplotlib.rcdefaults()
        # The name in the salt keeps ids apart when several pictures share one page.
        matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=size, layout="constrained")
        yield _Picture(figure, figure.add_subplot())


def spectrum(pictures: Pictures) -> str:
    """Power spectral density at Bob's ADC over shot noise: Alice's light, vacuum and dark; signal and pilots marked."""
    with _picture("spectrum", _WIDE) as picture:
        axes = picture.axes
        megahertz = pictures.spectrum_frequency_hz / 1e6
        low, high = (edge / 1e6 for edge in pictures.signal_band_hz)
        axes.axvspan(low, high, color=_BLUE, alpha=0.13, linewidth=0)
        curves = (
            (pictures.spectrum_dark_db, _GREY, "electronic noise"),
            (pictures.spectrum_vacuum_db, _ORANGE, "shot noise"),
            (pictures.spectrum_signal_db, _BLUE, "Alice's light"),
        )
        for decibels, colour, label in curves:
            axes.plot(megahertz, decibels, color=colour, linewidth=0.9, label=label)
        everything = np.concatenate([decibels for decibels, _, _ in curves])
        # A detector without noise has a density of 0, minus infinity in dB, as has an empty bin at DC.
        everything = everything[np.isfinite(everything)]
        bottom, top = float(np.percentile(everything, 0.5)), float(np.max(everything))
        room = 0.17 * (top - bottom)
        axes.set_ylim(bottom - 0.05 * (top - bottom), top + 1.3 * room)
        axes.set_xlim(megahertz[0], megahertz[-1])
        axes.annotate("signal", ((low + high) / 2, _level(pictures, low, high) + 0.25 * room), ha="center", va="bottom")
        right_half = megahertz[-1] / 2
        for frequency in pictures.pilot_frequencies_hz:
            near = np.abs(pictures.spectrum_frequency_hz - frequency) <= 3 * _bin(pictures.spectrum_frequency_hz)
            peak = float(np.max(pictures.spectrum_signal_db[near], initial=0.0))
            left = frequency / 1e6 > right_half
            axes.annotate(
                f"pilot {si(frequency, 'Hz')}",
                (frequency / 1e6, peak),
                xytext=(-7 if left else 7, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
            )
        axes.axvline(pictures.beat_frequency_hz / 1e6, color=_MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.annotate(
            "beat of the lasers",
            (pictures.beat_frequency_hz / 1e6, 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -2),
            textcoords="offset points",
            va="top",
        )
        axes.set_xlabel("frequency (MHz)")
        axes.set_ylabel("density over shot noise (dB)")
        _legend_above(axes)
        return picture.svg(
            f"Spectrum at Bob's converter: signal from {low:.0f} to {high:.0f} MHz, pilot at "
            + ", ".join(si(frequency, "Hz") for frequency in pictures.pilot_frequencies_hz)
            + f", electronic noise {clearance_db(pictures):.1f} dB below shot noise."
        )


def clearance_db(pictures: Pictures) -> float:
    """Shot noise over electronic noise in the signal's band, dB; infinite for a detector without noise."""
    low, high = pictures.signal_band_hz
    band = (pictures.spectrum_frequency_hz >= low) & (pictures.spectrum_frequency_hz <= high)
    if not band.any():
        band[:] = True
    return float(np.mean(pictures.spectrum_vacuum_db[band]) - np.mean(pictures.spectrum_dark_db[band]))


def _bin(frequencies: Any) -> float:
    return float(frequencies[1] - frequencies[0]) if len(frequencies) > 1 else 0.0


def _level(pictures: Pictures, low_mhz: float, high_mhz: float) -> float:
    """Top of the signal's plateau, dB."""
    megahertz = pictures.spectrum_frequency_hz / 1e6
    band = (megahertz >= low_mhz) & (megahertz <= high_mhz)
    return float(np.max(pictures.spectrum_signal_db[band], initial=0.0))


def constellation_before(pictures: Pictures) -> str:
    """Bob's symbols as the free-running lasers leave them: a round cloud without bearing."""
    return _constellation("before", pictures, pictures.constellation_before, "before phase compensation")


def constellation_after(pictures: Pictures) -> str:
    """Bob's symbols after compensation, coloured by the quadrant in which Alice sent them."""
    return _constellation("after", pictures, pictures.constellation_after, "after phase compensation")


def _constellation(name: str, pictures: Pictures, symbols: Any, when: str) -> str:
    with _picture(name, _SQUARE) as picture:
        axes = picture.axes
        alice = pictures.constellation_alice
        # One colour for each quadrant of Alice's: the eye sees whether Bob shares her axes.
        quadrant = (np.real(alice) < 0) * 2 + (np.imag(alice) < 0)
        colours = np.array([_BLUE, _ORANGE, "#2c9c84", "#b05fc4"])[quadrant.astype(int)]
        axes.scatter(
            np.real(symbols), np.imag(symbols), s=5, c=list(colours), alpha=0.55, linewidths=0, rasterized=True
        )
        everything = np.concatenate([pictures.constellation_before, pictures.constellation_after])
        reach = 1.05 * float(np.max(np.abs(np.concatenate([everything.real, everything.imag])), initial=1.0))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_xlabel("q quadrature (√SNU)")
        axes.set_ylabel("p quadrature (√SNU)")
        return picture.svg(f"Constellation of {len(symbols)} of Bob's symbols {when}, coloured by Alice's quadrant.")


def regression_slope(pictures: Pictures) -> float:
    """Least-squares slope of Bob's quadratures against Alice's; estimates sqrt(eta T / 2)."""
    alice, bob = pictures.constellation_alice, pictures.constellation_after
    return float(np.real(np.vdot(alice, bob)) / np.real(np.vdot(alice, alice)))


def correlation(pictures: Pictures) -> str:
    """Bob's quadratures against Alice's as a two-dimensional histogram, with the regression line."""
    from matplotlib.colors import LinearSegmentedColormap

    with _picture("correlation", _SQUARE) as picture:
        axes = picture.axes
        alice = np.concatenate([pictures.constellation_alice.real, pictures.constellation_alice.imag])
        bob = np.concatenate([pictures.constellation_after.real, pictures.constellation_after.imag])
        # Transparent where there is nothing, so that it works on any paper.
        ramp = LinearSegmentedColormap.from_list("ramp", [(0.24, 0.53, 0.84, 0.0), (0.24, 0.53, 0.84, 1.0)])
        reach_x, reach_y = (1.02 * float(np.max(np.abs(values), initial=1.0)) for values in (alice, bob))
        counts, x_edges, y_edges = np.histogram2d(alice, bob, bins=56, range=[[-reach_x, reach_x], [-reach_y, reach_y]])
        axes.imshow(
            np.sqrt(counts.T),
            origin="lower",
            extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
            cmap=ramp,
            aspect="auto",
            interpolation="nearest",
        )
        axes.set_box_aspect(1)
        slope = regression_slope(pictures)
        ends = np.array([-reach_x, reach_x])
        axes.plot(ends, slope * ends, color=_RED, linewidth=1.6)
        axes.annotate(
            f"slope {slope:.3f}",
            (0.97, 0.05),
            xycoords="axes fraction",
            ha="right",
        )
        axes.set_xlabel("Alice's quadrature (√SNU)")
        axes.set_ylabel("Bob's quadrature (√SNU)")
        return picture.svg(f"Bob's quadratures against Alice's: a tilted cloud along a line of slope {slope:.3f}.")


def phase_track(pictures: Pictures) -> str:
    """Phase of the pilot over one frame, less its straight line."""
    with _picture("phase", _WIDE) as picture:
        axes = picture.axes
        microseconds = pictures.phase_time_s * 1e6
        axes.plot(microseconds, pictures.phase_rad, color=_BLUE, linewidth=1.1)
        axes.axhline(0, color=_MUTED, linewidth=0.7)
        axes.set_xlim(microseconds[0], microseconds[-1])
        axes.set_xlabel("time in the frame (µs)")
        axes.set_ylabel("pilot phase (rad)")
        axes.annotate(
            f"{_signed_hertz(pictures.phase_frequency_offset_hz)} taken out",
            (0.98, 0.97),
            xycoords="axes fraction",
            ha="right",
            va="top",
        )
        reach = float(np.ptp(pictures.phase_rad))
        axes.margins(y=0.18)
        return picture.svg(
            f"Pilot phase over one frame of {microseconds[-1] - microseconds[0]:.0f} µs: it wanders over {reach:.2f} "
            f"rad after {_signed_hertz(pictures.phase_frequency_offset_hz)} is taken out."
        )


def _signed_hertz(frequency_hz: float) -> str:
    return ("\N{MINUS SIGN}" if frequency_hz < 0 else "") + si(abs(frequency_hz), "Hz")


def excess_noise(result: RunResult, pictures: Pictures) -> str:
    """Excess noise of each frame, with the estimate over all, its worst case and the largest that gives a key."""
    with _picture("excess-noise", _WIDE) as picture:
        axes = picture.axes
        axes.errorbar(
            pictures.frame_number,
            pictures.frame_excess_noise_snu * 1e3,
            yerr=pictures.frame_excess_noise_std_snu * 1e3,
            fmt="o",
            color=_BLUE,
            markersize=3,
            elinewidth=0.7,
            alpha=0.75,
        )
        _noise_levels(axes, result, limit=True)
        _frame_axis(axes, pictures)
        return picture.svg(
            f"Excess noise of {len(pictures.frame_number)} frames with error bars; together "
            f"{msnu(result.excess_noise_snu)}, at worst {msnu(result.excess_noise_worst_case_snu)}; above "
            f"{msnu(result.null_key_excess_noise_snu)} there is no key."
        )


def running_excess_noise(result: RunResult, pictures: Pictures) -> str:
    """The mean of all frames so far, weighted by their variances, within one standard deviation."""
    with _picture("running-excess-noise", _WIDE) as picture:
        axes = picture.axes
        weight = pictures.frame_excess_noise_std_snu**-2.0
        together = np.cumsum(weight)
        mean = np.cumsum(weight * pictures.frame_excess_noise_snu) / together * 1e3
        std = together**-0.5 * 1e3
        axes.fill_between(pictures.frame_number, mean - std, mean + std, color=_BLUE, alpha=0.22, linewidth=0)
        axes.plot(pictures.frame_number, mean, color=_BLUE, linewidth=1.3)
        # The first frames scatter so far that they would squeeze the rest: their band may leave the picture.
        settled = slice(min(len(mean) // 10, len(mean) - 1), None)
        worst = result.excess_noise_worst_case_snu * 1e3
        low = min(float(np.min((mean - std)[settled])), result.excess_noise_snu * 1e3)
        high = max(float(np.max((mean + std)[settled])), worst)
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        _noise_levels(axes, result, limit=False)
        _frame_axis(axes, pictures)
        return picture.svg(
            f"Running mean of the excess noise: it settles at {mean[-1]:.1f} ± {std[-1]:.1f} mSNU; the worst case is "
            f"{msnu(result.excess_noise_worst_case_snu)}."
        )


def _noise_levels(axes: Axes, result: RunResult, *, limit: bool) -> None:
    """Lines at the estimate, its worst case and, if wanted, the limit, named beside the axes."""
    lines = [
        (result.excess_noise_worst_case_snu, _ORANGE, (0, (5, 2)), "worst case"),
        (result.excess_noise_snu, _INK, "solid", "estimate"),
    ]
    if limit:
        lines.insert(0, (result.null_key_excess_noise_snu, _RED, "solid", "limit"))
    for value, colour, style, _ in lines:
        axes.axhline(value * 1e3, color=colour, linewidth=1.2, linestyle=style)
    # On the axes the names would hide data; beside them they keep a line's height apart, in the order of the lines.
    low, high = axes.get_ylim()
    place = np.inf
    for value, _, _, name in lines:
        place = min(place - 0.09 * (high - low), value * 1e3)
        axes.annotate(
            f"{name} {value * 1e3:.1f}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            annotation_clip=False,
        )


def _frame_axis(axes: Axes, pictures: Pictures) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = float(np.min(pictures.frame_number)), float(np.max(pictures.frame_number))
    margin = 0.5 + 0.01 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("frame")
    axes.set_ylabel("excess noise (mSNU)")


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, frameon=False, fontsize=9, handlelength=1.4)
