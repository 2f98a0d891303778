"""Frames: guard, preamble, header, payload, vacuum, calibration."""
