from pathlib import Path

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from kronborg_hdl.axi.bank import register_port
from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.axi.skin import Skin
from kronborg_sim.benches.runner import run_bench
from kronborg_sim.benches.skin_core import SkinCore

TESTS_IN_THE_BENCH = 11


def test_skin_fits_a_core_with_pages_and_streams_of_every_kind(tmp_path: Path) -> None:
    outcome = run_bench(Skin(SkinCore()).to_verilog("skin"), "skin", "kronborg_sim.benches.skin", tmp_path, {})
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


class Misfit(wiring.Component):
    registers = RegisterMap("misfit", ())

    def __init__(self, member: wiring.Member) -> None:
        super().__init__({"odd": member, "port": In(register_port(self.registers))})

    def elaborate(self, platform: object) -> Module:
        return Module()


@pytest.mark.parametrize(
    "member", [Out(wiring.Signature({"a": Out(1)})), Out(1).array(2), In(stream.Signature(8)).array(2)]
)
def test_a_member_that_is_neither_stream_nor_signal_is_refused(member: wiring.Member) -> None:
    with pytest.raises(TypeError, match=r"Misfit\.odd is neither a stream nor a signal"):
        Skin(Misfit(member))


def test_a_stream_that_is_not_whole_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="a stream of 12 bits: AXI4-Stream carries whole bytes"):
        Skin(Misfit(In(stream.Signature(12))))
