"""Interpolating shaper: symbols to samples, the pulse at two samples a symbol and half-bands from there on."""
