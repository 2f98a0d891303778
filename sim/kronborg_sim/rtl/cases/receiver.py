"""Cores of `receiver`."""

from __future__ import annotations

import numpy as np

from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_hdl.receiver.tap.model import pack as pack_picture

from ...benches.tapped_streams import TappedStreams
from ..model import RtlModel
from .case import Case, Counts, Frames, Size
from .shared import random_complex_words


def tap(size: Size, rng: np.random.Generator) -> Case:
    """The tap beside two streams, with a picture of the wide one as long as its FIFO."""
    length = 1000
    core = TappedStreams(words=size.lanes, depth=length)
    place = core.tap.places[1]

    def configure(model: RtlModel) -> None:
        model.write("place", number=1)
        model.write("length", beats=length)
        model.write("control", capture=1)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        count = max(length, -(-symbols // size.lanes)) * size.lanes
        wide = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (count, 2), np.int32)
        return {"s_axis": [random_complex_words(rng, count)], "s_axis_wide": [wide]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (narrow,), (wide,) = stimulus["s_axis"], stimulus["s_axis_wide"]
        picture = pack_picture(wide[: length * size.lanes], place, core.tap.beat_bytes)
        counts: Counts = {("lost", "beats"): 0, ("taken", "beats"): length, ("control", "capture"): 0}
        return {"m_axis": [narrow], "m_axis_wide_out": [wide], "m_axis_picture": [picture]}, counts

    return Case(core, configure, stimulus, response, rate_of="s_axis", samples_per_beat=size.lanes)
