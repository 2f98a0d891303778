"""One link from light to keys: calibrate, send, receive, estimate, correct, verify, amplify, store."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from kronborg_hdl.receiver.model import Receiver
from numpy.typing import NDArray

from ..board import Board, FramePlan, Scenario, open_board
from ..console.progress import RunProgress, Stage
from ..errors import InputError
from ..network.key_store import KeyStore
from ..postprocessing.calibration import ShotNoise, calibrate
from .receive import ReceivedFrame, receive, receive_noise, receiver_for

THREADS = 2
"""numpy and the decoder let go of the interpreter's lock: threads are enough."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RunSettings:
    """What to run.

    Attributes:
        scenario: the world of a simulated board.
        symbols: payload symbols to send, rounded up to whole frames.
        modulation_variance_snu: V_A; None chooses it for the channel that the scenario expects.
        pilot_snr_db: pilot over noise at Bob, in the symbol-rate bandwidth, that Alice sets.
        estimation_fraction: share of the symbols that is disclosed to estimate the channel.
        epsilon: composable security parameter to stay within.
        board: name of the board.
        seed: of everything random in the simulation; the keys of a simulated board are no secrets.
        store: folder with the two ends' key stores.
    """

    scenario: Scenario
    symbols: int
    modulation_variance_snu: float | None
    pilot_snr_db: float
    estimation_fraction: float
    epsilon: float
    board: str
    seed: int
    store: Path


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], stage: Stage) -> list[Result]:
    """Map in threads, in order, with progress."""

    def step(item: Item) -> Result:
        result = work(item)
        stage.advance()
        return result

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(step, items))


def calibrate_board(board: Board, receiver: Receiver, vacuum: int, dark: int, stage: Stage) -> ShotNoise:
    """The shot-noise unit and the electronic noise behind the signal's own chain, from so many captures of each."""
    dark_words = side_by_side(lambda index: receive_noise(board.dark(index), receiver), range(dark), stage)
    vacuum_words = side_by_side(lambda index: receive_noise(board.vacuum(index), receiver), range(vacuum), stage)
    return calibrate(np.concatenate(vacuum_words), np.concatenate(dark_words))
