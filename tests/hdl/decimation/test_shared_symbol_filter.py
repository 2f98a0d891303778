"""The symbol filter that shares its multipliers gives the words of the model, and so of the one that does not."""

from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, REACH, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.shared import SharedSymbolFilter
from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_sim.rtl.model import RtlModel

SYMBOLS = 400


@pytest.mark.parametrize("clocks", [2, 4, 32])
def test_every_word_is_the_model_s_with_and_without_pauses(clocks: int, tmp_path: Path) -> None:
    core = SharedSymbolFilter(clocks_per_symbol=clocks)
    rtl = RtlModel(Skin(core).to_verilog("symbol_filter"), "symbol_filter", core.registers, tmp_path)
    rng = np.random.default_rng(clocks)
    for idle, back_pressure in ((0.0, 0.0), (0.4, 0.0), (0.0, 0.7), (0.4, 0.7)):
        rtl.reset()
        rtl.pause("s_axis", idle)
        rtl.pause("m_axis", back_pressure)
        settings = SymbolFilter(rng.integers(-(2**17), 2**17, DISTINCT_TAPS).astype(np.int32), 20)
        for k, tap in enumerate(settings.taps.tolist()):
            rtl.write("tap", index=k, value=tap)
        rtl.write("shift", amount=settings.shift)
        rtl.write("control", apply=1)
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (2 * SYMBOLS, 2), np.int32)
        wanted = settings.process(samples)
        rtl.send("s_axis", samples)
        rtl.run(clocks * SYMBOLS * 6 + 200)
        came = rtl.received("m_axis")
        # The model may wait for the odd sample behind a symbol that the core needs only for the next.
        words = came.words().reshape(-1, 2)
        assert len(words) == SYMBOLS - REACH // 2
        count = min(len(words), len(wanted.words))
        assert len(words) - count <= 1
        np.testing.assert_array_equal(words[:count], wanted.words[:count])
        assert rtl.read("saturations", "count") > 0
        if not (idle or back_pressure):
            assert set(np.diff(came.clocks.astype(np.int64))) == {clocks}, "a symbol takes more clocks than it has"


def test_taps_are_zero_until_they_are_applied_and_change_as_one(tmp_path: Path) -> None:
    core = SharedSymbolFilter(clocks_per_symbol=4)
    rtl = RtlModel(Skin(core).to_verilog("symbol_filter"), "symbol_filter", core.registers, tmp_path)
    rng = np.random.default_rng(9)
    sent = np.zeros((0, 2), np.int32)

    def further() -> tuple[np.ndarray, slice]:
        """All that was sent with some more, and the symbols that the latter completed."""
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (2 * SYMBOLS, 2), np.int32)
        complete = max(0, len(sent) // 2 - REACH // 2)
        rtl.send("s_axis", samples)
        rtl.run(4 * SYMBOLS + 200)
        known = np.concatenate([sent, samples])
        return known, slice(complete, len(known) // 2 - REACH // 2)

    for _ in range(2):
        rtl.reset()
        rtl.received("m_axis")
        sent = sent[:0]
        taps = np.zeros(DISTINCT_TAPS, np.int32)
        for _ in range(4):
            written = rng.integers(-(2**17), 2**17, DISTINCT_TAPS).astype(np.int32)
            for k, tap in enumerate(written.tolist()):
                rtl.write("tap", index=k, value=tap)
            rtl.write("tap", index=DISTINCT_TAPS, value=1)
            sent, symbols = further()
            wanted = SymbolFilter(taps, 19).process(sent).words[symbols]
            words = rtl.received("m_axis").words().reshape(-1, 2)
            assert len(words) - len(wanted) in (0, 1)
            np.testing.assert_array_equal(words[: len(wanted)], wanted)
            assert rtl.read("status", "tap_refused") == 1
            rtl.write("control", apply=1)
            taps = written


def test_takes_as_many_multipliers_as_clocks_leave() -> None:
    for clocks, wanted in ((2, 2 * 17), (4, 2 * 9), (8, 2 * 5)):
        assert SharedSymbolFilter(clocks_per_symbol=clocks).multipliers == wanted
    for clocks in (1, 3, 64):
        with pytest.raises(ValueError, match=f"{clocks} clocks per symbol: must be one of 2, 4, 8, 16, 32"):
            SharedSymbolFilter(clocks_per_symbol=clocks)
