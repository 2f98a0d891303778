"""Cores of `synchronisation`: frames found in symbols."""

from __future__ import annotations

import numpy as np

from kronborg.board.receiver_writes import synchroniser_writes
from kronborg_hdl.synchronisation.frame_synchroniser.core import FrameSynchroniser as FrameSynchroniserCore
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser

from ...benches.received_symbols import command_words, link
from ..model import RtlModel
from .case import Case, Counts, Frames, Size


def frame_synchroniser(size: Size, rng: np.random.Generator) -> Case:
    """The frame synchroniser on frames in noise: one is missing, one is cut short, one has a number of its own."""
    core = FrameSynchroniserCore(symbols_per_clock=max(1, size.lanes // size.samples_per_symbol))
    n = core.sizes.symbols_per_clock
    sent = link(core.sizes, payload=4096)
    model = FrameSynchroniser(sent.settings)

    def configure(rtl: RtlModel) -> None:
        for register, values in synchroniser_writes(sent.settings):
            rtl.write(register, **values)
        while rtl.read("control", "apply"):
            pass

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        return {"s_axis": [sent.stream(rng, max(8, -(-symbols // sent.frame.symbols)))]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        done = model.process(stimulus["s_axis"][0])
        counts = done.state.counts
        return {
            "m_axis": [packet.words() for packet in done.packets],
            "m_axis_retime": [command_words(done.retimes)],
        }, {
            ("frames_good", "count"): counts.good,
            ("frames_marked", "count"): counts.marked,
            ("frames_missing", "count"): counts.missing,
        }

    return Case(core, configure, stimulus, response, rate_of="s_axis", samples_per_beat=n)
