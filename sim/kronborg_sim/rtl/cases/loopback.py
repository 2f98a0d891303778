"""The loopback: a whole link in one device."""

from __future__ import annotations

import numpy as np

from kronborg.board.loopback import LoopbackPlan
from kronborg.errors import InputError
from kronborg_hdl.loopback.core import Loopback as LoopbackCore
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.core import BLOCK_BITS
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.gaussian.tables import WORD_BITS
from kronborg_hdl.modulation.symbol_record.model import packet

from ...benches.loopback import LoopbackBench
from ..model import RtlModel
from .case import Case, Counts, Frames, Size
from .shared import random_bits

PAYLOAD = 16_384
FRAMES = 6
"""At least: the receiver's clock is usually known in the third one, and now and then in the fifth."""
CLOCKS_PER_SYMBOL = 4
"""With as many, an output that is taken in three of ten clocks holds no record up for longer than its FIFO has room."""


def loopback(size: Size, rng: np.random.Generator) -> Case:
    """A link from a key of the host to the symbols of both ends, through a channel with loss, beat, walk and noise.

    Frames come without a gap; the key's last word ends the last of them. The rate counts samples of payload: the rest
    of a frame is preamble, header, vacuum and the last pulse's tail.

    The record is held up only where a symbol comes every fourth clock or more seldom. A frame that has to wait for
    its record has a gap and is marked, rightly; but which ones have to, the model does not know.

    Raises:
        InputError: by ``response``, where no frame is good: equal words would show little.
    """
    try:
        plan = LoopbackPlan(
            lanes=size.lanes,
            samples_per_symbol=size.samples_per_symbol,
            span=size.span,
            payload=PAYLOAD,
            seed=int(rng.integers(0, 2**63)),
        )
    except InputError as error:
        raise ValueError(str(error)) from error
    core = LoopbackCore(lanes=size.lanes, samples_per_symbol=size.samples_per_symbol, span=size.span)
    number, words_per_block = int(rng.integers(0, 2**32)), BLOCK_BITS // WORD_BITS
    key, epoch, frames = np.zeros(KEY_WORDS, np.uint32), 0, 0

    def blocks() -> int:
        return frames * PAYLOAD // words_per_block

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        nonlocal key, frames
        key = rng.integers(0, 2**32, KEY_WORDS, np.uint32)
        frames = max(FRAMES, -(-symbols // PAYLOAD))
        # The stream is tested and thrown away.
        return {"s_axis": [random_bits(rng, 100)]}

    def configure(model: RtlModel) -> None:
        nonlocal epoch
        bench = LoopbackBench(core, model)
        bench.configure(plan.settings)
        epoch = bench.start(key, number=number, blocks_per_key=blocks())

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        words = Entropy(blocks_per_key=blocks()).host(key, epoch, blocks())
        run = plan.settings.run(words, frames, number=number)
        n = plan.symbols_per_clock
        sent = [packet(of.number, of.sent.symbols, of.sent.flags, symbols_per_clock=n) for of in run.frames]
        came = run.receiver.packets
        if not any(of.good for of in came):
            raise InputError(f"loopback: of {frames} frames none is good with this seed: take another, or more symbols")
        counts: Counts = {
            (("transmitter_transmitter", "frames"), "count"): frames,
            (("transmitter_transmitter", "gaps"), "count"): 0,
            (("fibre_emulator", "saturations"), "count"): run.emulator_saturated,
            (("receiver_frame_synchroniser", "frames_good"), "count"): run.receiver.counts.good,
            (("receiver_frame_synchroniser", "frames_marked"), "count"): run.receiver.counts.marked,
            (("receiver_mixer", "late_commands"), "count"): 0,
            (("receiver_resampler", "late_commands"), "count"): 0,
        }
        return {"m_axis_record": sent, "m_axis": [of.words() for of in came]}, counts

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="m_axis_record",
        samples_per_beat=size.samples_per_symbol * plan.symbols_per_clock,
        samples_per_symbol=size.samples_per_symbol,
        steady=() if size.samples_per_symbol >= CLOCKS_PER_SYMBOL * size.lanes else ("m_axis_record",),
    )
