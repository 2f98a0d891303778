from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation import Code, Decoder, native_available
from kronborg.postprocessing.reconciliation.base_graph import BaseGraph
from kronborg.postprocessing.reconciliation.byte_arithmetic import core_row, leaf_row, tables_for
from kronborg.postprocessing.reconciliation.codes import families
from kronborg.postprocessing.reconciliation.construct import construct
from kronborg.postprocessing.reconciliation.ensembles import Ensemble, Nodes
from kronborg.postprocessing.reconciliation.native import instructions_available

ONE_OF_EACH = [family.code(family.ensemble.fewest_leaves) for family in families()]
Frame = Callable[[Code, float, int], tuple[NDArray[np.uint8], NDArray[np.float32]]]
both_decoders = pytest.mark.parametrize("native", [True, False], ids=["native", "numpy"])
every_decoder = pytest.mark.parametrize(
    ("native", "arithmetic"),
    [(False, "floats"), (False, "bytes"), (True, "floats"), *([(True, "bytes")] if instructions_available() else [])],
    ids=lambda value: {True: "native", False: "numpy"}.get(value, value),
)


def parity_check_matrix(code: Code) -> NDArray[np.uint8]:
    """By the definition in BaseGraph, one entry after the other."""
    graph = code.graph
    matrix = np.zeros((code.checks, code.length), np.uint8)
    edge = 0
    for row, degree in enumerate(graph.row_degrees):
        for k in range(graph.lifting):
            check = row * graph.lifting + k
            for e in range(edge, edge + degree):
                matrix[check, graph.columns[e] * graph.lifting + (k + graph.shifts[e]) % graph.lifting] = 1
            if row >= graph.core_rows:
                matrix[check, code.core_length + check - code.core_checks] = 1
        edge += degree
    return matrix


def test_the_native_library_was_built() -> None:
    assert native_available(), "install a C++ compiler, then the package again: these tests compare both decoders"


@both_decoders
def test_the_syndrome_is_the_parity_check_matrix_times_the_bits(small_code: Code, native: bool) -> None:
    matrix = parity_check_matrix(small_code)
    rng = np.random.default_rng(1)
    decoder = Decoder(small_code, native)
    for _ in range(3):
        bits = rng.integers(0, 2, small_code.length, dtype=np.uint8)
        assert np.array_equal(decoder.syndrome(bits), matrix @ bits % 2)


@pytest.mark.parametrize("code", ONE_OF_EACH, ids=lambda code: code.name)
def test_native_and_numpy_give_the_same_syndrome_of_a_whole_block(code: Code) -> None:
    bits = np.random.default_rng(2).integers(0, 2, code.length, dtype=np.uint8)
    assert np.array_equal(Decoder(code, native=True).syndrome(bits), Decoder(code, native=False).syndrome(bits))


@every_decoder
def test_corrects_to_bobs_bits_at_a_good_snr(small_code: Code, frame: Frame, native: bool, arithmetic: str) -> None:
    decoder = Decoder(small_code, native, arithmetic)
    for seed in range(5):
        bits, llr = frame(small_code, 0.25, seed)
        assert np.count_nonzero((llr < 0) != bits) > small_code.length // 4, "the channel is as bad as that"
        decoded = decoder.decode(llr, decoder.syndrome(bits))
        assert decoded.converged
        assert np.array_equal(decoded.bits, bits)


@every_decoder
def test_does_not_converge_far_below_the_threshold_and_says_so(
    small_code: Code, frame: Frame, native: bool, arithmetic: str
) -> None:
    decoder = Decoder(small_code, native, arithmetic)
    bits, llr = frame(small_code, 0.1, 3)
    decoded = decoder.decode(llr, decoder.syndrome(bits), max_iterations=12)
    assert not decoded.converged
    assert decoded.iterations == 12
    assert not np.array_equal(decoded.bits, bits)


def test_native_and_numpy_agree_from_one_iteration_to_the_last(small_code: Code, frame: Frame) -> None:
    """Near the threshold, where rounding has most to say; some of these frames fail."""
    outcomes = []
    for seed in range(6):
        bits, llr = frame(small_code, 0.165, seed)
        decoders = [Decoder(small_code, native, "floats") for native in (True, False)]
        syndrome = decoders[0].syndrome(bits)
        for iterations in (1, 2, 5):
            a, b = (decoder.decode(llr, syndrome, iterations).bits for decoder in decoders)
            assert np.count_nonzero(a[: small_code.core_length] != b[: small_code.core_length]) <= 2
        a, b = (decoder.decode(llr, syndrome, 60) for decoder in decoders)
        assert a.converged == b.converged
        assert abs(a.iterations - b.iterations) <= 2
        assert np.array_equal(a.bits, b.bits) or not a.converged
        outcomes.append(a.converged)
    assert set(outcomes) == {True, False}


@every_decoder
def test_what_converged_has_the_syndrome_leaves_included(
    small_code: Code, frame: Frame, native: bool, arithmetic: str
) -> None:
    """A syndrome that is not that of Bob's bits: no leaf agrees with its LLR, and still the checks must hold."""
    decoder = Decoder(small_code, native, arithmetic)
    bits, llr = frame(small_code, 0.4, 4)
    syndrome = decoder.syndrome(bits)
    leaves = np.random.default_rng(5).choice(small_code.checks - small_code.core_checks, 60, replace=False)
    syndrome[small_code.core_checks + leaves] ^= 1
    decoded = decoder.decode(llr, syndrome)
    assert decoded.converged
    assert np.array_equal(decoder.syndrome(decoded.bits), syndrome)


@every_decoder
def test_certain_and_useless_inputs_stay_finite(small_code: Code, native: bool, arithmetic: str) -> None:
    decoder = Decoder(small_code, native, arithmetic)
    bits = np.random.default_rng(6).integers(0, 2, small_code.length, dtype=np.uint8)
    certain = ((1.0 - 2.0 * bits) * 1e6).astype(np.float32)
    assert np.array_equal(decoder.decode(certain, decoder.syndrome(bits)).bits, bits)
    erased = np.where(np.arange(small_code.length) % 8 == 0, 0, certain).astype(np.float32)
    assert np.array_equal(decoder.decode(erased, decoder.syndrome(bits)).bits, bits)
    nothing = np.zeros(small_code.length, np.float32)
    assert not decoder.decode(nothing, decoder.syndrome(bits), 3).converged


@pytest.mark.parametrize("code", [code for code in ONE_OF_EACH if code.threshold_snr < 9], ids=lambda code: code.name)
def test_the_stored_codes_work_at_their_thresholds(code: Code, frame: Frame) -> None:
    decoder = Decoder(code)
    bits, llr = frame(code, code.threshold_snr, 7)
    decoded = decoder.decode(llr, decoder.syndrome(bits))
    assert decoded.converged
    assert np.array_equal(decoded.bits, bits)


@pytest.mark.parametrize("instructions", instructions_available())
def test_bytes_are_the_same_in_numpy_and_with_all_instructions(
    small_code: Code, frame: Frame, instructions: str
) -> None:
    """Every bit of every core variable, converged or not; lengths that are no multiple of a vector; strong LLRs too."""
    ensemble = Ensemble((Nodes(20, 2), Nodes(20, 3)), (Nodes(8, 8), Nodes(4, 9)), 1010, 40, 40, 152)
    wide = Code("wide", construct(ensemble, 4), 1.0)
    assert wide.graph.row_degrees[-1] > 5, "rows of a degree that is not unrolled"
    for code, snr in ((small_code, 0.165), (small_code, 30.0), (wide, 1.0), (wide, 0.02)):
        for seed in range(3):
            bits, llr = frame(code, snr, seed)
            vectors, numpy = Decoder(code, True, "bytes", instructions), Decoder(code, False, "bytes")
            syndrome = numpy.syndrome(bits)
            for iterations in (1, 3, 30):
                a, b = (decoder.decode(llr, syndrome, iterations, 12) for decoder in (vectors, numpy))
                assert (a.converged, a.iterations) == (b.converged, b.iterations)
                assert np.array_equal(a.bits, b.bits)


def test_bytes_say_what_floats_say_within_their_steps(small_code: Code, frame: Frame) -> None:
    """The messages of one leaf check and one core check, against 2 atanh of the product of tanhs."""
    _, llr = frame(small_code, 0.16, 1)
    tables = tables_for(llr)
    rng = np.random.default_rng(2)
    for degree, kind in ((2, "leaf"), (3, "leaf"), (4, "core"), (13, "core")):
        words = rng.normal(0, 2.5 if kind == "core" else 0.8, (degree, 4000)) / tables.step
        extrinsic = np.rint(words).astype(np.int16)
        leaf_steps = rng.integers(1, 120, 4000)
        negative = rng.random(4000) < 0.5
        belief = np.tanh(extrinsic * tables.step / 2)
        product = np.where(negative, -1, 1) * (np.tanh(leaf_steps * tables.step / 2) if kind == "leaf" else 1)
        for edge in range(degree):
            exact = 2 * np.arctanh(product * np.delete(belief, edge, 0).prod(0))
            found = (
                leaf_row(extrinsic, tables.leaf_sum[leaf_steps], negative, tables)
                if kind == "leaf"
                else core_row(extrinsic, negative, tables)
            )[edge] * tables.step
            assert np.sqrt(np.mean((found - exact) ** 2)) < 0.02 * np.sqrt(np.mean(exact**2)) + 0.7 * tables.step


def test_floats_try_what_bytes_leave(small_code: Code, frame: Frame) -> None:
    """And not what they did not leave."""
    both = Decoder(small_code, False, "bytes, then floats")
    for seed in range(3):
        bits, llr = frame(small_code, 0.17, seed)
        syndrome = both.syndrome(bits)
        first, second = (Decoder(small_code, False, name).decode(llr, syndrome, 17) for name in ("bytes", "floats"))
        decoded = both.decode(llr, syndrome, 17)
        assert decoded.converged == (first.converged or second.converged)
        assert decoded.iterations == first.iterations + (0 if first.converged else second.iterations)


@every_decoder
def test_gives_up_when_nothing_gets_better(small_code: Code, frame: Frame, native: bool, arithmetic: str) -> None:
    bits, llr = frame(small_code, 0.08, 3)
    decoder = Decoder(small_code, native, arithmetic)
    decoded = decoder.decode(llr, decoder.syndrome(bits), patience=4)
    assert not decoded.converged
    assert 5 <= decoded.iterations < 60


@every_decoder
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_a_block_with_a_symbol_that_is_no_number(
    small_code: Code, native: bool, arithmetic: str, value: float
) -> None:
    llr = np.ones(small_code.length, np.float32)
    llr[17] = value
    with pytest.raises(InputError, match="must be finite: a symbol of this block") as caught:
        Decoder(small_code, native, arithmetic).decode(llr, np.zeros(small_code.checks, np.uint8))
    assert "\n" not in str(caught.value)


def test_refuses_arithmetic_and_instructions_that_are_not_there(small_code: Code) -> None:
    with pytest.raises(InputError, match="no arithmetic is called 'roman'"):
        Decoder(small_code, arithmetic="roman")
    with pytest.raises(InputError, match="no neon instructions"):
        Decoder(small_code, True, "bytes", "neon")


def test_threads_may_share_a_decoder(small_code: Code, frame: Frame) -> None:
    decoder = Decoder(small_code)
    frames = [frame(small_code, 0.22, seed) for seed in range(16)]

    def correct(pair: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> NDArray[np.uint8]:
        bits, llr = pair
        return decoder.decode(llr, decoder.syndrome(bits)).bits

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(correct, frames))
    assert all(np.array_equal(a, correct(pair)) for a, pair in zip(together, frames, strict=True))


def test_refuses_arrays_that_are_not_a_block(small_code: Code) -> None:
    decoder = Decoder(small_code)
    bits, llr = np.zeros(small_code.length, np.uint8), np.zeros(small_code.length, np.float32)
    syndrome = np.zeros(small_code.checks, np.uint8)
    with pytest.raises(InputError, match=f"{small_code.length} bits of type uint8"):
        decoder.syndrome(bits[:-1])
    with pytest.raises(InputError, match="log-likelihood ratios of type float32"):
        decoder.decode(llr.astype(np.float64), syndrome)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"{small_code.checks} syndrome bits"):
        decoder.decode(llr, bits)
    with pytest.raises(InputError, match="at least one iteration"):
        decoder.decode(llr, syndrome, 0)


def test_refuses_a_code_with_larger_checks_than_there_is_room_for() -> None:
    edges = np.arange(257, dtype=np.int32)
    graph = BaseGraph(128, 300, 1, np.array([257]), edges, np.zeros_like(edges))
    with pytest.raises(InputError, match="more than 256 core edges"):
        Decoder(Code("wide", graph, 1.0))


def test_bits_do_not_show_in_a_repr(small_code: Code) -> None:
    decoder = Decoder(small_code)
    decoded = decoder.decode(np.ones(small_code.length, np.float32), np.zeros(small_code.checks, np.uint8))
    assert "array" not in repr(decoded)
