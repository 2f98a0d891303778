"""Phasors of unit length: a phase without an arctangent."""
