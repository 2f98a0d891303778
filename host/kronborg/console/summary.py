"""The run as one table of quantities in human units, for the terminal and for the report."""

from __future__ import annotations

import io
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .result import RunResult
from .units import grouped, megabaud, msnu, percent, si

Section = tuple[str, list[tuple[str, str]]]
"""A heading and its (quantity, value) rows."""

_PLAIN_SPACES = str.maketrans({"\N{NARROW NO-BREAK SPACE}": " "})
_ASCII = str.maketrans({"±": "+/-", "µ": "u", "σ": "sigma"})


def sections(result: RunResult) -> list[Section]:
    """Every figure of the run that a person asks for, in the order of its way from light to key."""
    blocks = f"{grouped(result.code_blocks_failed)} of {grouped(result.code_blocks)} blocks"
    share = result.share_of_plob
    return [
        (
            "Sent",
            [
                ("symbols", f"{grouped(result.symbols)} at {megabaud(result.symbol_rate_hz)}"),
                ("frames received", f"{grouped(result.frames_received)} of {grouped(result.frames_sent)}"),
                ("modulation variance", f"{result.modulation_variance_snu:.2f} SNU"),
            ],
        ),
        (
            "Channel",
            [
                ("fibre", f"{result.distance_km:g} km, {result.loss_db:.2f} dB"),
                (
                    "transmittance",
                    f"{result.transmittance:.4f}, at worst {result.transmittance_worst_case:.4f}",
                ),
                (
                    "excess noise",
                    f"{result.excess_noise_snu * 1e3:.1f} ± {msnu(result.excess_noise_std_snu)} (1 σ)",
                ),
                ("excess noise, worst case", msnu(result.excess_noise_worst_case_snu)),
                ("excess noise, key up to", msnu(result.null_key_excess_noise_snu)),
                *([] if result.linewidth_hz is None else [("laser linewidths, sum", si(result.linewidth_hz, "Hz"))]),
                *([] if result.pilot_snr_db is None else [("pilot SNR", f"{result.pilot_snr_db:.1f} dB")]),
            ],
        ),
        (
            "Trusted detector",
            [
                ("efficiency", percent(result.detector_efficiency)),
                ("electronic noise", msnu(result.electronic_noise_snu)),
            ],
        ),
        (
            "Reconciliation",
            [
                ("SNR per quadrature", f"{result.snr:.4f}"),
                ("code rate", f"{result.code_rate:.4g}"),
                ("efficiency (beta)", percent(result.reconciliation_efficiency)),
                ("frame error rate", f"{percent(result.frame_error_rate)}, {blocks}"),
                ("disclosed", f"{si(result.disclosed_bits, 'bit')} ({grouped(result.disclosed_bits)} bit)"),
            ],
        ),
        (
            "Key",
            [
                ("secret key", f"{si(result.key_bits, 'bit')} ({grouped(result.key_bits)} bit)"),
                ("the two ends", "identical" if result.keys_identical else "DIFFERENT: do not use this key"),
                ("per symbol", f"{result.key_rate_bit_per_symbol:.5f} bit"),
                ("share of the PLOB bound", "none at T = 1" if share is None else percent(share)),
                ("at the symbol rate", si(result.key_rate_bit_per_second, "bit/s")),
                ("with endless symbols", f"{result.asymptotic_rate_bit_per_symbol:.5f} bit per symbol"),
                ("security epsilon", f"{result.epsilon:.2e}"),
            ],
        ),
        (
            "Time",
            [
                *((stage, f"{seconds:.1f} s") for stage, seconds in result.stage_seconds.items()),
                ("whole run", f"{result.wall_seconds:.1f} s"),
            ],
        ),
    ]


def write_summary(result: RunResult, stream: TextIO) -> None:
    """Print the table on `stream`, 80 columns wide: bold and ruled on a terminal, plain text elsewhere."""
    terminal = stream.isatty()
    try:
        "±µσ".encode(stream.encoding or "utf-8")
        spelling = _PLAIN_SPACES
    except UnicodeEncodeError:
        spelling = _PLAIN_SPACES | _ASCII
    table = Table(box=box.SIMPLE if terminal else None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(min_width=16, style="bold cyan" if terminal else "")
    table.add_column(min_width=24)
    table.add_column()
    for heading, rows in sections(result):
        for position, (quantity, value) in enumerate(rows):
            cells = [heading if position == 0 else "", quantity, value]
            # Text, not str: square brackets in a name are not markup.
            table.add_row(
                *(Text(cell.translate(spelling)) for cell in cells),
                end_section=position == len(rows) - 1,
            )
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, no_color=not terminal, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    # rich fills each line up with blanks, which a log file has no use for.
    stream.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))
    stream.flush()
