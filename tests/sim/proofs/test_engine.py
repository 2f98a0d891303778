import pytest
from amaranth import Module, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kronborg_sim.proofs.engine import Outcome, ProofError, prove


class Counter(wiring.Component):
    """Counts clocks in which `step` is high, up to seven; never steps twice in a row if that is assumed."""

    step: In(1)
    count: Out(4)

    def __init__(self, *, below: int, reaches: int = 1, alternates: bool = False, claims: bool = True) -> None:
        self.below, self.reaches, self.alternates, self.claims = below, reaches, alternates, claims
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before = Signal()
        m.d.sync += before.eq(self.step)
        with m.If(self.step & (self.count != 7)):
            m.d.sync += self.count.eq(self.count + 1)
        if self.claims:
            m.d.comb += Assert(self.count < self.below, "it is small"), Cover(self.count == self.reaches, "it counts")
        if self.alternates:
            m.d.comb += Assume(~(self.step & before), "it steps every other clock at most")
        return m


def test_what_holds_in_every_run_is_proven() -> None:
    verdict = prove(Counter(below=8, reaches=7), 4)
    assert verdict.outcome is Outcome.PROVEN
    assert (verdict.claims, verdict.depth, verdict.reached) == (("it is small",), 4, {"it counts": 7})
    assert verdict.clauses is not None


@pytest.mark.parametrize("depth", [12, 3], ids=["by_search", "deeper_than_the_search"])
def test_what_fails_is_refuted_with_a_run_that_shows_it(depth: int) -> None:
    verdict = prove(Counter(below=5), depth)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.broken == ("it is small",)
    assert verdict.trace is not None
    assert verdict.trace.rows["count"][-1] == 5
    assert len(verdict.trace.rows["count"]) == 6
    assert "broken: it is small" in str(verdict)
    assert "count" in str(verdict.trace)


def test_an_assumption_lengthens_the_way() -> None:
    verdict = prove(Counter(below=3, alternates=True))
    assert verdict.trace is not None
    assert len(verdict.trace.rows["count"]) == 6  # instead of 4


def test_a_claim_about_what_never_happens_is_no_proof() -> None:
    verdict = prove(Counter(below=8, reaches=9))
    assert verdict.outcome is Outcome.VACUOUS
    assert "never reached: it counts" in str(verdict)


def test_what_is_cut_may_be_anything() -> None:
    assert prove(Counter(below=8), cut=["t:$add"]).outcome is Outcome.REFUTED


def test_nothing_claimed_is_nothing_proven() -> None:
    with pytest.raises(ProofError, match="claims nothing"):
        prove(Counter(below=8, claims=False))
