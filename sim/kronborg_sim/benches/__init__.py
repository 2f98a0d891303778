"""Benches in cocotb, and the runner that puts a core into Verilator for them."""
