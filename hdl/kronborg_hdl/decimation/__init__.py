"""Decimating filters."""
