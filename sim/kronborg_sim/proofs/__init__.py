"""Formal proofs: claims about cores that hold for every input, in every clock."""
