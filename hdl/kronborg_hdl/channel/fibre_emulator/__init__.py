"""A fibre, two lasers and a noisy detector in gateware: loss, phase walk, frequency offset, Gaussian noise."""
