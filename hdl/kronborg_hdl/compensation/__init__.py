"""Pilot-tone phase compensation."""
