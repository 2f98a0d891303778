"""From symbols to secret bits: calibration, estimation, reconciliation, verification, privacy amplification."""
