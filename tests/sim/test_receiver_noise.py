import pytest

from kronborg_sim.receiver_noise import receiver_noise


def test_the_receiver_adds_less_than_5_msnu_in_a_loop_of_known_truth() -> None:
    figures = receiver_noise(8, modulation_variance_snu=4.0, linewidth_hz=2e3, pilot_snr_db=20.0)
    assert figures["symbols"] >= 1e6
    assert figures["added_excess_noise_msnu"] <= 5.0
    # It cannot be better than the best smoother; were it, the loop would not measure what it says.
    assert figures["added_excess_noise_msnu"] >= 0.95 * figures["phase_smoother_limit_msnu"]


def test_a_wider_line_is_seen_as_more_noise() -> None:
    narrow, wide = (receiver_noise(1, linewidth_hz=linewidth)["added_excess_noise_msnu"] for linewidth in (2e3, 50e3))
    assert wide > 3 * narrow


def test_a_weaker_pilot_is_seen_as_more_noise() -> None:
    strong, weak = (receiver_noise(1, pilot_snr_db=snr)["added_excess_noise_msnu"] for snr in (20.0, 10.0))
    assert weak == pytest.approx(strong * 10**0.5, rel=0.35)  # sqrt(q r) / 2: the root of the pilot's power
