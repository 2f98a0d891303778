"""Receive a recorded capture and compare it with what Alice sent."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..console.atomic import check_writable, write_text
from ..link.replay import replay_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("capture", type=Path, metavar="CAPTURE.sigmf-meta", help="the recording's metadata")
    parser.add_argument("--alice", type=Path, required=True, metavar="SYMBOLS.npy", help="the symbols Alice sent")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.json and options.json != "-":
        check_writable(options.json)
    found = replay_files(options.capture, options.alice)
    text = json.dumps(found.to_json(), indent=2) + "\n"
    if options.json == "-":
        print(text, end="")
        return 0
    if options.json:
        write_text(options.json, text)
    print(f"symbols               {found.symbols}")
    print(f"correlation           {found.correlation:.4f}")
    print(f"signal variance       {found.signal_variance_snu:.4f} SNU per quadrature, at the detector")
    print(
        f"excess noise          {1e3 * found.excess_noise_at_detector_snu:.1f}"
        f" ± {1e3 * found.excess_noise_std_snu:.1f} mSNU, at the detector"
    )
    print(f"electronic noise      {found.electronic_noise_snu:.4f} SNU")
    print(f"beat frequency        {found.beat_frequency_hz / 1e6:.6f} MHz")
    print(f"pilot                 {found.pilot_snr_db:.1f} dB over the noise")
    print(f"clock offset          {found.clock_offset_ppm:+.2f} ppm")
    print(f"pilot average         {found.pilot_average_us:.2f} us")
    print(f"first payload symbol  sample {found.frame_start_sample:.3f}")
    return 0
