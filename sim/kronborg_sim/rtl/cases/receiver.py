"""The receiver, and cores of `receiver`."""

from __future__ import annotations

import numpy as np

from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_hdl.receiver.closed_loop import Change
from kronborg_hdl.receiver.core import Receiver as ReceiverCore
from kronborg_hdl.receiver.tap.model import pack as pack_picture

from ...benches.receiver import ReceiverBench, Scene
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


def receiver(size: Size, rng: np.random.Generator) -> Case:
    """The receiver on a link with frames of 16 384 symbols."""
    scene = Scene(16_384, samples_per_symbol=size.samples_per_symbol)
    return receiver_of(scene, ReceiverCore(lanes=size.lanes, halvings=scene.halvings))


def receiver_of(scene: Scene, core: ReceiverCore) -> Case:
    """A receiver on a link: search, lock, clocks apart, frames in noise. The first frames are marked."""
    lanes = core.mixer.lanes
    settings = scene.receiver(lanes, detector_chips=core.frame_synchroniser.sizes.detector_chips)

    def configure(model: RtlModel) -> None:
        ReceiverBench(core, model).configure(settings)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        sent, _ = scene.sent(max(3, -(-symbols // scene.period)), rng, number=int(rng.integers(0, 2**32)))
        return {"s_axis": [scene.detected(np.concatenate(sent), rng)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        # Settings are applied just before the first sample: that marks the frame that comes first.
        run = settings.process(stimulus["s_axis"][0], (Change(0),))
        return {"m_axis": [packet.words() for packet in run.packets]}, {
            (("frame_synchroniser", "frames_good"), "count"): run.counts.good,
            (("frame_synchroniser", "frames_marked"), "count"): run.counts.marked,
            (("mixer", "late_commands"), "count"): 0,
            (("resampler", "late_commands"), "count"): 0,
            (("pilot_tracker", "losses"), "count"): run.tracker.losses,
        }

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=lanes,
        samples_per_symbol=scene.samples_per_symbol,
    )
