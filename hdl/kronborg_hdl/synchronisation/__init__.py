"""From symbols to frames: where they begin, when to sample, what is handed on."""
