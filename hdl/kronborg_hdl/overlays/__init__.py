"""Overlays: what of the gateware stands together on a board, and what the host finds at which address."""
