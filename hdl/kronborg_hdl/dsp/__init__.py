"""Arithmetic blocks shared by the cores."""
