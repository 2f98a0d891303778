"""One link from light to keys: calibrate, send, receive, estimate, correct, verify, amplify, store."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.boards import FABRIC_BOARDS
from kronborg_hdl.receiver.model import Receiver

from ..board import Board, Emission, FramePlan, Scenario, open_board
from ..board.loopback import LoopbackPlan
from ..board.pynq.figures import BoardFigures
from ..board.pynq.opening import Loaded, kinds, open_by_name
from ..console.progress import RunProgress, Stage
from ..console.result import Pictures, RunResult
from ..errors import InputError, NoKeyError
from ..network.key_store import KeyStore, locked
from ..postprocessing.budget import Epsilons
from ..postprocessing.calibration import ShotNoise, calibrate
from ..postprocessing.reconciliation import available_codes
from ..postprocessing.reconciliation.farm import Place, opened
from ..postprocessing.security import asymptotic_rate, null_key_excess_noise, plob_bound
from .acquisition import acquire
from .alice import Alice
from .bob import Bob
from .frame_format import FrameFormat, Preamble
from .light import Tap, open_light
from .pictures import POINTS, phase_track, power_density, uncompensated
from .planning import MOST_SNR, choose_modulation, expected_link, phase_variance
from .positions import complex_symbols
from .receive import FrameReceiver, ReceivedFrame, receive, receive_noise, receiver_for

THREADS = 2
"""numpy and the decoder let go of the interpreter's lock: threads are enough."""

SEARCH_SAMPLES = 8192
"""The capture is triggered; the frame begins within so many samples."""

MOST_SYMBOLS = 10**8
"""Of one run over a board's optics: each takes some 20 bytes of memory."""

MOST_DRAWN_SYMBOLS = 10**9
"""Of one run on a light that draws symbols when they are needed: each takes some 3 bytes, for the raw keys."""

MOST_BOARD_SNR = 6.5
"""Per quadrature, to aim at over a board's optics: at 11.8 most frames are lost on the model board, at 6.2 none."""

DARK_CAPTURES = 4
"""Of electronic noise: at 13 dB below shot noise it need not be known as well."""

FRAME = FrameFormat(
    symbol_rate_hz=125e6,
    symbols=128_000,
    roll_off=0.2,
    frequency_shift_hz=125e6,
    # One symbol rate above the signal: what the matched filter lets through folds to zero frequency and is taken off.
    pilot_frequencies_hz=(250e6,),
    preamble=Preamble(root=17, length=2039, rate_hz=125e6, shaped=True, amplitude=4.0),
    transmitter_sample_rate_hz=1e9,
    leading_zeros_at_transmitter=4096,
)
"""The frame that `kronborg run` sends: about a millisecond, 2**20 samples with its silence."""

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
        estimation_fraction: share of the symbols that is disclosed before the code is chosen; the channel is estimated
            from all symbols, once they are corrected.
        epsilon: composable security parameter to stay within.
        board: name of the board: of optics that are simulated; or a kind of ``board.pynq.opening``, or a board at a
            serial port, ``NAME`` or ``NAME:PORT``, whose both ends and fibre are gateware on one device.
        seed: of everything random in a simulation, whose keys are therefore no secrets.
        store: folder with the two ends' key stores.
        farm: where blocks are decoded, as `Farm` takes it; None for this process.
        light: name of a light that symbols come from; None for the board's optics.
        tap: an eavesdropper on a light.
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
    farm: str | None = None
    light: str | None = None
    tap: Tap | None = None

    def __post_init__(self) -> None:
        most = MOST_SYMBOLS if self.light is None else MOST_DRAWN_SYMBOLS
        if not 1 <= self.symbols <= most:
            raise InputError(f"{self.symbols} symbols are outside 1 to {most:g}: one run is held in memory")
        if self.tap is not None and self.light is None:
            raise InputError("only a light can be tapped: give --light drawn, or leave --tap-from out")
        if not 0 < self.estimation_fraction < 1:
            raise InputError(f"an estimation fraction of {self.estimation_fraction:g} is outside (0, 1)")
        if not -20 <= self.pilot_snr_db <= 60:
            raise InputError(f"a pilot SNR of {self.pilot_snr_db:g} dB is outside -20 to 60")
        if self.seed < 0:
            raise InputError(f"a seed cannot be negative: {self.seed}")

    @property
    def on_gateware(self) -> bool:
        """Whether both ends are gateware on one device."""
        return self.light is None and self.board.partition(":")[0] in (*kinds(), *FABRIC_BOARDS)

    @property
    def frame_symbols(self) -> int:
        """Payload symbols of a frame."""
        return LoopbackPlan.payload if self.on_gateware else FRAME.symbols

    @property
    def frames(self) -> int:
        """Frames to send."""
        return -(-self.symbols // self.frame_symbols)


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], stage: Stage) -> list[Result]:
    """Map in threads, in order, with progress."""

    def step(item: Item) -> Result:
        result = work(item)
        stage.advance()
        return result

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(step, items))


def choose_variance(settings: RunSettings, epsilons: Epsilons, symbol_rate_hz: float = FRAME.symbol_rate_hz) -> float:
    """V_A as it was asked for, or what promises the longest key on this link."""
    if settings.modulation_variance_snu is not None:
        return settings.modulation_variance_snu
    linewidth = settings.scenario.linewidth_hz if settings.light is None else 0.0
    return choose_modulation(
        settings.scenario,
        settings.frames * settings.frame_symbols,
        settings.estimation_fraction,
        epsilons,
        phase_variance(linewidth, symbol_rate_hz, settings.pilot_snr_db),
        MOST_SNR if settings.light else MOST_BOARD_SNR,
    ).modulation_variance_snu


def plan_frame(settings: RunSettings, epsilons: Epsilons) -> FramePlan:
    """What Alice plays on this link: V_A, and the pilot that its SNR asks for."""
    variance = choose_variance(settings, epsilons)
    link = expected_link(settings.scenario, variance)
    return FramePlan(FRAME, variance, settings.pilot_snr_db - 10 * np.log10(link.snr))


@dataclass(frozen=True)
class Exchange:
    """What both ends hold once the light is out.

    Attributes:
        simulated: whether nothing of it is real.
        sent: Alice's words, by frame.
        received: Bob's symbols of the frames that he found, in sqrt(SNU).
        modulation_variance_snu: V_A.
        snu_per_word: sqrt(SNU) at the channel's input that one unit of Alice's words stands for.
        shot_noise: Bob's calibration.
        pilot_snr_db: the pilot's, if there was one.
        draw: makes the pictures, if there is anything to be seen.
        symbol_rate_hz: of the fibre.
        figures: of a board whose both ends are gateware.
    """

    simulated: bool
    sent: Mapping[int, NDArray[np.int16]]
    received: Mapping[int, NDArray[np.complexfloating]]
    modulation_variance_snu: float
    snu_per_word: float
    shot_noise: ShotNoise
    pilot_snr_db: float | None = None
    draw: Callable[[Bob], Pictures] | None = None
    symbol_rate_hz: float = FRAME.symbol_rate_hz
    figures: BoardFigures | None = None


def receive_emission(emission: Emission, plan: FramePlan) -> ReceivedFrame:
    """Bob's side of one frame. Raises InputError where it is not found, or where a word did not fit at either end."""
    if emission.saturated:
        raise InputError(f"{emission.saturated} words saturated in the transmitter")
    found = acquire(emission.samples, plan.sample_rate_hz, plan.frame_format, search=SEARCH_SAMPLES)
    received = receive(emission.samples, plan.sample_rate_hz, plan.frame_format, found)
    if received.saturated:
        raise InputError(f"{received.saturated} words saturated in the receiver")
    return received


def exchange_frame(board: Board, plan: FramePlan, index: int) -> tuple[NDArray[np.int16], ReceivedFrame | None]:
    """Play and receive one frame: Alice's words, and Bob's symbols, or None where he has to drop it."""
    emission = board.frame(index)
    try:
        return emission.symbols, receive_emission(emission, plan)
    except InputError:
        return emission.symbols, None


def calibrate_board(board: Board, receiver: Receiver, vacuum: int, stage: Stage) -> ShotNoise:
    """The shot-noise unit and the electronic noise behind the signal's own chain."""
    dark = side_by_side(lambda index: receive_noise(board.dark(index), receiver), range(DARK_CAPTURES), stage)
    shot = side_by_side(lambda index: receive_noise(board.vacuum(index), receiver), range(vacuum), stage)
    return calibrate(np.concatenate(shot), np.concatenate(dark))


def run_link(settings: RunSettings, progress: RunProgress) -> tuple[RunResult, Pictures | None]:
    """Run one link to the end; there are no pictures of a light.

    Raises:
        NoKeyError: the link gives no secret key; the stores are as they were.
        InputError: settings that cannot be, or a key store that cannot be written or is in use.
    """
    with locked(settings.store), opened(settings.farm) as place:
        return _run(settings, progress, place)


def over_optics(settings: RunSettings, epsilons: Epsilons, progress: RunProgress) -> Exchange:
    """Calibrate, send and receive on a board.

    Raises:
        NoKeyError: the first frame was lost.
        InputError: there is no such board, or it does not take such a frame.
    """
    plan = plan_frame(settings, epsilons)
    board = open_board(settings.board, plan, settings.scenario, settings.seed)
    # One frame more than the key needs: its symbols are public, it sets the receiver up and makes the pictures.
    shown = board.frame(settings.frames)
    try:
        first = receive_emission(shown, plan)
    except InputError as error:
        raise NoKeyError(f"no key: the first frame was lost: {error}") from None
    chain = receiver_for(
        FRAME,
        plan.sample_rate_hz,
        beat_frequency_hz=first.acquisition.beat_frequency_hz,
        first_symbol=first.acquisition.frame_start,
        smoother=first.smoother,
    )
    with progress.stage("calibration", settings.frames + DARK_CAPTURES) as stage:
        shot_noise = calibrate_board(board, chain.receiver, settings.frames, stage)
    with progress.stage("light", settings.frames) as stage:
        frames = side_by_side(lambda index: exchange_frame(board, plan, index), range(settings.frames), stage)
    scale = 1 / np.sqrt(shot_noise.unit)
    return Exchange(
        board.simulated,
        {index: words for index, (words, _) in enumerate(frames)},
        {index: received.words * scale for index, (_, received) in enumerate(frames) if received is not None},
        plan.modulation_variance_snu,
        plan.snu_per_word,
        shot_noise,
        first.acquisition.pilot_snr_db,
        lambda bob: draw(board, plan, shown, first, chain, shot_noise, bob),
    )


def over_gateware(settings: RunSettings, epsilons: Epsilons, progress: RunProgress) -> Exchange:
    """Both ends and the fibre on one device, on a board or on one that is none.

    Raises:
        InputError: there is no such board, or it has no room for this link.
        BoardError: it does not do what it should.
        NoKeyError: no frame is received.
    """
    name, _, port = settings.board.partition(":")
    if name not in FABRIC_BOARDS:
        return _over_opened(settings, epsilons, progress, open_by_name(settings.board, "loopback"))
    from ..board.serial.overlay import OpenedBoard

    with OpenedBoard(FABRIC_BOARDS[name], port or None) as opened:
        return _over_opened(settings, epsilons, progress, opened)


def _over_opened(settings: RunSettings, epsilons: Epsilons, progress: RunProgress, opened: Loaded) -> Exchange:
    from .on_board import LANES_PER_RATE, exchange_on_board

    variance = choose_variance(settings, epsilons, opened.clock_hz * opened.overlay.receiver.lanes / LANES_PER_RATE)
    done = exchange_on_board(
        opened,
        settings.scenario,
        variance,
        settings.pilot_snr_db,
        symbols=settings.symbols,
        seed=settings.seed,
        progress=progress,
    )
    return Exchange(
        True,  # there is no light, whatever it runs on
        done.sent,
        done.received,
        variance,
        done.snu_per_word,
        done.shot_noise,
        settings.pilot_snr_db,
        symbol_rate_hz=done.symbol_rate_hz,
        figures=done.figures,
    )


def over_light(settings: RunSettings, epsilons: Epsilons, name: str) -> Exchange:
    """Symbols of a light. Raises InputError if there is none of that name."""
    variance = choose_variance(settings, epsilons)
    light = open_light(name, settings.scenario, variance, settings.seed, settings.tap)
    sent, received = light.emit(0, settings.frames), light.receive(0, settings.frames)
    return Exchange(light.simulated, sent, received, variance, light.snu_per_word, light.shot_noise)


def _run(settings: RunSettings, progress: RunProgress, place: Place) -> tuple[RunResult, Pictures | None]:
    started = time.perf_counter()
    epsilons = Epsilons.within(settings.epsilon)
    stores = {end: settings.store / f"{end}.sqlite" for end in ("alice", "bob")}
    for path in stores.values():
        with KeyStore(path):
            pass  # a folder that cannot be written is better found before the light is on
    kept = settings.frames * settings.frame_symbols * (1 - settings.estimation_fraction)
    shortest = min(code.length for code in available_codes()) // 2
    if kept < shortest:
        raise NoKeyError(
            f"no key: of {settings.frames} frames of {settings.frame_symbols} symbols {kept:.0f} would be left for the"
            f" key, and one block takes {shortest}; send more symbols"
        )
    if settings.on_gateware:
        exchange = over_gateware(settings, epsilons, progress)
    elif settings.light is None:
        exchange = over_optics(settings, epsilons, progress)
    else:
        exchange = over_light(settings, epsilons, settings.light)

    # A simulated link repeats itself from its seed, key and all; a real one asks the operating system.
    simulated = exchange.simulated
    randomness = np.random.default_rng([settings.seed, *b"key"]).bytes if simulated else secrets.token_bytes
    # Keys of a simulated link are no secrets: nobody shall take them for others.
    name = "simulated" if simulated else "link"
    alice = Alice(exchange.sent, exchange.snu_per_word, stores["alice"], name, decode=place.decode)
    bob = Bob(
        alice.handle,
        exchange.received,
        modulation_variance_snu=exchange.modulation_variance_snu,
        snu_per_word=exchange.snu_per_word,
        shot_noise=exchange.shot_noise,
        detector_efficiency=settings.scenario.detector_efficiency,
        epsilons=epsilons,
        store=stores["bob"],
        randomness=randomness,
        link=name,
    )
    with progress.stage("estimation"):
        bob.announce()
        bob.estimate(settings.estimation_fraction)
    with progress.stage("reconciliation", bob.choose_code()) as stage:
        reconciled = bob.reconcile(stage.advance, max(THREADS, place.side_by_side))
    with progress.stage("privacy amplification"):
        budget = bob.distil(reconciled)
    estimated = bob.estimated
    # Not read back from the stores: a KME that serves from them may have taken the block on by now.
    assert alice.stored
    assert bob.stored
    identical = hmac.compare_digest(alice.stored.key, bob.stored.key)

    scenario, rate = settings.scenario, reconciled.scheme.rate(bob.snr)
    symbols = settings.frames * settings.frame_symbols
    blocks = len(reconciled.verified) + reconciled.failed + reconciled.unequal
    beta = 2 * rate / float(np.log2(1 + bob.snr))
    link = replace(
        estimated.worst_case,
        transmittance=min(estimated.transmittance, 1.0),
        excess_noise_snu=max(estimated.excess_noise_snu, 0.0),
    )
    result = RunResult(
        seed=settings.seed if simulated else None,
        simulated_board=simulated,
        distance_km=scenario.distance_km,
        loss_db=scenario.loss_db,
        linewidth_hz=scenario.linewidth_hz if settings.light is None else None,
        symbol_rate_hz=exchange.symbol_rate_hz,
        frames_sent=settings.frames,
        frames_received=len(exchange.received),
        symbols=symbols,
        modulation_variance_snu=exchange.modulation_variance_snu,
        pilot_snr_db=exchange.pilot_snr_db,
        transmittance=estimated.transmittance,
        transmittance_worst_case=estimated.worst_case.transmittance,
        excess_noise_snu=estimated.excess_noise_snu,
        excess_noise_std_snu=estimated.excess_noise_std_snu,
        excess_noise_worst_case_snu=estimated.worst_case.excess_noise_snu,
        null_key_excess_noise_snu=null_key_excess_noise(link, min(beta, 1.0)),
        detector_efficiency=scenario.detector_efficiency,
        electronic_noise_snu=exchange.shot_noise.electronic_noise_snu,
        snr=bob.snr,
        code_rate=rate,
        reconciliation_efficiency=beta,
        code_blocks=blocks,
        code_blocks_failed=reconciled.failed + reconciled.unequal,
        frame_error_rate=(reconciled.failed + reconciled.unequal) / blocks,
        disclosed_bits=budget.disclosed_bits,
        budget=budget.lines,
        key_bits=budget.key_bits,
        keys_identical=identical,
        key_rate_bit_per_symbol=budget.key_bits / symbols,
        key_rate_bit_per_second=budget.key_bits / symbols * exchange.symbol_rate_hz,
        asymptotic_rate_bit_per_symbol=asymptotic_rate(link, min(beta, 1.0)),
        # An estimate may reach 1, where nothing bounds the rate.
        plob_bound_bit_per_symbol=plob_bound(link.transmittance) if link.transmittance < 1 else None,
        epsilon=epsilons.total,
        wall_seconds=time.perf_counter() - started,
        stage_seconds=progress.seconds,
        **_figures(settings, exchange),
    )
    return result, None if exchange.draw is None else exchange.draw(bob)


def _figures(settings: RunSettings, exchange: Exchange) -> dict[str, Any]:
    """Of the board."""
    if exchange.figures is not None:
        return asdict(exchange.figures)
    return {} if settings.light else {"board": settings.board}


def draw(
    board: Board,
    plan: FramePlan,
    emission: Emission,
    received: ReceivedFrame,
    chain: FrameReceiver,
    shot_noise: ShotNoise,
    bob: Bob,
) -> Pictures:
    """The arrays behind the report's pictures, from the public frame."""
    rate, scale = plan.sample_rate_hz, 1 / np.sqrt(shot_noise.unit)
    frequency, signal = power_density(emission.samples, rate)
    vacuum, dark = power_density(board.vacuum(0), rate)[1], power_density(board.dark(0), rate)[1]
    shot = float(np.mean(vacuum - dark))
    beat = received.acquisition.beat_frequency_hz
    centre, half = beat + FRAME.frequency_shift_hz, FRAME.symbol_rate_hz * (1 + FRAME.roll_off) / 2
    time_s, phase, offset = phase_track(emission.samples, chain.receiver, rate)
    sent = emission.symbols[:POINTS]
    raw = uncompensated(emission.samples, chain, POINTS)
    return Pictures(
        spectrum_frequency_hz=frequency,
        spectrum_signal_db=10 * np.log10(signal / shot),
        spectrum_vacuum_db=10 * np.log10(vacuum / shot),
        spectrum_dark_db=10 * np.log10(dark / shot),
        beat_frequency_hz=beat,
        signal_band_hz=(centre - half, centre + half),
        pilot_frequencies_hz=tuple(beat + pilot for pilot in FRAME.pilot_frequencies_hz),
        constellation_before=(raw - raw.mean()) * scale,
        constellation_after=received.words[:POINTS] * scale,
        constellation_alice=complex_symbols(sent) * plan.snu_per_word,
        phase_time_s=time_s,
        phase_rad=phase,
        phase_frequency_offset_hz=offset,
        frame_number=np.asarray(sorted(bob.frames), np.int64),
        frame_excess_noise_snu=bob.frame_excess_noise_snu,
        frame_excess_noise_std_snu=bob.frame_excess_noise_std_snu,
    )
