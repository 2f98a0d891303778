"""The receiver's stream gives the words of its capture, wherever that is cut."""

import itertools

import numpy as np
import pytest

from kronborg.board.loopback import LoopbackPlan
from kronborg_hdl.receiver.closed_loop import Change
from kronborg_hdl.receiver.stream import ReceiverStream

PLAN = LoopbackPlan(
    payload=1024,
    vacuum=256,
    signal_snu=16.0,
    pilot_snr_db=25.0,
    beat_hz=2e6,
    shot_noise_words=100.0,
    preamble=509,
    detector_chips=64,
    span=17,
)
WHOLE, FRAMES = 16, 8


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    words = np.random.default_rng(5).integers(0, 2**32, FRAMES * 2 * PLAN.payload, np.uint32)
    sent = np.concatenate([frame.samples for frame in PLAN.transmitter.run(words, FRAMES)])
    return PLAN.fibre.process(sent).words[: len(sent) // WHOLE * WHOLE]


@pytest.mark.parametrize("pieces", [(10,), (1000, 1001), (300, 4000, 4100, 9000), tuple(range(0, 16_000, 517))])
def test_every_word_is_that_of_the_whole_stream(samples: np.ndarray, pieces: tuple[int, ...]) -> None:
    whole = PLAN.receiver.process(samples, (Change(0),))
    stream = ReceiverStream(PLAN.receiver)
    cuts = sorted({0, *(min(WHOLE * piece, len(samples)) for piece in pieces), len(samples)})
    came = [stream.process(samples[begin:end]) for begin, end in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate([piece.symbols for piece in came]), whole.symbols)
    packets = [packet for piece in came for packet in piece.packets]
    assert len(packets) == len(whole.packets) > 3
    assert any(packet.good for packet in packets)
    for packet, model in zip(packets, whole.packets, strict=True):
        np.testing.assert_array_equal(packet.words(), model.words())
    slots = [slot for piece in came for slot in piece.slots]
    assert slots == list(whole.slots)


def test_noise_is_not_turned(samples: np.ndarray) -> None:
    """The same words in the same places, but for the pilot's phase."""
    turned, unturned = (ReceiverStream(PLAN.receiver, turns=turns).process(samples).symbols for turns in (True, False))
    assert turned.shape == unturned.shape
    assert (turned != unturned).any()
