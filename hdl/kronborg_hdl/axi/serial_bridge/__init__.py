"""The serial bridge: registers and streams of a board without a processor, over a serial line, in checked frames."""
