"""Symbols as a receiver's filter gives them: frames of the transmitter, sampled by another clock, in noise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.decimation.resampler.model import Retime
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu
from kronborg_hdl.modulation.frame_controller.model import FrameLimits, FrameSettings
from kronborg_hdl.synchronisation.frame_synchroniser.correlation import false_alarm_threshold, signs
from kronborg_hdl.synchronisation.frame_synchroniser.model import (
    Counts,
    FrameSynchroniser,
    Settings,
    State,
)
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes
from kronborg_hdl.synchronisation.frame_synchroniser.timing import (
    CORDIC_GAIN,
    Gains,
    TimingSettings,
    raised_cosine_slope,
    slope_of,
)

ROLL_OFF = 0.2
REACH = 16
RMS = 300.0
"""Of a received payload symbol, words: its complex amplitude."""


def frame_settings(
    payload: int,
    *,
    preamble: int = 2039,
    repetition: int = 8,
    guard: int = 64,
    vacuum: int = 0,
    ratio: float = 4.0,
    calibration: int = 0,
) -> FrameSettings:
    """A frame whose chips are `ratio` times the payload's rms of 2000 words; one symbol a clock.

    Calibration is a constant symbol of that rms.
    """
    chips = zadoff_chu(17, preamble) * ratio * 2000
    words = np.rint(np.stack([chips.real, chips.imag], 1)).astype(np.int16)
    return FrameSettings(
        FrameLimits(1), guard, words, repetition, (int(ratio * 2000), 0), payload, vacuum, calibration, (2000, 0)
    )


def settings_for(
    frame: FrameSettings,
    sizes: Sizes,
    *,
    track: tuple[float, float] = (0.5, 1 / 8),
    ratio: float = 4.0,
    margin: int = 0,
) -> Settings:
    """The synchroniser's registers for such frames, one after the other, four samples a symbol before the resampler."""
    timing = {"samples_per_symbol": 4, "period": frame.symbols, "until": frame.symbols}
    amplitude = CORDIC_GAIN * RMS * ratio * sizes.preamble * 4 / np.pi
    return Settings(
        sizes,
        signs(frame.preamble),
        false_alarm_threshold(sizes.detector_chips, frame.symbols, 1e-9),
        frame.header_repetition,
        0,
        frame.payload,
        frame.symbols,
        64,
        TimingSettings(
            slope_of(raised_cosine_slope(ROLL_OFF)),
            round(amplitude * 0.4),
            1 << 11,
            2 << 32,
            Gains.of(1, 1, **timing),
            Gains.of(*track, **timing),
            32,
        ),
        frame.vacuum,
        frame.calibration,
        margin,
    )


def gaussian(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    """Payload symbols of an rms of 2000 words."""
    return np.rint(rng.normal(0, 2000 / np.sqrt(2), (count, 2))).astype(np.int16)


def pulse(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """The raised cosine, at a time in symbols."""
    return np.sinc(time) * np.cos(np.pi * ROLL_OFF * time) / (1 - (2 * ROLL_OFF * time) ** 2 + 1e-12)


@dataclass(eq=False)
class Channel:
    """From words sent to words received.

    Attributes:
        snr: of the payload: its power over the noise's, in a symbol.
        phase: static, radians.
        rng: of the noise.
    """

    snr: float
    phase: float = 0.7
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def sample(self, sent: NDArray[np.int16], at: NDArray[np.float64]) -> NDArray[np.int16]:
        """The signal at these times, in symbols that were sent."""
        padded = np.pad((sent[:, 0] + 1j * sent[:, 1]).astype(complex), REACH + 1)
        whole = np.floor(at).astype(np.int64)
        part = at - whole
        signal = np.zeros(len(at), complex)
        for k in range(-REACH, REACH + 1):
            place = np.clip(whole + k + REACH + 1, 0, len(padded) - 1)
            signal += padded[place] * pulse(part - k)
        noise = self.rng.normal(0, RMS / np.sqrt(2 * self.snr), (len(at), 2))
        rails = signal * RMS / 2000 * np.exp(1j * self.phase)
        return np.clip(np.rint(np.stack([rails.real, rails.imag], 1) + noise), -32768, 32767).astype(np.int16)


def loop(
    synchroniser: FrameSynchroniser, frame: FrameSettings, channel: Channel, frames: int, *, ppm: float, start: float
) -> tuple[list[Packet], list[float], Counts]:
    """Let the synchroniser command an ideal resampler, half a frame at a time.

    Args:
        synchroniser: with its settings.
        frame: that the transmitter sends, one after the other, without end.
        channel: between the two.
        frames: how many of them are received.
        ppm: by how much the receiver's clock is slow: the places of its samples lie further apart.
        start: place of the first sample, symbols.

    Returns:
        Packets; by how many symbols a payload symbol of each was at worst sampled too early or too late; counts.
    """
    clock, chunk = 1 + ppm * 1e-6, frame.symbols // 2
    place, step, count = start, 1.0, 0
    state: State | None = None
    pending: list[Retime] = []
    packets: list[Packet] = []
    places: list[NDArray[np.float64]] = []
    for _ in range(2 * frames):
        parts, missing = [], chunk
        while missing:
            room = pending[0].at // 2 - count if pending else missing
            part = place + np.arange(min(missing, room)) * step * clock
            place += len(part) * step * clock
            count += len(part)
            missing -= len(part)
            parts.append(part)
            if pending and room == len(part):
                command = pending.pop(0)
                place += command.jump_samples / 4 * clock
                step = command.step / (2 << 32)
        at = np.concatenate(parts)
        first = max(0, int(at[0]) // frame.symbols - 1)
        rng = [np.random.default_rng(number) for number in range(first, int(at[-1]) // frame.symbols + 2)]
        sent = [frame.frame(first + k, gaussian(rng[k], frame.payload))[0] for k in range(len(rng))]
        done = synchroniser.process(channel.sample(np.concatenate(sent), at - first * frame.symbols), state)
        state = done.state
        pending += done.retimes
        packets += done.packets
        places.append(at)
    where = np.concatenate(places)
    errors = []
    for packet in packets:
        own = where[packet.place :][: frame.payload]
        due = packet.frame * frame.symbols + frame.head + np.arange(frame.payload)
        errors.append(float(np.abs(own - due).max()))
    assert state is not None
    return packets, errors, state.counts


def command_words(retimes: Iterable[Retime]) -> NDArray[np.uint32]:
    """Commands as streams carry them: place, jump, and the step's two halves; uint32, shape (n, 4)."""
    words = [(retime.at, retime.jump % 2**32, retime.step % 2**32, retime.step >> 32) for retime in retimes]
    return np.array(words, np.uint32).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class Link:
    """Frames and the synchroniser's settings for them.

    Attributes:
        frame: what the transmitter sends.
        settings: of the receiver.
    """

    frame: FrameSettings
    settings: Settings

    def stream(self, rng: np.random.Generator, frames: int, *, snr: float = 0.9) -> NDArray[np.int16]:
        """So many frames in noise, sampled early, and then noise; whole beats of eight.

        The second one is missing, the third comes with another number, the fifth lacks most of its payload, the seventh
        most of what is behind it.
        """
        first, frame = int(rng.integers(0, 2**32)), self.frame
        sent = [frame.frame((first + k) % 2**32, gaussian(rng, frame.payload))[0] for k in range(frames)]
        sent[1] = np.zeros_like(sent[1])
        sent[2] = frame.frame(first ^ 0x5555, gaussian(rng, frame.payload))[0]
        # Of the payload so much comes that the next preamble's end is looked for when it comes; and an odd number of
        # symbols in all, so that the next frame begins elsewhere in a beat.
        cut = frame.head + 240 * self.settings.sizes.symbols_per_clock
        sent[4] = np.delete(sent[4], slice(cut, frame.symbols - 101 - cut % 2), 0)
        if frames > 6:
            behind = frame.head + frame.payload + 20 * self.settings.sizes.symbols_per_clock
            sent[6] = np.delete(sent[6], slice(behind, frame.symbols - 33 - behind % 2), 0)
        idle = self.settings.sizes.preamble + 100 * self.settings.sizes.symbols_per_clock
        words = np.concatenate([np.zeros((101, 2), np.int16), *sent, np.zeros((idle, 2), np.int16)])
        words = words[: len(words) // 8 * 8]
        return Channel(snr, rng=rng).sample(words, np.arange(float(len(words))) + 0.02)


def link(sizes: Sizes, *, payload: int, ratio: float = 4.0) -> Link:
    """For a core of these sizes."""
    frame = frame_settings(payload, preamble=sizes.preamble, vacuum=200, ratio=ratio)
    return Link(frame, settings_for(frame, sizes, ratio=ratio))
