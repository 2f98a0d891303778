"""Cores of `channel`: what lies between transmitter and receiver."""

from __future__ import annotations

import numpy as np

from kronborg.board.loopback import fibre_writes
from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator as FibreEmulatorCore
from kronborg_hdl.channel.fibre_emulator.model import FibreEmulator

from ..model import RtlModel
from .case import Case, Counts, Frames, Size
from .shared import random_complex_words


def fibre_emulator(size: Size, rng: np.random.Generator) -> Case:
    """The emulator with a beat, a walk and noise, at full scale: some samples saturate."""
    settings = FibreEmulator(
        size.lanes,
        amplitude=50_000,
        frequency=int(rng.integers(0, 2**32)),
        step=2**22,
        deviation=24_000,
        seed=int(rng.integers(0, 2**63)),
    )

    def configure(model: RtlModel) -> None:
        for register, values in fibre_writes(settings):
            model.write(register, **values)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        beats = -(-symbols * size.samples_per_symbol // size.lanes)
        return {"s_axis": [random_complex_words(rng, part * size.lanes) for part in (1, 2, beats)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        emulated = settings.process(np.concatenate(stimulus["s_axis"]))
        return {"m_axis": [emulated.words]}, {("saturations", "count"): emulated.saturated}

    return Case(
        FibreEmulatorCore(lanes=size.lanes),
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=size.samples_per_symbol,
    )
