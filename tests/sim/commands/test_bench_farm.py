"""`kronborg bench farm`: a real farm, a worker really killed, and what it says of frames that get lost."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from kronborg.postprocessing.reconciliation import Decoded
from kronborg_sim.commands.bench import farm as bench_farm

FEW = ("--workers", "2", "--frames", "10", "--snr", "0.54")


def test_a_killed_worker_loses_no_frame_and_throughput_stands_beside_this_process(bench) -> None:
    found = bench("farm", *FEW)
    assert found.code == 0, found.err
    figures = found.figures
    assert figures["frames_repeated"] >= 1
    assert figures["workers_killed"] >= 1
    assert figures["frames_lost_or_doubled"] == figures["frames_otherwise_than_in_process"] == 0
    assert figures["frames_failed"] == 0
    assert figures["most_frames_ahead"] <= 8
    ratio = figures["farm_symbols_per_second"] / figures["in_process_symbols_per_second"]
    assert figures["farm_to_in_process"] == pytest.approx(ratio)


def hard_decision(code: object, llr: np.ndarray, syndrome: object) -> Decoded:
    return Decoded((llr < 0).astype(np.uint8), True, 1)


class FakeFarm:
    """Decodes here. A worker dies in each run, it says."""

    side_by_side = 2

    def __init__(self, where: str) -> None:
        self.answers, self.repeated = Counter(), 0

    def __enter__(self) -> "FakeFarm":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def decode(self, *frame: object) -> Decoded:
        return hard_decision(*frame)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the decoder: frames of sixteen bits that come out as they are."""

    def make(code: object, snr: float, seed: int, count: int) -> bench_farm.Sent:
        bits = list(np.random.default_rng(seed).integers(0, 2, (8, 16), dtype=np.uint8))
        small = SimpleNamespace(length=16, name="small")
        return bench_farm.Sent(small, [bench_farm.Frame(small, 0.5 - word, word) for word in bits], bits, count)

    monkeypatch.setattr(bench_farm.Sent, "make", make)
    monkeypatch.setattr(bench_farm, "in_process", hard_decision)
    monkeypatch.setattr(bench_farm, "Farm", FakeFarm)


@pytest.mark.usefixtures("fake")
def test_a_kill_that_hit_no_frame_proves_nothing(bench) -> None:
    found = bench("farm", *FEW)
    assert found.code == 1
    assert "none had a frame" in found.err.splitlines()[-1]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("change", ["lost", "doubled", "swapped"])
def test_frames_that_are_lost_doubled_or_swapped_fail_the_bench(bench, monkeypatch, change: str) -> None:
    correct = bench_farm.correct

    def spoilt(frames, decode, side_by_side):
        outcomes = list(correct(frames, decode, side_by_side))
        if isinstance(getattr(decode, "__self__", None), FakeFarm) and len(outcomes) == 10:
            outcomes = {
                "lost": outcomes[:4] + outcomes[5:],
                "doubled": outcomes[:5] + outcomes[4:],
                "swapped": [outcomes[1], outcomes[0], *outcomes[2:]],
            }[change]
        return outcomes

    monkeypatch.setattr(bench_farm, "correct", spoilt)
    found = bench("farm", *FEW)
    assert found.code == 1
    assert "lost or doubled" in found.err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("--workers", "0"), ("--frames", "2"), ("--workers", "1.5")])
def test_bad_input_gets_one_line(bench, arguments: tuple[str, ...]) -> None:
    found = bench("farm", *arguments)
    assert found.code == 2
    assert found.err.splitlines()[-1].startswith("kronborg bench: ")
