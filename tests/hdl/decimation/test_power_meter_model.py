import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.power_meter.model import ALL_SECTIONS, Measurement, PowerMeter, Section


def random_symbols(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of full scale, the extremes often; and sections."""
    symbols = np.where(rng.random((count, 2)) < 0.3, -(2**15), rng.integers(-(2**15), 2**15, (count, 2)))
    return symbols.astype(np.int16), rng.integers(0, 4, count).astype(np.uint8)


def by_definition(meter: PowerMeter, symbols: list[list[int]], sections: list[int]) -> list[Measurement]:
    """In Python's integers, beat by beat; the last one is not complete."""
    done, kept = [], list[list[int]]()

    def measured() -> Measurement:
        columns = [[word[rail] for word in kept] for rail in (0, 1)]
        i, q = (sum(words) for words in columns)
        ii, qq = (sum(word * word for word in words) for words in columns)
        return Measurement(len(kept), (i, q), (ii, qq))

    for at in range(0, len(symbols), meter.symbols_per_clock):
        beat = slice(at, at + meter.symbols_per_clock)
        kept += [word for word, of in zip(symbols[beat], sections[beat], strict=True) if Section(of) in meter.sections]
        if len(kept) >= meter.gate:
            done.append(measured())
            kept = []
    return [*done, measured()]


SECTIONS = st.frozensets(st.sampled_from(list(Section)))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4]), st.integers(1, 50), SECTIONS, st.integers(0, 60))
def test_equals_its_definition_in_integers(
    seed: int, per_clock: int, gate: int, sections: frozenset[Section], beats: int
) -> None:
    symbols, places = random_symbols(np.random.default_rng(seed), beats * per_clock)
    meter = PowerMeter(gate, sections, per_clock)
    measurements, rest = meter.process(symbols, places)
    assert [*measurements, rest] == by_definition(meter, symbols.tolist(), places.tolist())


def test_pieces_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(1)
    symbols, places = random_symbols(rng, 3000)
    meter = PowerMeter(70, frozenset({Section.VACUUM, Section.PAYLOAD}), 2)
    whole, rest = meter.process(symbols, places)
    pieces, state, at = [], Measurement(), 0
    while at < len(symbols):
        more = 2 * int(rng.integers(0, 100))
        done, state = meter.process(symbols[at : at + more], places[at : at + more], state)
        pieces += done
        at += more
    assert pieces == whole
    assert state == rest


def test_variance_is_exact_where_doubles_are_not() -> None:
    n = 2**31
    # A mean of 30000 and a variance of one, over so many symbols that the squares do not fit a double.
    measurement = Measurement(n, (30000 * n, 0), ((30000**2 + 1) * n, n // 4))
    assert measurement.variance == (1.0, 0.25)
    with pytest.raises(ValueError, match="without symbols"):
        _ = Measurement().variance


def test_symbols_without_sections_are_measured_by_a_meter_of_all() -> None:
    symbols, _ = random_symbols(np.random.default_rng(2), 100)
    measurements, rest = PowerMeter(40, ALL_SECTIONS).process(symbols)
    assert [measurement.symbols for measurement in (*measurements, rest)] == [40, 40, 20]


@pytest.mark.parametrize("gate", [0, 2**31])
def test_refuses_a_gate_that_its_register_cannot_hold(gate: int) -> None:
    with pytest.raises(ValueError, match=r"must be 1 to 2\*\*31 - 1"):
        PowerMeter(gate)


@pytest.mark.parametrize(
    ("symbols", "sections", "message"),
    [
        (np.zeros((4, 2), np.int32), None, "int32"),
        (np.zeros((3, 2), np.int16), None, "no whole beats"),
        (np.zeros((4, 2), np.int16), np.zeros(3, np.uint8), "one a symbol"),
    ],
)
def test_refuses_what_its_stream_cannot_carry(symbols: np.ndarray, sections: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PowerMeter(10, symbols_per_clock=2).process(symbols, sections)
