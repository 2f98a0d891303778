"""Overlays on a board that runs PYNQ: drivers, DMA with time-outs, and what is played and recorded through them.

What only PYNQ has is imported from pynq, which the extra `pynq` brings and a board's image has; the rest of the package
never does. Both ends of a link (``board``, ``transmitter``, ``receiver``) do without it on a board at a serial port.
"""
