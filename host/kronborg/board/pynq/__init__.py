"""Overlays on a board that runs PYNQ: drivers, DMA with time-outs, and what is played and recorded through them.

Modules here import pynq, which the extra `pynq` brings and a board's image has; the rest of the package never does.
"""
