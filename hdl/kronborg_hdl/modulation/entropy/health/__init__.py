"""Continuous health tests of an entropy source."""
