"""Numbers as people read them: 100 MBd, 10.2 mSNU, 1.53 Mbit."""

from __future__ import annotations

import math

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def si(value: float, unit: str, digits: int = 3) -> str:
    """`value` to `digits` significant digits, with an SI prefix before `unit`: si(1.5e6, "bit") is "1.50 Mbit"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    # Round first: 999.9 to three digits is 1.00 k, not 1000.
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = min(max(3 * math.floor(math.log10(abs(rounded)) / 3), -12), 12)
    scaled = rounded / 10**exponent
    decimals = max(digits - 1 - math.floor(math.log10(abs(scaled))), 0)
    return f"{scaled:.{decimals}f} {_PREFIXES[exponent]}{unit}"


def megabaud(symbol_rate_hz: float) -> str:
    """A symbol rate in full: 31.25 MBd."""
    return f"{symbol_rate_hz / 1e6:.10g} MBd"


def msnu(value_snu: float) -> str:
    """A noise variance in milli shot-noise units, to 0.1 mSNU."""
    return f"{value_snu * 1e3:.1f} mSNU"


def percent(fraction: float) -> str:
    """A fraction as a percentage, to 0.1 %."""
    return f"{fraction * 100:.1f} %"


def grouped(count: int) -> str:
    """A whole number with its thousands apart: 12 345 678."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
