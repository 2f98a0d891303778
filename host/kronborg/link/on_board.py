"""The light of a link whose both ends and fibre are gateware on one board, or on a board that is none.

Whatever comes by DMA is compared with the bit-exact model of all three, frame by frame.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.channel.fibre_emulator.model import NOISE_SCALE, FibreEmulator
from kronborg_hdl.decimation.power_meter.model import Measurement
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet as Received

from ..board.loopback import LoopbackPlan
from ..board.plan import SYMBOL_DEVIATION
from ..board.pynq.figures import BoardFigures
from ..board.pynq.opening import Loaded
from ..board.scenario import Scenario
from ..console.progress import RunProgress
from ..errors import InputError, NoKeyError
from ..postprocessing.calibration import ShotNoise

if TYPE_CHECKING:
    from ..board.pynq.board import Board, Exchanged
    from ..board.pynq.reference import Reference

SHOT_NOISE_WORDS, CREST, FULL_SCALE = 1500.0, 6.0, 32767
"""Shot noise at the converter, and room beside the pilot in standard deviations of noise and preamble."""
LANES_PER_RATE = LoopbackPlan.samples_per_symbol
"""Samples a symbol: a device's symbol rate is its clock times its lanes over this."""
BEAT = 0.02
"""The emulated beat, in sample rates."""
TIMEOUT_S, SIMULATION_TIMEOUT_S = 10.0, 600.0
"""For a frame: a simulation has other things to do."""
SILENCE_S = 10.0
"""The watch-dog's: between two frames the host computes the models' one, which takes a board's processor seconds. There
is no light that a host that is gone would leave on."""
WARM_UP = 16
"""Frames within which the receiver's loops must have settled."""
CALIBRATION_SHARE, CALIBRATION_SYMBOLS = 0.5, 200_000
"""Symbols of the vacuum's measurement for each payload symbol, and the least."""
DARK_SYMBOLS = 50_000
"""Electronic noise need not be known as well."""


def plan_for(
    scenario: Scenario, modulation_variance_snu: float, pilot_snr_db: float, *, lanes: int, clock_hz: float, seed: int
) -> LoopbackPlan:
    """The settings of a device for a link: the channel's excess noise is part of what the emulator adds.

    Raises:
        InputError: a link that the device's words have no room for.
    """
    received = modulation_variance_snu * scenario.transmittance * scenario.detector_efficiency / 2
    excess = scenario.excess_noise_snu * scenario.transmittance * scenario.detector_efficiency / 2
    plan = LoopbackPlan(
        lanes=lanes,
        sample_rate_hz=lanes * clock_hz,
        signal_snu=received,
        pilot_snr_db=pilot_snr_db,
        beat_hz=BEAT * lanes * clock_hz,
        linewidth_hz=scenario.linewidth_hz,
        shot_noise_words=1e-3,
        electronic_noise_snu=scenario.electronic_noise_snu + excess,
        seed=seed,
    )
    noise = 1 + plan.electronic_noise_snu
    pilot = math.sqrt(4 * 10 ** (pilot_snr_db / 10) * noise / plan.samples_per_symbol)
    signal = plan.chip_ratio * math.sqrt(4 * received / plan.samples_per_symbol)
    room = FULL_SCALE / (pilot + CREST * (math.sqrt(noise) + signal))
    loudest = 0.999 * plan.shot_noise_words / plan.amplitude
    return replace(plan, shot_noise_words=min(SHOT_NOISE_WORDS, room, loudest))


def noise_of(plan: LoopbackPlan, variance_snu: float, number: int) -> FibreEmulator:
    """Noise of this variance and nothing else, from a seed of its own.

    Raises:
        InputError: there is less of it than the emulator makes.
    """
    words = plan.shot_noise_words * math.sqrt(variance_snu)
    try:
        return replace(
            plan.fibre, amplitude=0, deviation=round(words / NOISE_SCALE), seed=(plan.seed + (number << 56)) % 2**64
        )
    except ValueError as error:
        raise InputError(f"{error}: give more --electronic-noise, or less --pilot-snr") from None


def shot_noise(vacuum: Measurement, dark: Measurement) -> ShotNoise:
    """The shot-noise unit and the electronic noise from what the power meter measured.

    Raises:
        NoKeyError: dark is as noisy as vacuum.
    """
    total, electronic = (sum(measured.variance) / 2 for measured in (vacuum, dark))
    if electronic >= total:
        raise NoKeyError("no key: the dark measurement is as noisy as vacuum")
    unit = total - electronic
    spread = math.hypot(total / math.sqrt(vacuum.symbols), electronic / math.sqrt(dark.symbols))
    return ShotNoise(unit, electronic / unit, spread / unit)


def without_phase(packet: Received) -> NDArray[np.complex64]:
    """A packet's symbols, words, without the static phase that its preamble tells, and without their mean.

    The mean takes a part of the noise with it, one in as many as there are symbols: they are scaled so that their
    variance is that of the light. What they have in common with Alice's then looks smaller by half of that.
    """
    words = packet.symbols.astype(np.float32).view(np.complex64)[:, 0]
    turn = complex(*packet.correlation)
    turned = words * np.complex64(np.conj(turn) / abs(turn))
    unbiased = np.float32(math.sqrt(len(turned) / max(1, len(turned) - 1)))
    return np.asarray((turned - turned.mean()) * unbiased, np.complex64)


def random_key(rng: np.random.Generator | None = None) -> NDArray[np.uint32]:
    """For ChaCha20: from the operating system, or from a simulation's seed."""
    if rng is None:
        return np.frombuffer(secrets.token_bytes(4 * KEY_WORDS), np.uint32).copy()
    return rng.integers(0, 2**32, KEY_WORDS, np.uint32)


@dataclass(frozen=True)
class BoardExchange:
    """What both ends hold once the light is out.

    Attributes:
        sent: Alice's words, by frame.
        received: Bob's symbols of the frames that are good at both ends, in sqrt(SNU).
        shot_noise: Bob's calibration.
        symbol_rate_hz: of the device.
        snu_per_word: sqrt(SNU) at the channel's input that one unit of Alice's words stands for.
        figures: of the board.
    """

    sent: dict[int, NDArray[np.int16]] = field(repr=False)
    received: dict[int, NDArray[np.complexfloating]] = field(repr=False)
    shot_noise: ShotNoise
    symbol_rate_hz: float
    snu_per_word: float
    figures: BoardFigures


def exchange_on_board(
    opened: Loaded,
    scenario: Scenario,
    modulation_variance_snu: float,
    pilot_snr_db: float,
    *,
    symbols: int,
    seed: int,
    progress: RunProgress,
) -> BoardExchange:
    """Calibrate, send and receive so many payload symbols, rounded up to whole frames, on the overlay ``loopback``.

    Args:
        opened: the loaded overlay.
        scenario: what is emulated between the two ends.
        modulation_variance_snu: V_A.
        pilot_snr_db: at Bob, in the symbol-rate bandwidth.
        symbols: to send, beside those of frames in which the receiver's loops settle.
        seed: of the emulated channel and, on a simulated board, of the symbols.
        progress: is told.

    Raises:
        InputError: a link that the board has no room for.
        BoardError: the board does not do what it should.
        NoKeyError: the receiver does not find the frames, or noise cannot be calibrated.
    """
    from ..board.pynq.board import Board
    from ..board.pynq.reference import Reference

    lanes = opened.overlay.receiver.lanes
    plan = plan_for(scenario, modulation_variance_snu, pilot_snr_db, lanes=lanes, clock_hz=opened.clock_hz, seed=seed)
    electronic = scenario.electronic_noise_snu
    vacuum, dark = noise_of(plan, 1 + electronic, 1), noise_of(plan, electronic, 2)
    rng = None if opened.device is None else np.random.default_rng([seed, *b"symbols"])
    timeout_s = TIMEOUT_S if opened.device is None else SIMULATION_TIMEOUT_S
    board = Board(opened, silence_s=SILENCE_S, timeout_s=timeout_s)
    with board:
        with progress.stage("calibration", 2) as stage:
            count = max(CALIBRATION_SYMBOLS, round(CALIBRATION_SHARE * symbols))
            measured = []
            for noise, length in ((vacuum, count), (dark, DARK_SYMBOLS)):
                measured.append(board.measure(plan.settings, noise, random_key(rng), length))
                stage.advance()
            shot = shot_noise(*measured)
        board.reset()
        board.configure(plan.settings)
        key = random_key(rng)
        reference = Reference(plan.settings, key, board.start(key))
        sent: dict[int, NDArray[np.int16]] = {}
        received: dict[int, NDArray[np.complexfloating]] = {}
        wanted = -(-symbols // plan.payload)
        with progress.stage("light", wanted) as stage:
            for frame in _settled(board, reference):
                number = frame.sent.frame
                sent[number] = frame.sent.symbols
                if frame.good:
                    assert frame.received is not None
                    received[number] = without_phase(frame.received) / np.float32(math.sqrt(shot.unit))
                stage.advance()
                if len(sent) == wanted:
                    break
        reference.finish()
        figures = BoardFigures(opened.kind, board.clocks, not reference.wrong, board.dma_words)
    snu_per_word = math.sqrt(modulation_variance_snu) / SYMBOL_DEVIATION
    return BoardExchange(sent, received, shot, plan.symbol_rate_hz, snu_per_word, figures)


def _settled(board: Board, reference: Reference) -> Iterator[Exchanged]:
    """Frames from the first good one on, each compared with the model. Raises NoKeyError if there is none."""
    settled = False
    for count, frame in enumerate(board.frames()):
        reference.take(frame)
        settled = settled or frame.good
        if settled:
            yield frame
        elif count == WARM_UP:
            raise NoKeyError(f"no key: none of {WARM_UP} frames is good; {board.receiver.explain()}")
