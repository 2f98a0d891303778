"""Entropy of the transmitter: a quantum random stream under test, and its expansion by ChaCha20."""
