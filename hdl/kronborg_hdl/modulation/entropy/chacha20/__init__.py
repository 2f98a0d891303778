"""The ChaCha20 expander."""
