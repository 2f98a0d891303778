from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.axi.stream import endless_words
from kronborg_hdl.compensation.phase_smoother.model import PHASOR
from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.receiver.tap.core import Tap
from kronborg_hdl.receiver.tap.model import Place, pack, packet_beat_bytes, unpack
from kronborg_sim.benches.runner import run_bench
from kronborg_sim.benches.tapped_streams import TappedStreams

TESTS_IN_THE_BENCH = 9


def test_tap_equals_what_passed_on_the_bench(tmp_path: Path) -> None:
    words, depth = 2, 16
    outcome = run_bench(
        Skin(TappedStreams(words=words, depth=depth)).to_verilog("tap"),
        "tap",
        "kronborg_sim.benches.tap",
        tmp_path,
        {"words": words, "depth": depth},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_knows_what_its_streams_are_in_memory() -> None:
    tap = Tap(places={"samples": endless_words(8, SAMPLE), "hops": endless_words(2, PHASOR)})
    assert tap.places == (Place("samples", 8, 16, True), Place("hops", 2, 32, True))
    assert tap.beat_bytes == 32


@pytest.mark.parametrize("place", [Place("a", 4, 16, True), Place("b", 2, 32, True), Place("c", 8, 16, False)])
def test_a_picture_is_read_as_it_was_packed(place: Place) -> None:
    rng = np.random.default_rng(1)
    shape = (5 * place.words, 2) if place.complex_words else (5 * place.words,)
    words = rng.integers(-1000, 1000, shape).astype(place.dtype)
    beat_bytes = packet_beat_bytes([place, Place("wider", 4, 32, True)])
    picture = pack(words, place, beat_bytes)
    assert picture.shape == (5, 32)
    assert not picture[:, place.beat_bytes :].any()
    np.testing.assert_array_equal(unpack(picture.ravel(), place, beat_bytes), words)


def test_refuses_a_picture_that_is_cut_short() -> None:
    with pytest.raises(ValueError, match="whole beats of 16 bytes, not 17 uint8"):
        unpack(np.zeros(17, np.uint8), Place("a", 4, 16, True), 16)


def test_refuses_places_and_depths_that_there_cannot_be() -> None:
    payload = endless_words(1, SAMPLE)
    with pytest.raises(ValueError, match="0 streams"):
        Tap(places={})
    with pytest.raises(ValueError, match="trigger: a place cannot have"):
        Tap(places={"trigger": payload})
    with pytest.raises(ValueError, match="a FIFO of 1 beats"):
        Tap(places={"a": payload}, depth=1)
