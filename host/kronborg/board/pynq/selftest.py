"""Self-test of an overlay: a stimulus is played, and what comes is compared with the bit-exact model, word by word."""

from __future__ import annotations

import numpy as np
import pynq

from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.modulation.gaussian.model import GaussianSource
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot
from kronborg_hdl.transmitter.model import Transmitter as Settings

from ...errors import BoardError
from .dma import wait
from .link_selftest import loopback, receiver
from .opening import Opened
from .outcome import Outcome
from .transmitter import Transmitter

TIMEOUT_S = 20.0
SYMBOLS, FRAMES = 4096, 4
WORDS_PER_BLOCK = 16


def pulse_shaper(opened: Opened, seed: int) -> Outcome:
    """Random symbols through the shaper.

    Raises:
        BoardError: a transfer fails or does not end.
    """
    overlay = opened.overlay
    core, dma = overlay.pulse_shaper, overlay.dma
    rng = np.random.default_rng(seed)
    m = core.samples_per_symbol
    taps = quantise_taps(root_raised_cosine(m, core.span, 0.3))
    for number, value in enumerate(taps.tolist()):
        core.put("tap", value=value, sample=number % m, symbol=number // m)
    core.put("shift", amount=15)
    core.apply()
    sent = pynq.allocate((SYMBOLS, 2), "i2", target=overlay.device)
    came = pynq.allocate(((SYMBOLS + core.span - 1) * m, 2), "i2", target=overlay.device)
    outcome = Outcome("pulse_shaper")
    for _ in range(FRAMES):
        symbols = rng.integers(-(2**14), 2**14, sent.shape).astype(np.int16)
        sent[:], came[:] = symbols, 0
        dma.recvchannel.transfer(came)
        dma.sendchannel.transfer(sent)
        wait(dma.sendchannel, TIMEOUT_S, "symbols")
        wait(dma.recvchannel, TIMEOUT_S, "samples")
        outcome.compare(np.array(came), PulseShaper(taps, m, 15).process(symbols)[0])
    return outcome


def transmitter(opened: Opened, seed: int) -> Outcome:
    """Frames of random symbols, from a key that this test knows: samples and records.

    Raises:
        BoardError: a frame does not come, is marked, or is not the next one.
    """
    overlay = opened.overlay
    core = overlay.transmitter
    rng = np.random.default_rng(seed)
    m, n = core.samples_per_symbol, max(1, core.lanes // core.samples_per_symbol)
    head = -(-core.frame_controller.head // (2 * n)) * 2 * n
    span = core.span
    largest = 2**15 // span
    settings = Settings(
        source=GaussianSource(20_000),
        frame=FrameSettings(
            FrameLimits(symbols_per_clock=n),
            guard=2 * n,
            preamble=rng.integers(-(2**14), 2**14, (head, 2)).astype(np.int16),
            header_repetition=n,
            header_symbol=(9000, -9000),
            payload=SYMBOLS // 8,
            vacuum=64 * n,
        ),
        shaper=InterpolatingShaper(rng.integers(-largest, largest, span).astype(np.int16), m, 18),
        shift_word=int(rng.integers(2**32)),
        pilots=(Pilot(int(rng.integers(2**32)), 6000), Pilot(int(rng.integers(2**32)), 900)),
    )
    key = rng.integers(0, 2**32, KEY_WORDS, np.uint32)
    outcome = Outcome("transmitter")
    with Transmitter(overlay, opened.clock_hz, timeout_s=TIMEOUT_S) as host:
        host.configure(settings)
        epoch = host.seed(key)
        host.start()
        came = list(host.frames(FRAMES))
    blocks = -(-FRAMES * settings.frame.payload * 2 // WORDS_PER_BLOCK)
    wanted = settings.run(Entropy().host(key, epoch, blocks), FRAMES)
    for frame, model in zip(came, wanted, strict=True):
        if frame.packet.flags != model.packet.flags or frame.packet.frame != model.packet.frame:
            raise BoardError(f"frame {frame.packet.frame} is marked {frame.packet.flags!r}: it must be as the model's")
        outcome.compare(frame.packet.symbols, model.packet.symbols)
        outcome.compare(frame.samples, model.samples)
    return outcome


TESTS = {"pulse_shaper": pulse_shaper, "transmitter": transmitter, "receiver": receiver, "loopback": loopback}
"""By overlay."""
