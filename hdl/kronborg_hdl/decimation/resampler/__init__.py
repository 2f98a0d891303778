"""The fractional resampler: two samples a symbol, where the symbols are."""
