"""What each core is run with on its RTL, and what its model says must come of it.

A new core is a function more in the file of its family, and a line here.
"""

from collections.abc import Callable

import numpy as np

from .case import Case, Size
from .channel import fibre_emulator
from .compensation import converter_input, mixer, phase_smoother, pilot_tracker, rotator, unit_phasor
from .decimation import half_band, matched_filter, power_meter, resampler, symbol_filter
from .frames import frame_controller, symbol_record
from .loopback import loopback
from .modulation import alphabet, entropy, gaussian, interpolating_shaper, predistortion, pulse_shaper, shift_and_pilots
from .receiver import receiver, tap
from .synchronisation import frame_synchroniser
from .transmitter import transmitter

__all__ = ["CASES", "Case", "Size"]

CASES: dict[str, Callable[[Size, np.random.Generator], Case]] = {
    "alphabet": alphabet,
    "converter_input": converter_input,
    "entropy": entropy,
    "fibre_emulator": fibre_emulator,
    "frame_controller": frame_controller,
    "frame_synchroniser": frame_synchroniser,
    "gaussian": gaussian,
    "half_band": half_band,
    "interpolating_shaper": interpolating_shaper,
    "loopback": loopback,
    "matched_filter": matched_filter,
    "mixer": mixer,
    "phase_smoother": phase_smoother,
    "pilot_tracker": pilot_tracker,
    "power_meter": power_meter,
    "predistortion": predistortion,
    "pulse_shaper": pulse_shaper,
    "receiver": receiver,
    "resampler": resampler,
    "rotator": rotator,
    "shift_and_pilots": shift_and_pilots,
    "symbol_filter": symbol_filter,
    "symbol_record": symbol_record,
    "tap": tap,
    "transmitter": transmitter,
    "unit_phasor": unit_phasor,
}
"""By the name of the core. Raise ValueError for a size that the core does not have."""
