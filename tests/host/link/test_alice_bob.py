"""Alice and Bob over a Gaussian channel, without the light: one block of the highest-rate code."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kronborg.errors import NoKeyError, ProtocolError
from kronborg.link import messages
from kronborg.link.alice import Alice
from kronborg.link.bob import Bob
from kronborg.link.positions import complex_symbols, estimation_mask
from kronborg.network.key_store import KeyStore
from kronborg.postprocessing.budget import Epsilons
from kronborg.postprocessing.calibration import ShotNoise
from kronborg.postprocessing.reconciliation import Code, Decoded, available_codes, bob_quadratures
from kronborg.postprocessing.reconciliation.farm import Decode, in_process

CODE = available_codes()[0]
SYMBOLS = 330_000
FRAMES = 4
DEVIATION = 4096
EFFICIENCY = 1.0
SHOT_NOISE = ShotNoise(unit=1e6, electronic_noise_snu=0.01, relative_std=1e-5)


@dataclass
class Ends:
    alice: Alice
    bob: Bob
    said: list[messages.Message]


def link(
    folder: Path,
    *,
    seed: int = 3,
    snr: float = CODE.threshold_snr * 1.05,
    excess_noise: float = 0.0,
    frames: int = FRAMES,
    alter: Callable[[messages.Message], messages.Message] = lambda message: message,
    decode: Decode = in_process,
) -> Ends:
    """Both ends of a channel of transmittance 1 with this SNR; `alter` may change what Bob says."""
    rng = np.random.default_rng(seed)
    noise = 1 + SHOT_NOISE.electronic_noise_snu + EFFICIENCY / 2 * excess_noise
    variance = snr * noise / (EFFICIENCY / 2)
    scale = float(np.sqrt(variance)) / DEVIATION
    sent, received = {}, {}
    for frame in range(frames):
        words = np.rint(rng.standard_normal((SYMBOLS, 2)) * DEVIATION).astype(np.int16)
        added = rng.standard_normal((SYMBOLS, 2)) @ np.array([1, 1j]) * np.sqrt(noise)
        sent[frame] = words
        received[frame] = np.sqrt(EFFICIENCY / 2) * complex_symbols(words) * scale + added
    alice = Alice(sent, scale, folder / "alice.sqlite", decode=decode)
    said: list[messages.Message] = []

    def ask(message: messages.Message) -> messages.Message:
        answer = alice.handle(alter(message))
        said.extend((message, answer))
        return answer

    bob = Bob(
        ask,
        received,
        modulation_variance_snu=variance,
        snu_per_word=scale,
        shot_noise=SHOT_NOISE,
        detector_efficiency=EFFICIENCY,
        epsilons=Epsilons.within(1e-9),
        store=folder / "bob.sqlite",
        randomness=rng.bytes,
    )
    return Ends(alice, bob, said)


def distil(ends: Ends) -> int:
    ends.bob.announce()
    ends.bob.estimate(0.2)
    ends.bob.choose_code()
    return ends.bob.distil(ends.bob.reconcile()).key_bits


def keys(folder: Path) -> tuple[list[bytes], list[bytes]]:
    with KeyStore(folder / "alice.sqlite") as hers, KeyStore(folder / "bob.sqlite") as his:
        return [block.key for block in hers.blocks("link")], [block.key for block in his.blocks("link")]


def test_both_ends_store_the_same_key_of_the_length_agreed(tmp_path: Path) -> None:
    ends = link(tmp_path)
    bits = distil(ends)
    hers, his = keys(tmp_path)
    assert hers == his
    assert len(hers) == 1
    assert len(hers[0]) == -(-bits // 8)
    assert bits > 1000
    assert 0.48 < np.unpackbits(np.frombuffer(hers[0], np.uint8)).mean() < 0.52


def test_a_second_run_adds_a_second_block(tmp_path: Path) -> None:
    distil(link(tmp_path))
    distil(link(tmp_path, seed=4))
    hers, his = keys(tmp_path)
    assert hers == his
    assert len(set(hers)) == 2


def test_a_block_that_differs_is_caught_by_verification_and_counted(tmp_path: Path) -> None:
    def flip(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.Verify) and message.index == 0:
            ends.alice._decoded[0][17] ^= 1
        return message

    ends = link(tmp_path, alter=flip)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    count = ends.bob.choose_code()
    reconciled = ends.bob.reconcile()
    assert reconciled.unequal == 1
    assert reconciled.failed == 0
    assert reconciled.verified == tuple(range(1, count))


def test_a_block_that_does_not_decode_is_dropped_and_counted(tmp_path: Path) -> None:
    def spoil(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.CodeBlock) and message.index == 0:
            return replace(message, syndrome=bytes(len(message.syndrome)))
        return message

    ends = link(tmp_path, alter=spoil)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    count = ends.bob.choose_code()
    reconciled = ends.bob.reconcile()
    assert reconciled.failed == 1
    assert reconciled.verified == tuple(range(1, count))


def test_a_key_that_bob_never_stored_is_void_when_the_next_run_begins(tmp_path: Path) -> None:
    ends = link(tmp_path)
    with KeyStore(tmp_path / "bob.sqlite") as store:
        store.database._connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON block BEGIN SELECT RAISE(ABORT, 'disk'); END"
        )
    with pytest.raises(ValueError, match="not stored"):
        distil(ends)
    assert keys(tmp_path) == ([], [])
    with KeyStore(tmp_path / "bob.sqlite") as store:
        store.database._connection.execute("DROP TRIGGER full")
    distil(link(tmp_path, seed=5))
    hers, his = keys(tmp_path)
    assert hers == his
    assert len(hers) == 1


def test_a_key_that_bob_did_store_becomes_ready_at_alice_when_the_next_run_begins(tmp_path: Path) -> None:
    def die(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.Stored):
            raise KeyboardInterrupt
        return message

    with pytest.raises(KeyboardInterrupt):
        distil(link(tmp_path, alter=die))
    hers, his = keys(tmp_path)
    assert (len(hers), len(his)) == (0, 1)
    link(tmp_path, seed=6).bob.announce()
    hers, his = keys(tmp_path)
    assert hers == his
    assert len(hers) == 1


def test_an_eavesdropper_that_adds_noise_leaves_no_key_and_the_stores_as_they_were(tmp_path: Path) -> None:
    with pytest.raises(NoKeyError, match="no key: at worst an eavesdropper knows") as caught:
        distil(link(tmp_path, excess_noise=0.5))
    assert "\n" not in str(caught.value)
    assert keys(tmp_path) == ([], [])


def test_an_snr_that_no_code_covers_is_no_key(tmp_path: Path) -> None:
    ends = link(tmp_path, snr=available_codes()[-1].threshold_snr * 0.8)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    with pytest.raises(NoKeyError, match="raise the modulation variance"):
        ends.bob.choose_code()


def test_too_few_symbols_for_a_block_is_no_key(tmp_path: Path) -> None:
    ends = link(tmp_path, frames=1)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    with pytest.raises(NoKeyError, match="send more symbols"):
        ends.bob.choose_code()


def test_no_frame_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(NoKeyError, match="not one frame was found"):
        link(tmp_path, frames=0).bob.announce()


def test_what_both_say_holds_neither_raw_key_nor_key(tmp_path: Path) -> None:
    ends = link(tmp_path)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    ends.bob.choose_code()
    reconciled = ends.bob.reconcile()
    raw = np.unpackbits(np.concatenate(list(ends.bob._raw.values())))
    ends.bob.distil(reconciled)
    _, (key,) = keys(tmp_path)
    public = b"".join(
        value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes()
        for message in ends.said
        for value in vars(message).values()
        if isinstance(value, bytes | np.ndarray)
    )
    assert key[:16] not in public
    assert np.packbits(raw)[:16].tobytes() not in public
    assert raw[:64].tobytes() not in public
    assert ends.bob._raw == {}


OUT_OF_TURN: dict[str, tuple[list[messages.Message], messages.Message]] = {
    "a frame that Alice did not send": ([], messages.FramesReceived((0, 99), 0)),
    "a frame twice": ([], messages.FramesReceived((0, 0), 0)),
    "no frame": ([], messages.FramesReceived((), 0)),
    "estimation before frames": ([], messages.EstimationRequest(b"x", 10)),
    "all symbols": ([messages.FramesReceived((0,), 0)], messages.EstimationRequest(b"x", SYMBOLS)),
    "estimation twice": (
        [messages.FramesReceived((0,), 0), messages.EstimationRequest(b"x", 10)],
        messages.EstimationRequest(b"y", 10),
    ),
    "a code before estimation": ([messages.FramesReceived((0,), 0)], messages.CodeChoice(CODE.name, 1.0, 1.0)),
    "a block before a code": ([], messages.CodeBlock(0, np.zeros((CODE.length // 8, 8), np.float32), b"")),
    "a tag for no block": ([], messages.Verify(0, bytes(16), bytes(16))),
    "a key from no block": ([], messages.Amplify(1, (), b"", 10, 0, 1e-10)),
    "a key from a block that is not there": ([], messages.Amplify(1, (0,), b"", 10, 0, 1e-10)),
    "a key that Alice does not have": ([], messages.Stored(7)),
    "bits of no block": ([], messages.Reveal(0, b"")),
    "an answer": ([], messages.Done()),
}


@pytest.mark.parametrize(("before", "message"), OUT_OF_TURN.values(), ids=OUT_OF_TURN.keys())
def test_a_message_out_of_turn_is_refused_in_one_line(
    tmp_path: Path, before: list[messages.Message], message: messages.Message
) -> None:
    alice = link(tmp_path, frames=1).alice
    for each in before:
        alice.handle(each)
    with pytest.raises(ProtocolError) as caught:
        alice.handle(message)
    assert "\n" not in str(caught.value)


def test_a_block_serves_once(tmp_path: Path) -> None:
    """Neither tried again with another syndrome, nor hashed to a second key."""
    ends = link(tmp_path)
    distil(ends)
    block = next(message for message in ends.said if isinstance(message, messages.CodeBlock))
    with pytest.raises(ProtocolError, match="out of turn"):
        ends.alice.handle(block)
    amplify = next(message for message in ends.said if isinstance(message, messages.Amplify))
    with pytest.raises(ProtocolError, match="not all verified"):
        ends.alice.handle(replace(amplify, sequence=2))


def test_frames_serve_once_and_a_new_announcement_forgets_the_blocks_of_the_last_one(tmp_path: Path) -> None:
    """Symbols that were disclosed would be hashed: another seed chooses others to disclose."""
    ends = link(tmp_path)
    ends.bob.announce()
    ends.bob.announce()  # nothing was disclosed yet
    ends.bob.estimate(0.2)
    ends.bob.choose_code()
    verified = ends.bob.reconcile().verified
    with pytest.raises(ProtocolError, match="not all of them Alice's, and new"):
        ends.bob.announce()
    with pytest.raises(ProtocolError, match="not all verified"):
        ends.alice.handle(messages.Amplify(1, verified, bytes(10**6), 1000, 0, 1e-10))


def test_bob_adds_noise_of_one_word_before_his_symbols_meet_the_bits(tmp_path: Path) -> None:
    """Without it his message would give most of the bits away (see test_dithering)."""
    ends = link(tmp_path)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    ends.bob.choose_code()
    ends.bob.reconcile()
    word = 1 / np.sqrt(SHOT_NOISE.unit)
    kept = ends.bob._received.part(0, CODE.length // 2)
    block = next(m for m in ends.said if isinstance(m, messages.CodeBlock) and m.index == 0)
    bits = np.zeros(CODE.length, np.uint8)
    bits[: CODE.core_length] = np.unpackbits(ends.bob._raw[0], count=CODE.core_length)
    core = CODE.core_length // 8
    noise = bob_quadratures(block.message[:core], bits[: 8 * core]) - kept.view(np.float64)[: 8 * core]
    assert np.std(noise) == pytest.approx(word, rel=0.01)
    assert len(np.unique(noise)) > 0.9 * len(noise)


@pytest.mark.parametrize(("unit", "accuracy"), [(1e6, 3e-6), (400.0, 3e-4)])
def test_the_channel_is_estimated_from_every_symbol_lost_blocks_too(
    tmp_path: Path, unit: float, accuracy: float
) -> None:
    """Two of the blocks are spoilt: the estimate is that of the symbols themselves all the same.

    So it is with few words a shot-noise unit, where the noise that Bob adds is one part in four hundred.
    """

    def spoil(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.CodeBlock) and message.index == 0:
            return replace(message, syndrome=bytes(len(message.syndrome)))
        if isinstance(message, messages.Verify) and message.index == 1:
            ends.alice._decoded[1][17] ^= 1
        return message

    ends = link(tmp_path, alter=spoil, excess_noise=0.05, frames=6)
    ends.bob._shot_noise = replace(SHOT_NOISE, unit=unit)
    ends.bob.announce()
    rough = ends.bob.estimate(0.1)
    received = np.concatenate([ends.bob._symbols[frame] for frame in ends.bob.frames])
    sent = np.concatenate([ends.alice._symbols[frame] for frame in ends.bob.frames])
    x = complex_symbols(sent) * ends.alice._snu_per_word
    blocks = ends.bob.choose_code()
    reconciled = ends.bob.reconcile()
    assert (reconciled.failed, reconciled.unequal) == (1, 1)
    found = ends.bob.conclude()
    request = next(m for m in ends.said if isinstance(m, messages.EstimationRequest))
    mask = estimation_mask(request.seed, len(received), request.count)
    used = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)[: blocks * CODE.length // 2]])
    assert found.symbols == len(used)
    gain = float(np.vdot(x[used], received[used]).real / np.vdot(x[used], x[used]).real)
    noise = float(np.mean(np.abs(received[used] - gain * x[used]) ** 2) / 2)
    assert found.gain == pytest.approx(gain, rel=accuracy)
    assert found.noise_variance_snu == pytest.approx(noise, rel=accuracy)
    assert found.excess_noise_std_snu < rough.excess_noise_std_snu / 2.5


def test_sums_that_are_not_over_bobs_symbols_end_the_block(tmp_path: Path) -> None:
    ends = link(tmp_path)
    ends.bob.announce()
    ends.bob.estimate(0.2)
    ends.bob.choose_code()
    ends.bob.reconcile()
    ends.alice._moments[0] = replace(ends.alice._moments[0], yy=1.01 * ends.alice._moments[0].yy)
    with pytest.raises(ProtocolError, match="sums"):
        ends.bob.conclude()


def test_a_block_can_be_revealed_only_once_it_is_lost(tmp_path: Path) -> None:
    ends = link(tmp_path)
    distil(ends)
    bits = bytes(-(-CODE.length // 8))
    for index in (0, 99):
        with pytest.raises(ProtocolError, match="not lost"):
            ends.alice.handle(messages.Reveal(index, bits))


def test_blocks_are_decoded_where_alice_is_told_to(tmp_path: Path) -> None:
    decoded = []

    def elsewhere(code: Code, llr: NDArray[np.float32], syndrome: NDArray[np.uint8]) -> Decoded:
        decoded.append(code.name)
        return in_process(code, llr, syndrome)

    distil(link(tmp_path, decode=elsewhere))
    assert decoded
    assert set(decoded) == {CODE.name}


def test_each_end_remembers_the_block_that_it_stored(tmp_path: Path) -> None:
    ends = link(tmp_path)
    assert ends.alice.stored is ends.bob.stored is None
    distil(ends)
    hers, his = keys(tmp_path)
    assert ends.alice.stored is not None
    assert ends.bob.stored is not None
    assert ([ends.alice.stored.key], [ends.bob.stored.key]) == (hers, his)
    assert repr(hers[0])[:8] not in repr(ends.alice.stored)
