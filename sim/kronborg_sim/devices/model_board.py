"""A board whose gateware is the integer models and whose optics are simulated."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kronborg.board import Emission, FramePlan, Scenario

from ..optics.detector import RfHeterodyne
from ..optics.fibre import delay
from ..optics.lasers import LaserPair
from ..optics.modulator import IQModulator

FIBRE_GROUP_INDEX = 1.468
SPEED_OF_LIGHT_KM_PER_S = 299792.458
FRAME, VACUUM, DARK, WORLD = range(4)


class ModelBoard:
    """Alice's transmitter, a fibre and Bob's converter, each frame from its own seed.

    Args:
        plan: what Alice plays.
        scenario: the world between and around the boards.
        seed: everything random follows from it.
    """

    simulated = True

    def __init__(self, plan: FramePlan, scenario: Scenario, seed: int) -> None:
        self.plan = plan
        self.scenario = scenario
        self._seed = seed
        self._modulator = IQModulator()
        self._detector = RfHeterodyne(electronic_noise_snu=scenario.electronic_noise_snu)
        world = np.random.default_rng([seed, WORLD])
        spread = scenario.beat_spread_hz * world.uniform(-1, 1)
        self._lasers = LaserPair(
            scenario.beat_frequency_hz + spread, scenario.beat_drift_hz_per_s, scenario.linewidth_hz
        )
        # The receiver is triggered when the light should arrive; what is left is a fraction of a symbol and a few more.
        arrival = scenario.distance_km * FIBRE_GROUP_INDEX / SPEED_OF_LIGHT_KM_PER_S * plan.sample_rate_hz
        self._delay = arrival % plan.samples_per_symbol + world.uniform(0, plan.samples_per_symbol)

    @cached_property
    def _field_scale(self) -> float:
        """From the modulator's field to sqrt(SNU) at the fibre's input.

        Alice sets her attenuator so that the symbols leave with V_A. She measures it back to back: the gain from a
        symbol's word to the matched-filtered field, with the pilot on, as the modulator compresses it.
        """
        plan = self.plan
        symbols = self._symbols(np.random.default_rng([self._seed, WORLD, 1]), 4096)
        alone = replace(plan.frame_settings, guard=0, preamble=plan.preamble[:0], payload=len(symbols), vacuum=1)
        transmitter = replace(plan.transmitter, frame=alone)
        words = transmitter.send(0, symbols).samples
        wanted = replace(transmitter, pilots=()).send(0, symbols).samples
        reference = wanted[:, 0] + 1j * wanted[:, 1]
        gain = np.vdot(reference, self._modulator.field(words)) / np.vdot(reference, reference)
        # `reference` has plan.signal_deviation per rail and sample; M samples of it carry one symbol.
        per_symbol = abs(gain) * plan.signal_deviation * np.sqrt(plan.samples_per_symbol)
        return float(np.sqrt(plan.modulation_variance_snu) / per_symbol)

    def _symbols(self, rng: np.random.Generator, count: int) -> NDArray[np.int16]:
        """What the transmitter's source makes of random bits; in gateware they come from the entropy core."""
        return self.plan.transmitter.symbols(rng.integers(0, 2**64, count, np.uint64).view(np.uint32))

    def frame(self, index: int, *, silent: bool = False) -> Emission:
        """Play frame `index` and record it; `silent` leaves its payload out, all else (and all noise) the same."""
        rng = np.random.default_rng([self._seed, FRAME, index])
        plan, scenario = self.plan, self.scenario
        payload = self._symbols(rng, plan.frame_format.symbols)
        if silent:
            payload[:] = 0
        sent = plan.transmitter.send(index % 2**32, payload)
        # In RF heterodyne the image band brings a second vacuum: a quadrature is read with half the transmittance.
        received = scenario.detector_efficiency * scenario.transmittance / 2
        field = delay(self._modulator.field(sent.samples), self._delay)
        field *= np.float32(self._field_scale * np.sqrt(received))
        start_s = index * plan.samples / plan.sample_rate_hz
        phase = self._lasers.beat_phase(start_s, plan.samples, plan.sample_rate_hz, rng)
        thermal = received * scenario.excess_noise_snu
        samples = self._detector.record(plan.samples, rng, field=field, phase=phase, thermal_snu=thermal)
        return Emission(sent.packet.symbols, samples, sent.saturated)

    def vacuum(self, index: int) -> NDArray[np.int16]:
        """Record with Alice's light off."""
        return self._detector.record(self.plan.samples, np.random.default_rng([self._seed, VACUUM, index]))

    def dark(self, index: int) -> NDArray[np.int16]:
        """Record with the local oscillator off."""
        rng = np.random.default_rng([self._seed, DARK, index])
        return self._detector.record(self.plan.samples, rng, local_oscillator=False)
