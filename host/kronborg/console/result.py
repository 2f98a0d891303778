"""The outcome of one run: the numbers, and the arrays behind the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = "kronborg-run/1"
"""Changes when a field of the JSON changes its name or meaning."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What one link sent, what its channel did, and the key that came of it. Holds no secrets.

    Attributes:
        seed: seed of a simulated world; None when the world is real.
        simulated_board: whether lasers, fibre and detector were simulated.
        distance_km: length of the fibre.
        loss_db: its loss.
        linewidth_hz: sum of the two lasers' linewidths; None where symbols are drawn without any.
        symbol_rate_hz: symbols per second on the fibre.
        frames_sent: frames that Alice sent.
        frames_received: frames that Bob found.
        symbols: payload symbols sent; the key rates are per one of these, lost frames and disclosed symbols included.
        modulation_variance_snu: V_A, per quadrature.
        pilot_snr_db: pilot power over noise power, in the bandwidth of the symbol rate; None without a pilot.
        transmittance: estimate of the channel's T.
        transmittance_worst_case: T of the link, among those the data allow, that an eavesdropper knows most of.
        excess_noise_snu: estimate of the excess noise xi at the channel's input.
        excess_noise_std_snu: standard deviation of that estimate.
        excess_noise_worst_case_snu: xi of that link.
        null_key_excess_noise_snu: largest xi at which this link would still have an asymptotic key.
        detector_efficiency: eta, trusted.
        electronic_noise_snu: v_el per quadrature, trusted.
        snr: signal over noise per quadrature of Bob's symbols.
        code_rate: bits per quadrature that error correction leaves beyond what it discloses.
        reconciliation_efficiency: beta, that rate over capacity at that SNR.
        code_blocks: code blocks tried.
        code_blocks_failed: of these, blocks that were dropped: not decoded or not verified.
        frame_error_rate: code_blocks_failed / code_blocks.
        disclosed_bits: all bits that the classical channel gave away about the key.
        budget: lines (label, bits): the uniform code bits, then what is subtracted (negative), last the key's length.
        key_bits: length of the secret key.
        keys_identical: whether Alice's and Bob's key are the same.
        key_rate_bit_per_symbol: key_bits / symbols.
        key_rate_bit_per_second: that times the symbol rate.
        asymptotic_rate_bit_per_symbol: the rate with endless symbols, at the estimates and at this beta.
        plob_bound_bit_per_symbol: what no repeaterless protocol can exceed at this T; None at T = 1, where none is.
        epsilon: total composable security parameter.
        wall_seconds: duration of the run.
        stage_seconds: duration of each stage.
        board: its name; None where there is none.
        clock_cycles: that a simulated board ran whose both ends are gateware; None elsewhere, as are the next two.
        bit_exact_with_model: whether every word that came from it is the model's.
        dma_words: of 32 bits, that came from it by DMA.

    Raises:
        ValueError: the budget's lines do not add up to the key.
    """

    schema: str = SCHEMA
    seed: int | None
    simulated_board: bool
    distance_km: float
    loss_db: float
    linewidth_hz: float | None
    symbol_rate_hz: float
    frames_sent: int
    frames_received: int
    symbols: int
    modulation_variance_snu: float
    pilot_snr_db: float | None
    transmittance: float
    transmittance_worst_case: float
    excess_noise_snu: float
    excess_noise_std_snu: float
    excess_noise_worst_case_snu: float
    null_key_excess_noise_snu: float
    detector_efficiency: float
    electronic_noise_snu: float
    snr: float
    code_rate: float
    reconciliation_efficiency: float
    code_blocks: int
    code_blocks_failed: int
    frame_error_rate: float
    disclosed_bits: int
    budget: tuple[tuple[str, int], ...]
    key_bits: int
    keys_identical: bool
    key_rate_bit_per_symbol: float
    key_rate_bit_per_second: float
    asymptotic_rate_bit_per_symbol: float
    plob_bound_bit_per_symbol: float | None
    epsilon: float
    wall_seconds: float
    stage_seconds: Mapping[str, float]
    board: str | None = None
    clock_cycles: int | None = None
    bit_exact_with_model: bool | None = None
    dma_words: int | None = None

    def __post_init__(self) -> None:
        bits = [amount for _, amount in self.budget]
        # Exactly: a line that rounding eats would be a leak that nobody sees.
        if len(bits) < 2 or sum(bits[:-1]) != bits[-1] or bits[-1] != self.key_bits:
            raise ValueError(f"the key budget {bits} does not add up to a key of {self.key_bits} bits")

    @property
    def share_of_plob(self) -> float | None:
        """Key rate over the PLOB bound; None where there is no bound."""
        bound = self.plob_bound_bit_per_symbol
        return None if bound is None else self.key_rate_bit_per_symbol / bound

    def to_json(self) -> str:
        """All fields as one JSON object, in the order above, with a newline at the end.

        Two runs of the same seed differ in `wall_seconds` and `stage_seconds` only.

        Raises:
            ValueError: a number is infinite or not a number.
        """
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values["budget"] = [{"label": label, "bits": bits} for label, bits in self.budget]
        values["stage_seconds"] = dict(self.stage_seconds)
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=_python_number) + "\n"


def _python_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a result")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the report draws. Some thousand points a picture are plenty.

    Attributes:
        spectrum_frequency_hz: frequencies of the ADC's spectrum, ascending, shape (f,).
        spectrum_signal_db: power density with Alice's light, over the mean shot noise, shape (f,).
        spectrum_vacuum_db: the same with Bob's local oscillator alone, shape (f,).
        spectrum_dark_db: the same without any light: electronic noise, shape (f,).
        beat_frequency_hz: where Alice's optical carrier falls in that spectrum.
        signal_band_hz: lower and upper edge of the signal there.
        pilot_frequencies_hz: where the pilots fall there.
        constellation_before: symbols before phase compensation, sqrt(SNU), complex, shape (p,).
        constellation_after: the same symbols of Bob after it, shape (p,).
        constellation_alice: what Alice sent for these, shape (p,).
        phase_time_s: time within one frame, shape (t,).
        phase_rad: unwrapped phase of the pilot there, less the straight line, shape (t,).
        phase_frequency_offset_hz: slope of that straight line.
        frame_number: frames that have an estimate, shape (m,).
        frame_excess_noise_snu: excess noise at the channel's input of each, shape (m,).
        frame_excess_noise_std_snu: standard deviation of each, shape (m,).
    """

    spectrum_frequency_hz: NDArray[np.float64]
    spectrum_signal_db: NDArray[np.float64]
    spectrum_vacuum_db: NDArray[np.float64]
    spectrum_dark_db: NDArray[np.float64]
    beat_frequency_hz: float
    signal_band_hz: tuple[float, float]
    pilot_frequencies_hz: tuple[float, ...]
    constellation_before: NDArray[np.complex128]
    constellation_after: NDArray[np.complex128]
    constellation_alice: NDArray[np.complex128]
    phase_time_s: NDArray[np.float64]
    phase_rad: NDArray[np.float64]
    phase_frequency_offset_hz: float
    frame_number: NDArray[np.int64]
    frame_excess_noise_snu: NDArray[np.float64]
    frame_excess_noise_std_snu: NDArray[np.float64]
