"""Bitstreams for a Zynq-7000 without a vendor's tool: the processor's ports, place and route, configuration frames."""
