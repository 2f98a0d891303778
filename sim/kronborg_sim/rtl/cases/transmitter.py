"""The transmitter."""

from __future__ import annotations

import numpy as np

from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS
from kronborg_hdl.modulation.entropy.core import BLOCK_BITS
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.gaussian.tables import WORD_BITS
from kronborg_hdl.modulation.symbol_record.model import packet
from kronborg_hdl.transmitter.core import Transmitter as TransmitterCore

from ...benches.transmitter import TransmitterBench, random_settings
from ..model import RtlModel
from .case import Case, Counts, Frames, Size
from .shared import random_bits


def transmitter(size: Size, rng: np.random.Generator) -> Case:
    """The transmitter from a key of the host to samples and record. The key's last word ends the last frame."""
    frames, number = 8, int(rng.integers(0, 2**32))
    core = TransmitterCore(lanes=size.lanes, samples_per_symbol=size.samples_per_symbol, span=size.span)
    words_per_block = BLOCK_BITS // WORD_BITS
    settings = random_settings(core, rng, 0)
    key, epoch, blocks = np.zeros(KEY_WORDS, np.uint32), 0, 0

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        nonlocal settings, key, blocks
        payload = -(-symbols // (frames * words_per_block)) * words_per_block
        # With a vacuum behind it: the next frame is decided upon when the last symbol is already taken.
        settings = random_settings(core, rng, payload, vacuum=4 * core.pulse_shaper.symbols_per_clock)
        key = rng.integers(0, 2**32, KEY_WORDS, np.uint32)
        blocks = frames * settings.frame.payload // words_per_block
        # The stream is tested and thrown away.
        return {"s_axis": [random_bits(rng, 100)]}

    def configure(model: RtlModel) -> None:
        nonlocal epoch
        bench = TransmitterBench(core, model)
        bench.configure(settings)
        model.write(("frame_controller", "next_frame"), number=number)
        bench.begin_entropy(Source.HOST, blocks_per_key=blocks)
        epoch = bench.seed(key)
        bench.run(True)

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        words = Entropy(blocks_per_key=blocks).host(key, epoch, blocks)
        sent = list(settings.run(words, frames, number=number))
        n = core.pulse_shaper.symbols_per_clock
        packets = [packet(of.packet.frame, of.packet.symbols, of.packet.flags, symbols_per_clock=n) for of in sent]
        counts: Counts = {
            (("transmitter", "frames"), "count"): frames,
            (("transmitter", "gaps"), "count"): 0,
            (("symbol_record", "frames_good"), "count"): frames,
            (("symbol_record", "status"), "held"): 0,
            (("frame_controller", "starved_symbols"), "count"): 0,
        }
        return {"m_axis": [frame.samples for frame in sent], "m_axis_record": packets}, counts

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="m_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=size.samples_per_symbol,
    )
