"""Single-sideband shift and pilot tones."""
