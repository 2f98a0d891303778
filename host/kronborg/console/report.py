"""report.html: one page that holds everything, for the physicist who asks what the link did."""

from __future__ import annotations

import os
from html import escape
from math import isfinite

from . import atomic, plots
from .result import Pictures, RunResult
from .summary import sections
from .units import grouped, megabaud, msnu, percent, si


def write_report(path: str | os.PathLike[str], result: RunResult, pictures: Pictures) -> None:
    """Write the report to `path`, in one step.

    Raises:
        InputError: the directory is missing or cannot be written.
    """
    atomic.write_text(path, report_html(result, pictures))


def report_html(result: RunResult, pictures: Pictures) -> str:
    """The report as one HTML page that loads nothing else. The same input gives the same bytes."""
    title = f"{si(result.key_bits, 'bit')} of secret key over {result.distance_km:g} km"
    if not result.keys_identical:
        title = "No key: the two ends differ"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{escape(title)} · Kronborg</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<p class="name">Kronborg · quantum key distribution, one link</p>
<h1>{escape(title)}</h1>
{_standfirst(result)}
{_headline(result)}
</header>
<main>
{_section("The key, bit by bit", _budget(result))}
{_section("The light", _light(result, pictures))}
{_section("The symbols", _symbols(result, pictures))}
{_section("The excess noise", _noise(result, pictures))}
{_section("All figures", _tables(result))}
{_section("What this rests on", _assumptions(result))}
</main>
<footer><p>{escape(result.schema)}{"" if result.seed is None else f" · seed {result.seed}"}</p></footer>
</body>
</html>
"""


def _section(heading: str, body: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n{body}\n</section>"


def _figure(svg: str, title: str, caption: str) -> str:
    """A picture with its name and a sentence on what one should see. `caption` is HTML."""
    return f"<figure>\n{svg}\n<figcaption><b>{escape(title)}</b> {caption}</figcaption>\n</figure>"


def _standfirst(result: RunResult) -> str:
    where = "on a simulated board" if result.simulated_board else "on hardware"
    ends = (
        "Alice and Bob hold the same key."
        if result.keys_identical
        else "Alice's and Bob's keys are not the same; nothing of this run may be used."
    )
    return (
        f'<p class="standfirst">{grouped(result.symbols)} Gaussian symbols at {megabaud(result.symbol_rate_hz)} '
        f"through {result.distance_km:g} km of fibre ({result.loss_db:.2f} dB), {where}. {ends}</p>"
    )


def _headline(result: RunResult) -> str:
    share, bound = result.share_of_plob, result.plob_bound_bit_per_symbol
    figures = (
        ("Secret key", si(result.key_bits, "bit"), f"composable, ε = {_power(result.epsilon)}"),
        (
            "Rate at the symbol rate",
            si(result.key_rate_bit_per_second, "bit/s"),
            f"{result.key_rate_bit_per_symbol:.4f} bit per payload symbol; pauses and calibration not counted",
        ),
        (
            "Excess noise",
            f"{result.excess_noise_snu * 1e3:.1f} ± {msnu(result.excess_noise_std_snu)}",
            f"at worst {msnu(result.excess_noise_worst_case_snu)}, key up to {msnu(result.null_key_excess_noise_snu)}",
        ),
        (
            "Of the PLOB bound",
            "–" if share is None else percent(share),
            "there is none at T = 1" if bound is None else f"which is {bound:.4f} bit per symbol",
        ),
    )
    cells = "\n".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>" for name, value, note in figures
    )
    return f'<dl class="headline">\n{cells}\n</dl>'


def _minus(number: str) -> str:
    return number.replace("-", "−")


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    return f'<span class="power">{mantissa} × 10<sup>{_minus(str(int(exponent)))}</sup></span>'


def _budget(result: RunResult) -> str:
    """The waterfall: each line starts where the one before ended. A table, so it reads without the bars too."""
    start = result.budget[0][1]
    # With no uniform bits there is nothing to scale by; the bars stay empty.
    scale = max(start, 1)
    level = 0
    rows = []
    for position, (label, bits) in enumerate(result.budget):
        total = position in (0, len(result.budget) - 1)
        low, high = (0, bits) if total else (level + bits, level)
        level = bits if total else level + bits
        kind = ("given", "key")[position > 0] if total else "spent"
        left, width = (min(max(edge / scale, 0.0), 1.0) * 100 for edge in (low, high - low))
        share = f"{bits / scale * 100:.2f} %" if abs(bits) / scale >= 1e-4 else "under 0.01 %"
        rows.append(
            f'<tr class="{kind}"><th scope="row">{escape(label)}</th>'
            f'<td class="number">{_minus(grouped(bits))}</td><td class="number share">{_minus(share)}</td>'
            f'<td class="bar"><i style="margin-left:{left:.3f}%;width:{width:.3f}%"></i></td></tr>'
        )
    return (
        '<table class="budget">\n<caption>From the bits that the error correction hands over, everything that an '
        "eavesdropper may know is taken away; what is left is the key. Each bar starts where the one above it ends."
        '</caption>\n<thead><tr><th scope="col">Line</th><th scope="col" class="number">bit</th>'
        '<th scope="col" class="number share">share</th><th scope="col" class="bar"><span>waterfall</span></th></tr>'
        "</thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
    )


def _light(result: RunResult, pictures: Pictures) -> str:
    low, high = (edge / 1e6 for edge in pictures.signal_band_hz)
    return (
        '<div class="two">\n'
        + _figure(
            plots.spectrum(pictures),
            "Spectrum at Bob's converter.",
            f"The quantum signal is the low plateau from {low:.1f} to {high:.1f} MHz; the pilot should be a line "
            f"clear of it. Shot noise is flat at 0 dB, {_clearance(pictures)} in the signal's band. Any other line in "
            "that band would count as excess noise.",
        )
        + _figure(
            plots.phase_track(pictures),
            "Phase of the pilot in one frame.",
            f"Two lasers with {si(result.linewidth_hz or 0.0, 'Hz')} of linewidth together make a random walk; a "
            "smooth curve below it is a drift of their beat. Jumps of 2π would be cycle slips: there must be none.",
        )
        + "\n</div>"
    )


def _clearance(pictures: Pictures) -> str:
    decibels = plots.clearance_db(pictures)
    return f"{decibels:.1f} dB above the electronic noise" if isfinite(decibels) else "above a detector without noise"


def _symbols(result: RunResult, pictures: Pictures) -> str:
    slope = (result.detector_efficiency * result.transmittance / 2) ** 0.5
    return (
        '<div class="three">\n'
        + _figure(
            plots.constellation_before(pictures),
            "Before compensation.",
            "Coloured by the quadrant in which Alice sent each symbol. The lasers run free: the colours are mixed.",
        )
        + _figure(
            plots.constellation_after(pictures),
            "After compensation.",
            f"The same {grouped(len(pictures.constellation_after))} symbols: each colour should now have a corner. "
            f"They overlap, as they must at an SNR of {result.snr:.2f}.",
        )
        + _figure(
            plots.correlation(pictures),
            "Bob against Alice.",
            f"Both quadratures of these symbols, with slope {plots.regression_slope(pictures):.3f}; √(ηT/2) of the "
            f"estimate is {slope:.3f}. A straight, even cloud is a linear channel.",
        )
        + "\n</div>"
    )


def _noise(result: RunResult, pictures: Pictures) -> str:
    return (
        '<div class="two">\n'
        + _figure(
            plots.excess_noise(result, pictures),
            "Frame by frame.",
            "From the symbols that each frame discloses to choose the code. Bars are one standard deviation; about one "
            "frame in three should lie farther off than its bar is long. A trend would be a drift of the shot-noise "
            "calibration. One frame alone proves nothing: estimate and worst case belong to all symbols together.",
        )
        + _figure(
            plots.running_excess_noise(result, pictures),
            "All frames so far.",
            "The running mean of the same symbols and its standard deviation: the band should narrow with the root of "
            "the frames' number, and two runs in three it should end around the estimate, which is narrower because it "
            f"is over all symbols. The key length is computed with the worst case, {_margin(result)} higher.",
        )
        + "\n</div>"
    )


def _margin(result: RunResult) -> str:
    """How far the worst case lies above the estimate."""
    above = result.excess_noise_worst_case_snu - result.excess_noise_snu
    if result.excess_noise_std_snu <= 0:
        return msnu(above)
    return f"{above / result.excess_noise_std_snu:.1f} standard deviations"


def _tables(result: RunResult) -> str:
    tables = []
    for heading, rows in sections(result):
        lines = "\n".join(
            f'<tr><th scope="row">{escape(quantity)}</th><td>{escape(value)}</td></tr>' for quantity, value in rows
        )
        tables.append(f"<table>\n<caption>{escape(heading)}</caption>\n<tbody>\n{lines}\n</tbody>\n</table>")
    return '<div class="tables">\n' + "\n".join(tables) + "\n</div>"


def _assumptions(result: RunResult) -> str:
    board = (
        (
            "Simulated light.",
            "Lasers, fibre and detector were a model, and so was the randomness: the figures show what transmitter, "
            "receiver and post-processing do with such a channel. The key is for tests only: it must protect nothing.",
        )
        if result.simulated_board
        else ("Real light.", "Lasers, fibre and detector were hardware; the figures are measurements.")
    )
    assumptions = (
        board,
        (
            "Collective attacks.",
            "The eavesdropper may treat every symbol alike, keep everything in a perfect quantum memory and measure it "
            "together at the end. General (coherent) attacks are not covered by this key length.",
        ),
        (
            "Composable and finite.",
            f"The key differs from a perfect one by at most ε = {_power(result.epsilon)}: the two ends differ, the "
            "key is not secret, or the channel is worse than the worst case used, all counted together. The key length "
            f"uses ξ = {msnu(result.excess_noise_worst_case_snu)} and T = {result.transmittance_worst_case:.4f}, not "
            "the estimates: within their bounds the noise is at its highest, and the transmittance where an "
            "eavesdropper knows most, which may be above the estimate.",
        ),
        (
            "Trusted detector.",
            f"Bob's efficiency ({percent(result.detector_efficiency)}) and electronic noise "
            f"({msnu(result.electronic_noise_snu)}) are his own: calibrated, stable, and out of reach of the "
            "eavesdropper. So is the local oscillator: it is made at Bob's side.",
        ),
        (
            "Isotropic symbols.",
            "What Bob publishes for error correction hides his bits because his symbols, with the noise that he adds, "
            "look the same in all directions.",
        ),
        (
            "Gaussian modulation.",
            "Alice's symbols are taken as ideal Gaussian; the fine grid on which converters put them is not charged.",
        ),
        (
            "Authenticated talk.",
            "The classical channel is public and authenticated. Everything said on it about the key is in the budget; "
            "key that authentication itself uses up is not, unless a line of the budget names it.",
        ),
    )
    return (
        '<dl class="assumptions">\n'
        + "\n".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in assumptions)
        + "\n</dl>"
    )


_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --ink: #1d2229; --muted: #5d6570; --rule: #dcdad2; --accent: #1f5fa8;
    --key: #1c7a62; --spent: #b9bec6;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, Charter, Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171c; --ink: #e9e7e1; --muted: #a0a7b2; --rule: #333941; --accent: #7db4ee;
    --key: #4fc09f; --spent: #59616d; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 74rem; padding: 3.5rem 2rem 2rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--sans); font-variant-numeric: lining-nums; }
.name { margin: 0; color: var(--accent); font-size: .875rem; font-weight: 600; letter-spacing: .02em; }
h1 { margin: .3rem 0 .6rem; font: 600 clamp(2rem, 5vw, 3.4rem)/1.08 var(--serif);
  letter-spacing: -.015em; text-wrap: balance; }
h2 { margin: 0 0 1.2rem; font: 600 1.6rem/1.2 var(--serif); letter-spacing: -.005em; }
.standfirst { max-width: 44rem; margin: 0; color: var(--muted); font-size: 1.125rem; }
section { margin-top: 3.2rem; padding-top: 1.6rem; border-top: 1px solid var(--rule); }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr));
  gap: 1.6rem 2rem; margin: 2.4rem 0 0; }
.headline dt { color: var(--muted); font-size: .875rem; }
.headline dd { margin: 0; font: 600 1.75rem/1.25 var(--serif); white-space: nowrap; }
.headline small { display: block; font: .875rem/1.4 var(--sans); color: var(--muted); white-space: normal; }
sup { font-size: .7em; line-height: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: lining-nums tabular-nums; }
th, td { padding: .34rem 0; text-align: left; font-weight: 400; vertical-align: baseline;
  border-top: 1px solid var(--rule); }
.number { text-align: right; white-space: nowrap; }
.budget caption { margin-bottom: 1rem; max-width: 44rem; text-align: left; color: var(--muted); }
.budget th, .budget td { padding: .5rem 0; }
.budget td.number, .budget th.number { padding-left: 1.5rem; }
.budget thead th { border-top: 0; padding: 0 0 .4rem; color: var(--muted); font-size: .875rem; }
.budget .share { color: var(--muted); }
.budget .bar { width: 46%; padding-left: 2rem; }
.budget i { display: block; height: 1.3rem; min-width: 2px; border-radius: 1px;
  background: var(--spent); vertical-align: middle; }
.budget .given i { background: var(--accent); }
.budget .key i { background: var(--key); }
.budget td.bar { vertical-align: middle; }
.power { white-space: nowrap; }
.budget .key th, .budget .key td { border-top: 2px solid var(--ink); }
.budget .key th, .budget .key td.number { font-weight: 700; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figure svg text { font-family: var(--sans) !important;
  paint-order: stroke; stroke: var(--paper); stroke-width: 3; stroke-linejoin: round; }
figcaption { margin-top: .7rem; max-width: 40rem; color: var(--muted); font-size: .9375rem; }
figcaption b { color: var(--ink); font-weight: 600; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 2.4rem; }
.three { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); gap: 2.4rem; }
.tables { columns: 2 28rem; column-gap: 3rem; }
.tables table { break-inside: avoid; margin-bottom: 1.8rem; }
.tables caption { padding-bottom: .35rem; text-align: left; font-weight: 600; }
.tables th { width: 44%; padding-right: 1rem; color: var(--muted); }
.assumptions { display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.4rem 3rem; margin: 0; }
.assumptions dt { font-weight: 600; }
.assumptions dd { margin: 0; color: var(--muted); }
footer { margin-top: 3rem; color: var(--muted); font-size: .8125rem; }
@media (max-width: 40rem) {
  body { padding: 1.6rem 1.1rem; }
  section { margin-top: 2.2rem; }
  .headline { grid-template-columns: 1fr 1fr; gap: 1.2rem 1rem; }
  .headline dd { font-size: 1.3rem; white-space: normal; }
  .budget thead { display: none; }
  .budget tr { display: grid; grid-template-columns: 1fr auto auto;
    border-top: 1px solid var(--rule); padding: .45rem 0; }
  .budget tr.key { border-top: 2px solid var(--ink); }
  .budget tr th, .budget tr td, .budget .key th, .budget .key td { border: 0; padding: 0; }
  .budget td.number { padding-left: .8rem; }
  .budget td.share { min-width: 5.2rem; }
  .budget tr td.bar { grid-column: 1 / -1; width: 100%; margin-top: .3rem; padding-left: 0; }
  figure svg { width: calc(100% + 1rem); margin-left: -.5rem; }
  .budget i { height: .5rem; }
}
@media print { body { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""
