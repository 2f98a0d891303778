"""Self-tests of the overlays with a receiver: ``receiver``, whose samples are a link's model's, and ``loopback``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pynq

from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.receiver.closed_loop import Change

from ...errors import BoardError
from ..loopback import LoopbackPlan
from .board import Board
from .dma import wait
from .opening import Opened
from .outcome import Outcome
from .receiver import Receiver
from .reference import Reference

PAYLOAD, FRAMES = 2048, 8
"""Symbols of a frame, and frames: the receiver's loops settle in the first ones."""
SIGNAL_SNU = 16.0
"""Strong, so that frames are found with a preamble of any length."""
TIMEOUT_S = 600.0
"""A simulation on a machine that has other things to do takes its time."""
SILENCE_S = 10.0
"""The models' frame is computed between two of the board's."""
EMULATED_WORDS = 100.0


def plan(overlay: Any, seed: int) -> LoopbackPlan:
    """A link for what is built."""
    core = overlay.receiver
    built = core.frame_synchroniser
    span = overlay.transmitter.span if "transmitter" in overlay.ip_dict else 33
    return LoopbackPlan(
        lanes=core.lanes,
        sample_rate_hz=core.lanes * 1e8,
        samples_per_symbol=4 << (core.halvings - 1),
        payload=PAYLOAD,
        signal_snu=SIGNAL_SNU,
        pilot_snr_db=25.0,
        beat_hz=core.lanes * 2e6,
        shot_noise_words=EMULATED_WORDS,
        preamble=built.preamble,
        detector_chips=built.detector_chips,
        span=span,
        seed=seed,
    )


def receiver(opened: Opened, seed: int) -> Outcome:
    """Samples of a link's model through the receiver: its packets.

    Raises:
        BoardError: a packet does not come, or is no packet.
    """
    overlay = opened.overlay
    rng = np.random.default_rng(seed)
    settings = plan(overlay, seed).settings
    words = rng.integers(0, 2**32, 2 * FRAMES * PAYLOAD, np.uint32)
    sent = np.concatenate([frame.samples for frame in settings.transmitter.run(words, FRAMES)])
    samples = settings.fibre.process(sent).words
    samples = samples[: len(samples) // 16 * 16]
    # Settings are applied before the first sample, and mark what comes first. The last frame's packet comes too, for
    # the vacuum behind it is longer than what the receiver holds; if nobody took it, the samples would wait for ever.
    wanted = settings.receiver.process(samples, (Change(0),)).packets
    host = Receiver(overlay, "packets", timeout_s=TIMEOUT_S)
    host.configure(settings.receiver, source_waits=True)
    taker, engine = host.taker(), overlay.packets.sendchannel
    buffer = pynq.allocate(samples.shape, "i2", target=overlay.device)
    buffer[:] = samples
    outcome = Outcome("receiver")
    host.start()
    taker.begin()
    engine.transfer(buffer)
    for left, model in zip(reversed(range(len(wanted))), wanted, strict=True):
        came = host.take(taker, lambda: None, more=left > 0)
        outcome.compare(came.words(), model.words())
    wait(engine, TIMEOUT_S, "samples")
    host.stop()
    taker.erase()
    if not any(model.good for model in wanted):
        raise BoardError("no frame of the self-test is good: its stimulus does not fit this build")
    return outcome


def loopback(opened: Opened, seed: int) -> Outcome:
    """Frames through both ends: records and packets.

    Raises:
        BoardError: frames do not come, or none is good.
    """
    rng = np.random.default_rng(seed)
    settings = plan(opened.overlay, seed).settings
    key = rng.integers(0, 2**32, KEY_WORDS, np.uint32)
    outcome, good = Outcome("loopback"), 0
    with Board(opened, silence_s=SILENCE_S, timeout_s=TIMEOUT_S) as board:
        board.configure(settings)
        reference = Reference(settings, key, board.start(key))
        for count, frame in enumerate(board.frames(), 1):
            reference.take(frame)
            good += frame.good
            if count == FRAMES:
                break
        reference.finish()
    outcome.words, outcome.wrong = reference.words, reference.wrong
    if not good:
        raise BoardError(f"none of {FRAMES} frames is good; {board.receiver.explain()}")
    return outcome
