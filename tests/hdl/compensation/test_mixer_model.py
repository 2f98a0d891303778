from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.compensation.mixer.model import HALVINGS, Mixer, MixerState, Retune
from kronborg_hdl.dsp.phasor_table import COSINE, SINE

WORD = st.integers(0, 2**32 - 1)


def saturated_16(word: int) -> int:
    return min(max(word, -(2**15)), 2**15 - 1)


def in_words(samples: np.ndarray, mixer: Mixer, retunes: list[Retune], beat: int = 0) -> tuple[list, list, int]:
    """The definition, in Python's integers: signal, pilots in order of the stream, and late commands."""
    hop, phases, signal, pilots, late = mixer.hop, [0, 0, 0], [], [], 0
    commands = list(retunes)
    sums = [[0, 0], [0, 0]]
    for n, sample in enumerate(samples.reshape(len(samples), samples.ndim).tolist()):
        number, within = divmod(n, hop)
        if within == 0 and number % mixer.hops_per_clock == 0 and commands and commands[0].at <= number:
            command = commands.pop(0)
            beat, late = command.beat, late + (number - command.at >= mixer.hops_per_clock)
        x, y = sample if len(sample) == 2 else (sample[0], 0)
        for oscillator, offset in enumerate(mixer.offsets):
            angle = phases[oscillator] >> 18
            c, s = int(COSINE[angle]), int(SINE[angle])
            i, q = x * c + y * s, y * c - x * s
            phases[oscillator] = (phases[oscillator] + beat + offset) % 2**32
            if oscillator == 0:
                signal.append([min(max((rail + 2**12) >> 13, -(2**17)), 2**17 - 1) for rail in (i, q)])
            else:
                for rail, word in enumerate((i, q)):
                    sums[oscillator - 1][rail] += saturated_16((word + 2**14) >> 15)
        if within == hop - 1:
            pilots.extend(sums)
            sums = [[0, 0], [0, 0]]
    return signal, pilots, late


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    words=st.tuples(WORD, WORD, WORD),
    halvings=st.sampled_from(HALVINGS),
    hops_per_clock=st.sampled_from([1, 2, 4]),
    clocks=st.integers(0, 12),
    rails=st.sampled_from([1, 2]),
    extreme=st.booleans(),
)
def test_equals_its_definition_in_integers(
    seed: int,
    words: tuple[int, int, int],
    halvings: int,
    hops_per_clock: int,
    clocks: int,
    rails: int,
    extreme: bool,
) -> None:
    rng = np.random.default_rng(seed)
    mixer = Mixer(words, halvings, hops_per_clock)
    shape = (clocks * hops_per_clock * mixer.hop, 2)[:rails]
    samples = rng.integers(-(2**15), 2**15, shape)
    if extreme:
        samples = rng.choice([-(2**15), 2**15 - 1], shape)
    at = np.sort(rng.integers(0, clocks * hops_per_clock + 3, int(rng.integers(0, 5))))
    retunes = [Retune(int(hop), int(rng.integers(0, 2**32))) for hop in at]
    mixed = mixer.process(samples.astype(np.int16), MixerState(beat=12345), retunes)
    signal, pilots, late = in_words(samples, mixer, retunes, beat=12345)
    assert mixed.signal.dtype == mixed.pilots.dtype == np.int32
    assert mixed.signal.tolist() == signal
    assert mixed.pilots.transpose(1, 0, 2).reshape(-1, 2).tolist() == pilots
    assert mixed.late == late


def test_pieces_are_the_whole() -> None:
    rng = np.random.default_rng(2)
    mixer = Mixer((2**32 - 5, 77777777, 3000000000), 2)
    samples = rng.integers(-(2**15), 2**15, (50_000 * 8, 2)).astype(np.int16)  # more than one chunk of the model's work
    retunes = [Retune(3, 1 << 28), Retune(40_000, 999), Retune(90_000, 1)]
    whole = mixer.process(samples, None, retunes)
    parts, state, given = [], MixerState(), [retunes[:2], retunes[2:], []]
    for commands, begin, end in zip(given, (0, 20, 33_333), (20, 33_333, 50_000), strict=True):
        parts.append(mixer.process(samples[8 * begin : 8 * end], state, commands))
        state = parts[-1].state
    np.testing.assert_array_equal(np.concatenate([part.signal for part in parts]), whole.signal)
    np.testing.assert_array_equal(np.concatenate([part.pilots for part in parts], axis=1), whole.pilots)
    assert sum(part.saturated for part in parts) == whole.saturated > 0
    assert state == whole.state
    assert state.pending == (retunes[2],)


def test_counts_every_word_that_saturates() -> None:
    # A phasor of 45 degrees turns the corner of the square to a length that no rail holds.
    mixer = Mixer((0, 0, 0), 0)
    state = MixerState(phases=(2**29, 2**29, 2**29))
    corner = np.full((2, 2), 2**15 - 1, np.int16)
    mixed = mixer.process(corner, state)
    assert mixed.signal[:, 0].tolist() == [2**17 - 1] * 2
    assert mixed.pilots[:, 0, 0].tolist() == [2 * (2**15 - 1)] * 2
    assert mixed.saturated == 2 * 3
    assert mixer.process(corner // 2, state).saturated == 0


def test_a_tone_at_beat_and_offset_stands_still_in_its_own_path() -> None:
    beat, offsets = round(0.07 * 2**32), (round(0.05 * 2**32), round(0.11 * 2**32), round(0.19 * 2**32))
    n = np.arange(8 * 4000)
    for path, offset in enumerate(offsets):
        tone = 10_000 * np.cos(2 * np.pi * n * (beat + offset) / 2**32 + 0.3)
        mixed = Mixer(offsets, 2).process(np.round(tone).astype(np.int16), MixerState(beat=beat))
        rails = (mixed.signal / 4, *(pilot / 8 for pilot in mixed.pilots))
        for other, words in enumerate(rails):
            mean = np.mean(words @ (1, 1j))
            wanted = 5000 * np.exp(0.3j) if other == path else 0
            assert abs(mean - wanted) < 3


def test_phases_are_continuous_over_a_retune() -> None:
    n = np.arange(16_000)
    step = round(0.1 * 2**32)
    change = np.where(n < 8000, n * 0.1, 800 + (n - 8000) * 0.13)
    samples = np.round(10_000 * np.exp(2j * np.pi * change)[:, np.newaxis].view(float)).astype(np.int16)
    mixed = Mixer((0, 0, 0), 2).process(samples, MixerState(beat=step), [Retune(1000, round(0.13 * 2**32))])
    signal = mixed.signal @ (1, 1j) / 4
    np.testing.assert_allclose(signal, 10_000, atol=6)


def test_a_command_whose_hop_has_passed_acts_at_once_and_is_late() -> None:
    samples = np.full(8 * 4, 1000, np.int16)
    mixer = Mixer((0, 0, 0), 2)
    late = mixer.process(samples, MixerState(hop=10), [Retune(9, 2**30)])
    on_time = mixer.process(samples, MixerState(hop=10), [Retune(10, 2**30)])
    np.testing.assert_array_equal(late.signal, on_time.signal)
    assert (late.late, on_time.late) == (1, 0)
    # Numbers wrap: hop 1 comes after hop 2**32 - 1.
    wrapped = mixer.process(samples, MixerState(hop=2**32 - 1), [Retune(1, 2**30)])
    assert wrapped.late == 0
    assert wrapped.state.hop == 3
    assert abs(wrapped.signal[16, 1]) < 10 < 3990 < -wrapped.signal[17, 1]


def test_rounding_adds_what_the_ledger_says() -> None:
    rng = np.random.default_rng(3)
    s, count = 100, 200_000
    samples = np.round(rng.normal(0, s, count)).astype(np.int16)
    mixer = Mixer((987654321, 123456789, 5555555), 2)
    mixed = mixer.process(samples)
    angle = ((np.arange(count, dtype=np.uint32) * np.uint32(mixer.offsets[0])) >> 18).astype(int)
    exact = 4 * samples * (COSINE[angle] - 1j * SINE[angle].astype(int)) / 32768
    error = mixed.signal @ (1, 1j) - exact
    noise_snu = np.var(error.real) / np.var(exact.real)
    assert noise_snu == pytest.approx(1 / (96 * s**2), rel=0.03)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(8, np.int32), "int32"),
        (np.zeros((8, 3), np.int16), r"shape \(8, 3\)"),
        (np.zeros(9, np.int16), "9 samples are no whole number of 1 hops of 8"),
    ],
)
def test_refuses_samples_that_its_stream_cannot_carry(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixer((0, 0, 0), 2).process(samples)


def test_refuses_settings_and_commands_that_its_words_cannot_hold() -> None:
    with pytest.raises(ValueError, match="4 half-band stages: must be one of 0, 1, 2, 3"):
        Mixer((0, 0, 0), 4)
    with pytest.raises(ValueError, match="3 hops per clock"):
        replace(Mixer((0, 0, 0), 2), hops_per_clock=3)
    with pytest.raises(ValueError, match="at of -1 does not fit 32 bits"):
        Retune(-1, 0)
    with pytest.raises(ValueError, match="beat of 4294967296"):
        Retune(0, 2**32)
