"""Alice and Bob with slices: identical keys, what is charged, and when slices are chosen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kronborg.board import Scenario
from kronborg.errors import InputError, NoKeyError, ProtocolError
from kronborg.link import messages, schemes
from kronborg.link.alice import Alice
from kronborg.link.bob import Bob
from kronborg.link.planning import choose_modulation, expected_link, modulation_for, phase_variance
from kronborg.link.schemes import EightDimensions, Slices, choose_scheme, expected_bits, scheme_named
from kronborg.network.key_store import KeyStore
from kronborg.postprocessing.budget import Epsilons, sliced_key_budget
from kronborg.postprocessing.raw_entropy import PairEntropy
from kronborg.postprocessing.reconciliation import choose_code
from kronborg.postprocessing.reconciliation.slices import DISCLOSED, Slicer, entropy, letters_for
from kronborg_sim.devices.drawn_light import DrawnLight

SCENARIO = Scenario(distance_km=0.0, excess_noise_snu=0.001, detector_efficiency=1.0, electronic_noise_snu=0.01)
EPSILONS = Epsilons.within(1e-9)
BLOCK = 1_280_000
"""Symbols of a block of slices."""


class Link:
    """Both ends at this SNR, one block of slices and what is disclosed besides; `alter` may change what Bob says."""

    def __init__(
        self, folder: Path, snr: float, alter: Callable[[messages.Message], messages.Message] = lambda message: message
    ) -> None:
        light = DrawnLight(SCENARIO, modulation_for(SCENARIO, snr), 5, frame_symbols=BLOCK + 30_000)
        self.folder, self.said = folder, list[messages.Message]()
        self.alice = Alice(light.emit(0, 1), light.snu_per_word, folder / "alice.sqlite")
        self.true = expected_link(SCENARIO, light.modulation_variance_snu)

        def ask(message: messages.Message) -> messages.Message:
            answer = self.alice.handle(alter(message))
            self.said += [message, answer]
            return answer

        self.bob = Bob(
            ask,
            light.receive(0, 1),
            modulation_variance_snu=light.modulation_variance_snu,
            snu_per_word=light.snu_per_word,
            shot_noise=light.shot_noise,
            detector_efficiency=light.detector_efficiency,
            epsilons=EPSILONS,
            store=folder / "bob.sqlite",
            randomness=np.random.default_rng(8).bytes,
        )
        self.bob.announce()
        self.bob.estimate(0.02)
        assert self.bob.choose_code() == 1

    def keys(self) -> list[bytes]:
        found = []
        for end in ("alice", "bob"):
            with KeyStore(self.folder / f"{end}.sqlite") as store:
                found.append(b"".join(block.key for block in store.blocks("link")))
        return found


@pytest.mark.parametrize("snr", [1.0, 3.0])
def test_both_ends_distil_the_same_key_and_every_disclosed_bit_has_a_line(tmp_path: Path, snr: float) -> None:
    link = Link(tmp_path, snr)
    budget = link.bob.distil(link.bob.reconcile())
    hers, his = link.keys()
    assert hers == his
    assert len(his) == -(-budget.key_bits // 8)
    lines = dict(budget.lines)
    block = next(message for message in link.said if isinstance(message, messages.SliceBlock))
    assert lines["low bits of the slices"] == -8 * len(block.low_bits)
    assert 0 <= 8 * len(block.syndromes) + lines["error-correction syndromes"] < 8
    assert budget.disclosed_bits == -sum(
        lines[label]
        for label in (
            "low bits of the slices",
            "error-correction syndromes",
            "verification tags",
            "Alice's answers",
            "Alice's sums for the estimation",
        )
    )
    assert ("entropy of Bob's integers below its estimate", EPSILONS.total / 7) in [
        (label, pytest.approx(epsilon)) for label, epsilon in budget.epsilons
    ]
    assert budget.epsilon <= EPSILONS.total
    # What was counted is the entropy of a Gaussian's integers less a little; and the key is no longer than the formula
    # grants for the channel as it is.
    scheme = link.bob._scheme
    variance = link.true.noise_variance_snu * (1 + link.true.snr)
    true = PairEntropy(BLOCK, 2 * entropy(variance / scheme.noise_variance_snu - 1))
    assert true.bits - 0.05 < lines["entropy of Bob's integers, counted"] / BLOCK < true.bits + 0.005
    granted = sliced_key_budget(
        blocks=1,
        blocks_tried=1,
        block_symbols=BLOCK,
        low_bits=scheme.slicer.low_bits,
        syndrome_bits=scheme.slicer.syndrome_bits,
        hashed_bits=scheme.hashed_bits,
        letters=scheme.slicer.letters,
        entropy=true,
        snr=link.bob.snr,
        worst_case=link.true,
        epsilons=Epsilons.within(EPSILONS.total, entropy=True),
    )
    assert 0.3 * granted.key_bits < budget.key_bits <= granted.key_bits


def test_a_lost_block_is_revealed_and_the_channel_estimated_from_it(tmp_path: Path) -> None:
    def spoil(message: messages.Message) -> messages.Message:
        if isinstance(message, messages.SliceBlock):
            return replace(message, syndromes=bytes(len(message.syndromes)))
        return message

    link = Link(tmp_path, 3.0, spoil)
    reconciled = link.bob.reconcile()
    assert (reconciled.verified, reconciled.failed, reconciled.unequal) == ((), 1, 0)
    found = link.bob.conclude()
    assert found.symbols == BLOCK + 26_200
    assert found.noise_variance_snu == pytest.approx(link.true.noise_variance_snu, rel=4e-3)
    assert found.gain == pytest.approx(math.sqrt(link.true.gain_squared), rel=2e-3)
    with pytest.raises(NoKeyError, match="not one block was corrected"):
        link.bob.distil(reconciled)
    assert link.keys() == [b"", b""]


def test_messages_of_another_shape_end_the_block(tmp_path: Path) -> None:
    scheme = Slices(16, 1.0, 1.0)
    good = messages.SliceBlock(0, bytes(BLOCK), bytes(-(-scheme.slicer.syndrome_bits // 8)))
    for bad in (
        replace(good, low_bits=bytes(BLOCK - 1)),
        replace(good, syndromes=good.syndromes[1:]),
        messages.CodeBlock(0, np.zeros((scheme.length // 8, 8), np.float32), b""),
    ):
        with pytest.raises(ProtocolError, match="is not one of slices/16"):
            scheme.decode(np.zeros(scheme.length), bad)
    with pytest.raises(ProtocolError, match="revealed 3 bytes"):
        scheme.revealed(good, bytes(3))
    code = EightDimensions(choose_code(0.2), 1.0, 1.0)
    with pytest.raises(ProtocolError, match=f"is not one of code {code.name}"):
        code.decode(np.zeros(code.length), good)


def test_what_is_revealed_is_the_word() -> None:
    for letters in (16, 128):
        scheme = Slices(letters, 1.0, 1.3)
        y = np.random.default_rng(3).normal(0, 9.0, scheme.length)
        encoded = scheme.encode(0, y, b"")
        assert np.array_equal(scheme.revealed(encoded.block, scheme.reveal(encoded.word)), encoded.word)
        middles = scheme.quadratures(encoded.block, encoded.word)
        assert encoded.squares == pytest.approx(float(np.sum(middles**2)))
        assert "array" not in repr(encoded)


def test_names_of_schemes_come_back_and_others_are_refused() -> None:
    for scheme in (Slices(32, 0.5, 1.2), EightDimensions(choose_code(0.1), 0.5, 1.2)):
        assert scheme_named(scheme.name, 0.5, 1.2).name == scheme.name
    for name in ("slices/17", "slices/8", "slices/256", "slices/4096", "slices", "slices/", "slices/-16", "slices/٣٢"):
        with pytest.raises(InputError):
            scheme_named(name, 0.5, 1.2)
    with pytest.raises(InputError, match="noise variance"):
        scheme_named("slices/16", 0.5, 0.0)


def choice(snr: float, symbols: int = 10_000_000, known: float = 0.1) -> schemes.Scheme:
    return choose_scheme(snr, 0.7, 1.1, symbols=symbols, known=known, epsilons=EPSILONS, pairs=400_000)


@pytest.mark.parametrize("symbols", [2_000_000, 10_000_000, 1_000_000_000])
def test_at_every_snr_the_scheme_that_leaves_more_is_chosen_without_a_gap(symbols: int) -> None:
    kinds = []
    for snr in np.geomspace(0.02, 3, 60):
        chosen = choice(float(snr), symbols)
        others = [EightDimensions(choose_code(snr), 0.7, 1.1), Slices(letters_for(snr), 0.7, 1.1)]
        most = max(expected_bits(other, snr, symbols, 0.1, EPSILONS) for other in others)
        assert expected_bits(chosen, snr, symbols, 0.1, EPSILONS) == most
        kinds.append(type(chosen))
    assert [kind for kind, _ in itertools.groupby(kinds)] == [EightDimensions, Slices]


def test_few_symbols_move_the_boundary_up_for_slices_pay_more_for_them() -> None:
    def boundary(symbols: int) -> float:
        return next(snr for snr in np.geomspace(0.3, 3, 300) if isinstance(choice(float(snr), symbols), Slices))

    assert boundary(1_300_000_000) < boundary(13_000_000) < 0.8
    assert 0.4 < boundary(1_300_000_000) < 0.55


def test_where_no_block_of_slices_is_full_the_eight_dimensions_serve() -> None:
    assert isinstance(choice(2.0, BLOCK - 1), EightDimensions)
    assert isinstance(choice(2.0, BLOCK), Slices)
    with pytest.raises(NoKeyError, match="send more symbols"):
        choice(2.0, 100_000)
    for snr in (math.nan, math.inf):
        with pytest.raises(NoKeyError, match="the SNR came out as"):
            choice(snr)


def test_bob_slices_for_a_little_more_noise_than_he_estimated() -> None:
    sliced, mapped = choice(2.0), choice(0.2)
    assert 1.1 < sliced.noise_variance_snu < 1.1 * 1.01
    assert mapped.noise_variance_snu == 1.1


def test_modulation_is_for_slices_where_they_promise_more_and_weaker_where_the_phase_is_not_still() -> None:
    def snr(symbols: int, distance_km: float, phase: float = 0.0) -> float:
        scenario = Scenario(distance_km=distance_km)
        variance = choose_modulation(scenario, symbols, 0.02, EPSILONS, phase).modulation_variance_snu
        return expected_link(scenario, variance).snr

    assert snr(600_000, 10) < 0.7, "not one block of slices would be full"
    assert snr(10_000_000, 10) > 3
    assert snr(10_000_000, 25) < 0.5
    still, moving = (snr(10_000_000, 10, phase_variance(linewidth, 125e6, 20)) for linewidth in (2e3, 200e3))
    assert moving < still < snr(10_000_000, 10)
    assert phase_variance(2e3, 125e6, 20) == pytest.approx(3.5e-4, rel=0.02)


def test_slices_beyond_the_outermost_letter_are_taken_to_it() -> None:
    slicer = Slicer(letters=16)
    y = np.zeros(slicer.length)
    y[:4] = 1e4, -1e4, 12.1, -12.1
    integers, _ = slicer.bob(y, 1.0)
    assert integers[:4].tolist() == [127, -128, 127, -128]
    secret = slicer.secret_bits(integers)
    assert len(secret) == slicer.hashed_bits
    assert letters_for(1.0) == 16
    assert letters_for(3.0) == 32
    assert letters_for(math.inf) == letters_for(1e30) == 128
    for letters in (8, 17, 256):
        with pytest.raises(InputError, match="power of two from 16 to 128"):
            Slicer(letters=letters)


def test_hashed_bits_tell_words_apart_that_share_a_message() -> None:
    """Low bits and syndromes given, two words are equal where their hashed bits are."""
    slicer = Slicer(letters=32)
    rng = np.random.default_rng(4)
    integers, message = slicer.bob(rng.normal(0, 2, slicer.length), 1.0)
    secret = slicer.secret_bits(integers)
    for bit in range(DISCLOSED + 1, DISCLOSED + 5):
        other = integers.copy()
        other[77] ^= 1 << bit
        assert np.count_nonzero(slicer.secret_bits(other) != secret) == 1
    core = 128 * 640
    other = integers.copy()
    other[core - 1] ^= 1 << DISCLOSED
    assert np.count_nonzero(slicer.secret_bits(other) != secret) == 1
    # A leaf bit follows from the syndrome.
    other = integers.copy()
    other[core + 5] ^= 1 << DISCLOSED
    _, changed = slicer.bob(slicer.middles(other, 1.0), 1.0)
    assert np.array_equal(slicer.secret_bits(other), secret)
    assert not np.array_equal(changed.syndromes[0], message.syndromes[0])
