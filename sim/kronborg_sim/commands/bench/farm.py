"""Correct frames on a farm and in this process, and kill a worker in mid-run: no frame may be lost or doubled."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped, si
from kronborg.postprocessing.reconciliation import Code, Decoder, alice_llr, bob_message, choose_code
from kronborg.postprocessing.reconciliation.farm import MOST_WORKERS, Decode, Farm, Frame, correct, in_process

from .outcome import Outcome, whole

EXTRA = "farm"

DISTINCT = 8
"""Frames that are made; a longer run sends them in turns, so that one that is lost or doubled shows in the next."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--workers", type=float, default=2, metavar="N", help="processes that decode (default 2)")
    parser.add_argument("--snr", type=float, default=0.16, metavar="S", help="per quadrature (default %(default)s)")
    parser.add_argument("--frames", type=float, default=100, metavar="N", help="of each of three runs (default 100)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the simulated channel (default 1)")


@dataclass
class Sent:
    """Frames to correct, and Bob's bits of each.

    Attributes:
        code: all have it.
        count: how many a run sends.
        taken: how many the run under way has taken so far.
    """

    code: Code
    frames: list[Frame]
    bits: list[NDArray[np.uint8]]
    count: int
    taken: int = 0

    @classmethod
    def make(cls, code: Code, snr: float, seed: int, count: int) -> Sent:
        """Draw them."""
        decoder, frames, bits = Decoder(code), [], []
        for number in range(min(count, DISTINCT)):
            rng = np.random.default_rng([seed, number])
            x = rng.normal(0, np.sqrt(snr), code.length)
            word = rng.integers(0, 2, code.length, dtype=np.uint8)
            message = bob_message(x + rng.standard_normal(code.length), word)
            frames.append(Frame(code, alice_llr(x, message, 1.0, 1.0), decoder.syndrome(word)))
            bits.append(word)
        return cls(code, frames, bits, count)

    def stream(self) -> Iterator[Frame]:
        """One run's frames."""
        self.taken = 0
        while self.taken < self.count:
            self.taken += 1
            yield self.frames[(self.taken - 1) % len(self.frames)]


@dataclass
class Run:
    """What one run gave.

    Attributes:
        came: frames that came out.
        right: of them, those that are Bob's, each in its place.
        failed: of them, those that did not decode.
        most_ahead: frames that had been taken and not come out, at most.
        seconds: wall time.
    """

    came: int = 0
    right: int = 0
    failed: int = 0
    most_ahead: int = 0
    seconds: float = 0.0


def send(sent: Sent, decode: Decode, side_by_side: int, after: Callable[[int], None]) -> Run:
    """Correct all frames; `after` is told how many have come out, each time one does."""
    run, began = Run(), time.perf_counter()
    for decoded in correct(sent.stream(), decode, side_by_side):
        run.most_ahead = max(run.most_ahead, sent.taken - run.came)
        equal = decoded.converged and np.array_equal(decoded.bits, sent.bits[run.came % len(sent.bits)])
        run.came += 1
        run.right += equal
        run.failed += not decoded.converged
        after(run.came)
    run.seconds = time.perf_counter() - began
    return run


class Killer:
    """Kills a worker when a quarter of the frames have come out, and others after it until one had a frame."""

    def __init__(self, farm: Farm, at: int) -> None:
        self.farm, self.at, self.killed = farm, at, set[int]()
        self._before = farm.repeated

    @property
    def repeated(self) -> int:
        """Frames that were sent again since."""
        return self.farm.repeated - self._before

    def after(self, came: int) -> None:
        """So many frames have come out."""
        if came < self.at or self.repeated:
            return
        living = {pid for _, pid in self.farm.answers} - self.killed
        if living:
            self.killed.add(min(living))
            os.kill(min(living), signal.SIGKILL)


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """In process, on the farm, and on the farm with a worker that is killed.

    Raises:
        InputError: options that cannot be, or no Ray.
        NoKeyError: no code works at this SNR.
    """
    workers = whole(options.workers, 1, MOST_WORKERS, "workers")
    count, seed = whole(options.frames, 8, 10**6, "frames"), whole(options.seed, 0, 2**63, "as seed")
    sent = Sent.make(choose_code(options.snr), options.snr, seed, count)
    runs: dict[str, Run] = {}

    def measure(name: str, decode: Decode, side_by_side: int, then: Callable[[int], None] = lambda came: None) -> None:
        with progress.stage(name, count) as stage:

            def after(came: int) -> None:
                stage.advance()
                then(came)

            runs[name] = send(sent, decode, side_by_side, after)

    measure("in process", in_process, workers)
    with progress.stage("farm"):
        farm = Farm(str(workers))
    with farm:
        for _ in correct(sent.frames * -(-workers // len(sent.frames)), farm.decode, workers):
            pass  # each worker imports what it needs once, and keeps it
        measure("on the farm", farm.decode, farm.side_by_side)
        killer = Killer(farm, max(1, count // 4))
        measure("a worker is killed", farm.decode, farm.side_by_side, killer.after)
    here, there, killed = runs.values()
    repeated, ratio = killer.repeated, here.seconds / there.seconds
    symbols = count * sent.code.length
    lost = count - killed.came
    # Every run decodes the same frames with the same decoder: what fails or is wrong here does so there.
    wrong = here.right - killed.right
    fault = ""
    if any(run.came != count or run.right != here.right for run in runs.values()):
        fault = f"of {count} frames {lost} were lost or doubled, and {wrong} came out otherwise than in process"
    elif not repeated:
        fault = f"{len(killer.killed)} workers were killed, and none had a frame: send more frames"
    figures = {
        "workers": workers,
        "snr": options.snr,
        "code": sent.code.name,
        "symbols_per_frame": sent.code.length,
        "frames": count,
        "in_process_symbols_per_second": symbols / here.seconds,
        "farm_symbols_per_second": symbols / there.seconds,
        "farm_to_in_process": ratio,
        "killed_symbols_per_second": symbols / killed.seconds,
        "workers_killed": len(killer.killed),
        "frames_repeated": repeated,
        "frames_lost_or_doubled": lost,
        "frames_failed": killed.failed,
        "frames_otherwise_than_in_process": wrong,
        "most_frames_ahead": killed.most_ahead,
        "seed": seed,
    }
    table = [
        ("frames", f"{count} of {grouped(sent.code.length)} quadratures, code {sent.code.name}, SNR {options.snr:g}"),
        ("in process", f"{si(symbols / here.seconds, 'symbol/s')} on {workers} threads"),
        (
            "farm",
            f"{si(symbols / there.seconds, 'symbol/s')} on {workers} workers, {ratio:.3f} of that",
        ),
        (
            "a worker killed",
            f"{si(symbols / killed.seconds, 'symbol/s')}, {repeated} frames decoded again, {lost} lost or doubled,"
            f" {wrong} otherwise than in process",
        ),
        ("back-pressure", f"{killed.most_ahead} frames were under way at most"),
    ]
    return Outcome(figures, table, fault)
