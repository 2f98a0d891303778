"""The record of emitted symbols: the raw key of Alice."""
