"""What a frame looks like: rates, frequencies, preamble and payload, as data.

A recording carries its format in the SigMF fields ``cvqkd:...``; the simulated link uses the same object. A frame is
silence, then a preamble, then the payload. Frequencies are relative to the beat of the two lasers: where Alice's laser
would be seen if she sent it bare. A positive one is a higher frequency in the recording; nothing is conjugated.

There are two kinds of preamble, and they differ in more than their shape:

* shaped: its chips are symbols. They pass the payload's own pulse shaper and shift, and the pilots are on all the time.
* not shaped: what other software sends. Measured on its recordings: the chips lie around the beat frequency itself,
  without shift or filter, each held for a whole number of the transmitter's samples; the pilots are off until the
  last chip has gone. The payload follows at once: symbol k's pulse is centred on sample ``k S + S // 2`` after the last
  chip, S being the transmitter's samples a symbol. The payload itself is found there
  to a few hundredths of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

MOST_SYMBOLS = 1 << 28

SPAN_SYMBOLS = 32
"""Span of the root-raised cosine at both ends: with a roll-off of 0.2 its truncation adds 0.01 mSNU at V_A = 4."""


@dataclass(frozen=True)
class Preamble:
    """A Zadoff-Chu sequence before the payload.

    Attributes:
        root: its root, coprime to the length.
        length: chips.
        rate_hz: chips per second.
        shaped: the chips are symbols like the payload's, and the payload is the next symbol; else they are sent as they
            are, at the beat frequency, before the pilots and the payload (see above).
        amplitude: of a shaped chip, relative to the rms of the payload's symbols.
    """

    root: int
    length: int
    rate_hz: float
    shaped: bool = False
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        if not 3 <= self.length <= 1 << 20:
            raise InputError(f"a preamble of {self.length} chips is outside 3 to {1 << 20}")
        if not 0 < self.root < self.length or math.gcd(self.root, self.length) != 1:
            raise InputError(f"root {self.root} of the preamble is not coprime to its length {self.length}")
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise InputError(f"a preamble of {self.rate_hz:g} chips per second cannot be")
        if not (math.isfinite(self.amplitude) and self.amplitude > 0):
            raise InputError(f"a preamble of amplitude {self.amplitude:g} cannot be")


@dataclass(frozen=True)
class FrameFormat:
    """One frame.

    Attributes:
        symbol_rate_hz: payload symbols per second.
        symbols: payload symbols in a frame.
        roll_off: of the root-raised cosine.
        frequency_shift_hz: centre of the signal.
        pilot_frequencies_hz: one or more tones.
        preamble: what marks the frame's beginning.
        transmitter_sample_rate_hz: rate of Alice's converters.
        leading_zeros_at_transmitter: samples of silence there before the preamble.
    """

    symbol_rate_hz: float
    symbols: int
    roll_off: float
    frequency_shift_hz: float
    pilot_frequencies_hz: tuple[float, ...]
    preamble: Preamble
    transmitter_sample_rate_hz: float
    leading_zeros_at_transmitter: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.symbol_rate_hz) and self.symbol_rate_hz > 0):
            raise InputError(f"a symbol rate of {self.symbol_rate_hz:g} Hz cannot be")
        if not 1 <= self.symbols <= MOST_SYMBOLS:
            raise InputError(f"{self.symbols} symbols a frame are outside 1 to {MOST_SYMBOLS}")
        if not 0 < self.roll_off <= 1:
            raise InputError(f"a roll-off of {self.roll_off:g} is outside (0, 1]")
        if not math.isfinite(self.frequency_shift_hz):
            raise InputError("the frequency shift is not a number")
        if not self.pilot_frequencies_hz or not all(map(math.isfinite, self.pilot_frequencies_hz)):
            raise InputError("the frame has no pilot: its frequencies must be a list of one number or more")
        if len(set(self.pilot_frequencies_hz)) != len(self.pilot_frequencies_hz):
            raise InputError("two pilots have the same frequency")
        edge = self.symbol_rate_hz * (1 + self.roll_off) / 2
        if any(abs(pilot - self.frequency_shift_hz) <= edge for pilot in self.pilot_frequencies_hz):
            raise InputError("a pilot lies within the signal's band; the metadata contradicts itself")
        if not (math.isfinite(self.transmitter_sample_rate_hz) and self.transmitter_sample_rate_hz > 0):
            raise InputError(f"a transmitter sample rate of {self.transmitter_sample_rate_hz:g} Hz cannot be")
        if self.leading_zeros_at_transmitter < 0:
            raise InputError(f"{self.leading_zeros_at_transmitter} leading zeros cannot be")
        if self.preamble.shaped:
            if self.preamble.rate_hz != self.symbol_rate_hz:
                raise InputError("a shaped preamble has the payload's symbol rate; the metadata contradicts itself")
        else:
            _whole(self.transmitter_sample_rate_hz / self.preamble.rate_hz, "samples of the transmitter for each chip")
            _whole(self.transmitter_sample_rate_hz / self.symbol_rate_hz, "samples of the transmitter for each symbol")

    @classmethod
    def from_metadata(cls, fields: Mapping[str, Any]) -> FrameFormat:
        """The format that a recording's global SigMF fields describe.

        Raises:
            InputError: a field is missing, has the wrong type or contradicts another.
        """
        preamble = _field(fields, "cvqkd:preamble", dict)
        if _field(preamble, "type", str) != "zadoff-chu":
            raise InputError(f"preamble {preamble['type'][:40]!r} is unknown: only zadoff-chu is")
        pilots = _field(fields, "cvqkd:pilot_frequencies_hz", list)
        return cls(
            symbol_rate_hz=_field(fields, "cvqkd:symbol_rate_hz", float),
            symbols=_field(fields, "cvqkd:symbols", int),
            roll_off=_field(fields, "cvqkd:roll_off", float),
            frequency_shift_hz=_field(fields, "cvqkd:frequency_shift_hz", float),
            pilot_frequencies_hz=tuple(_field({"pilot frequency": each}, "pilot frequency", float) for each in pilots),
            preamble=Preamble(
                root=_field(preamble, "root", int),
                length=_field(preamble, "length", int),
                rate_hz=_field(preamble, "rate_hz", float),
                shaped=_field(preamble, "shaped", bool) if "shaped" in preamble else False,
                amplitude=_field(preamble, "amplitude", float) if "amplitude" in preamble else 1.0,
            ),
            transmitter_sample_rate_hz=_field(fields, "cvqkd:transmitter_sample_rate_hz", float),
            leading_zeros_at_transmitter=_field(fields, "cvqkd:leading_zeros_at_transmitter", int),
        )

    def to_metadata(self) -> dict[str, Any]:
        """The global SigMF fields that :meth:`from_metadata` reads back."""
        return {
            "cvqkd:symbol_rate_hz": self.symbol_rate_hz,
            "cvqkd:symbols": self.symbols,
            "cvqkd:roll_off": self.roll_off,
            "cvqkd:frequency_shift_hz": self.frequency_shift_hz,
            "cvqkd:pilot_frequencies_hz": list(self.pilot_frequencies_hz),
            "cvqkd:preamble": {
                "type": "zadoff-chu",
                "root": self.preamble.root,
                "length": self.preamble.length,
                "rate_hz": self.preamble.rate_hz,
                "shaped": self.preamble.shaped,
                "amplitude": self.preamble.amplitude,
            },
            "cvqkd:transmitter_sample_rate_hz": self.transmitter_sample_rate_hz,
            "cvqkd:leading_zeros_at_transmitter": self.leading_zeros_at_transmitter,
        }


def _field(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    """A field of a JSON object, of the type asked for (a whole number serves as a float, a bool never as a number)."""
    if name not in fields:
        raise InputError(f"the metadata has no field {name!r}")
    value = fields[name]
    if isinstance(value, bool) and kind is not bool:
        raise InputError(f"field {name!r} of the metadata is not of type {kind.__name__}")
    if isinstance(value, int) and abs(value) > 1e18:
        raise InputError(f"field {name!r} of the metadata is out of range")
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise InputError(f"field {name!r} of the metadata is not of type {kind.__name__}")
    return value


def _whole(ratio: float, what: str) -> None:
    """Refuse a ratio that is not a whole number, 1 or more."""
    if not 1 <= ratio < 1e9 or abs(ratio - round(ratio)) > 1e-9 * ratio:
        raise InputError(f"{ratio:g} {what} are not a whole number; the metadata contradicts itself")
