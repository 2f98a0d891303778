"""The watch-dog: without a host that gives signs of life, nothing is emitted."""
