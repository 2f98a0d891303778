"""Boards without a processor, over a serial line: registers and streams behind a bridge in gateware.

The extra `serial` brings the package that opens ports; the rest of this package works on any port that it is given.
"""
