"""Exact sums of symbols and of their squares."""
