"""A physical model of light between two converters: modulator, lasers, fibre, detector."""
