"""Distil one key from symbols drawn from the channel model: all of post-processing, none of the optics."""

from __future__ import annotations

import argparse
import hmac
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kronborg.board import Scenario
from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped, si
from kronborg.link.alice import Alice
from kronborg.link.bob import Bob
from kronborg.link.planning import choose_modulation, expected_link
from kronborg.network.key_store import KeyStore
from kronborg.postprocessing.budget import Epsilons
from kronborg.postprocessing.security import asymptotic_rate

from ...devices.drawn_light import DrawnLight
from .outcome import Outcome, whole

WORLD = Scenario()
THREADS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--symbols", type=float, default=1e8, metavar="N", help="of the run (default 1e8)")
    for name, default, unit, text in (
        ("distance", WORLD.distance_km, "KM", "length of the fibre"),
        ("excess-noise", WORLD.excess_noise_snu, "SNU", "at the channel's input"),
        ("estimation-fraction", 0.02, "SHARE", "of the symbols, disclosed to choose the code"),
        ("epsilon", 1e-10, "EPSILON", "composable security parameter"),
    ):
        parser.add_argument(
            f"--{name}", type=float, default=default, metavar=unit, help=f"{text} (default {default:g})"
        )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of symbols and key (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Draw, estimate, correct, verify, amplify and store.

    Raises:
        NoKeyError: the link gives no secret key.
        InputError: options that cannot be.
    """
    symbols, seed = whole(options.symbols, 1, 10**9, "symbols"), whole(options.seed, 0, 2**63, "as seed")
    scenario = Scenario(distance_km=options.distance, excess_noise_snu=options.excess_noise)
    epsilons, fraction = Epsilons.within(options.epsilon), options.estimation_fraction
    variance = choose_modulation(scenario, symbols, fraction, epsilons).modulation_variance_snu
    light = DrawnLight(scenario, variance, seed)
    frames = -(-symbols // light.frame_symbols)
    begun, process = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="kronborg-") as folder:
        stores = Path(folder) / "alice.sqlite", Path(folder) / "bob.sqlite"
        with progress.stage("symbols"):
            alice = Alice(light.emit(0, frames), light.snu_per_word, stores[0])
            received = light.receive(0, frames)
        bob = Bob(
            alice.handle,
            received,
            modulation_variance_snu=variance,
            snu_per_word=light.snu_per_word,
            shot_noise=light.shot_noise,
            detector_efficiency=light.detector_efficiency,
            epsilons=epsilons,
            store=stores[1],
            randomness=np.random.default_rng([seed, *b"key"]).bytes,
        )
        del received
        with progress.stage("estimation"):
            bob.announce()
            bob.estimate(fraction)
        with progress.stage("reconciliation", bob.choose_code()) as stage:
            reconciled = bob.reconcile(stage.advance, THREADS)
        with progress.stage("privacy amplification"):
            budget = bob.distil(reconciled)
        with KeyStore(stores[0]) as hers, KeyStore(stores[1]) as his:
            identical = hmac.compare_digest(hers.blocks("link")[-1].key, his.blocks("link")[-1].key)
    wall, seconds = time.perf_counter() - begun, time.process_time() - process
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
    blocks = len(reconciled.verified) + reconciled.failed + reconciled.unequal
    beta = 2 * reconciled.scheme.rate(bob.snr) / float(np.log2(1 + bob.snr))
    total = frames * light.frame_symbols
    figures = {
        "symbols": total,
        "distance_km": scenario.distance_km,
        "modulation_variance_snu": variance,
        "snr": bob.snr,
        "code": reconciled.scheme.name,
        "reconciliation_efficiency": beta,
        "code_blocks": blocks,
        "frame_error_rate": 1 - len(reconciled.verified) / blocks,
        "excess_noise_snu": bob.estimated.excess_noise_snu,
        "excess_noise_std_snu": bob.estimated.excess_noise_std_snu,
        "excess_noise_worst_case_snu": bob.estimated.worst_case.excess_noise_snu,
        "budget": [{"label": label, "bits": bits} for label, bits in budget.lines],
        "epsilons": [{"label": label, "epsilon": epsilon} for label, epsilon in budget.epsilons],
        "epsilon": budget.epsilon,
        "key_bits": budget.key_bits,
        "keys_identical": identical,
        "key_rate_bit_per_symbol": budget.key_bits / total,
        "asymptotic_rate_bit_per_symbol": asymptotic_rate(expected_link(scenario, variance), min(beta, 1.0)),
        "wall_seconds": wall,
        "cpu_seconds": seconds,
        "stage_seconds": progress.seconds,
        "resident_mebibyte": resident,
        "seed": seed,
    }
    table = [
        ("symbols", f"{grouped(total)} over {scenario.distance_km:g} km, V_A = {variance:.3g} SNU, seed {seed}"),
        (
            "code",
            f"{reconciled.scheme.name}, efficiency {100 * beta:.1f} %, {blocks - len(reconciled.verified)} of"
            f" {blocks} blocks lost",
        ),
        *((label, f" {grouped(bits)} bit") for label, bits in budget.lines),
        ("two ends", "identical" if identical else "DIFFERENT"),
        ("rate", f"{budget.key_bits / total:.5f} bit/symbol"),
        (
            "time",
            f"{wall:.1f} s, {seconds:.1f} s of the processor, on {THREADS} threads: {si(total / wall, 'symbol/s')}",
        ),
        ("memory", f"{resident:.0f} MiB resident"),
    ]
    return Outcome(figures, table, "" if identical else "the two ends hold different keys")
