"""Converter words made fit for the receiver: over-range, offset, and the imbalance of I and Q."""
