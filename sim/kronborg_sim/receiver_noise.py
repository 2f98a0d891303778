"""How much noise the receiver adds: the whole chain in a loop whose truth is known.

    python -m kronborg_sim.receiver_noise [--frames 8] [--linewidth 2e3] [--pilot-snr 20] [--modulation-variance 4]

Shot noise hides a few mSNU among a million symbols. So each frame is played twice with the same noise, once with its
payload and once without: the difference of the two receptions is what the chain made of the signal alone. What of it is
not proportional to Alice's symbols is noise that the receiver added: phase errors, intersymbol interference, timing,
rounding. Acquisition, smoother and all else are the receiver's own.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from kronborg.board import FramePlan, Scenario
from kronborg.link.planning import expected_link
from kronborg.link.positions import complex_symbols
from kronborg.link.receive import receive
from kronborg.link.run import FRAME, receive_emission

from .devices.model_board import ModelBoard


def receiver_noise(
    frames: int,
    *,
    modulation_variance_snu: float = 4.0,
    linewidth_hz: float = 2e3,
    pilot_snr_db: float = 20.0,
    seed: int = 1,
) -> dict[str, float]:
    """Excess noise, at the channel's input, that the receiver adds to so many frames over 10 km.

    Returns:
        Figures under names with their units, among them the limit of the best smoother of the pilot's phase,
        q r / sqrt(q**2 + 4 q r) with q = 2 pi linewidth / symbol rate and r = 1 / (2 pilot SNR), times V_A.
    """
    scenario = Scenario(linewidth_hz=linewidth_hz, excess_noise_snu=0.0)
    snr = expected_link(scenario, modulation_variance_snu).snr
    plan = FramePlan(FRAME, modulation_variance_snu, pilot_snr_db - 10 * float(np.log10(snr)))
    board = ModelBoard(plan, scenario, seed)
    residue = power = 0.0
    for index in range(frames):
        emission = board.frame(index)
        received = receive_emission(emission, plan)
        silent = receive(
            board.frame(index, silent=True).samples,
            plan.sample_rate_hz,
            plan.frame_format,
            received.acquisition,
            smoother=received.smoother,
        )
        sent = complex_symbols(emission.symbols)
        signal = received.words - silent.words
        gain = np.vdot(sent, signal).real / np.vdot(sent, sent).real
        residue += float(np.sum(np.abs(signal / gain - sent) ** 2))
        power += float(np.sum(np.abs(sent) ** 2))
    walk, noise = 2 * np.pi * linewidth_hz / FRAME.symbol_rate_hz, 0.5 * 10 ** (-pilot_snr_db / 10)
    smoother = walk * noise / float(np.sqrt(walk**2 + 4 * walk * noise)) if walk else 0.0
    return {
        "symbols": frames * FRAME.symbols,
        "modulation_variance_snu": modulation_variance_snu,
        "linewidth_hz": linewidth_hz,
        "pilot_snr_db": pilot_snr_db,
        "added_excess_noise_msnu": 1e3 * modulation_variance_snu * residue / power,
        "phase_smoother_limit_msnu": 1e3 * modulation_variance_snu * smoother,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Excess noise that the receiver adds, in a loop of known truth.")
    parser.add_argument("--frames", type=int, default=8, help="of 128 000 symbols")
    parser.add_argument("--linewidth", type=float, default=2e3, help="Hz, both lasers together")
    parser.add_argument("--pilot-snr", type=float, default=20.0, help="dB, in the symbol-rate bandwidth")
    parser.add_argument("--modulation-variance", type=float, default=4.0, help="SNU")
    options = parser.parse_args()
    figures = receiver_noise(
        options.frames,
        modulation_variance_snu=options.modulation_variance,
        linewidth_hz=options.linewidth,
        pilot_snr_db=options.pilot_snr,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
