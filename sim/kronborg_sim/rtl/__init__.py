"""Cores' Verilog, compiled by Verilator and driven from Python: the RTL itself, at a million clocks in seconds."""
