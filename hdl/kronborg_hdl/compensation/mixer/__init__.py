"""Three oscillators that bring the signal and both pilots to baseband."""
