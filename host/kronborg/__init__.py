"""Kronborg: the host of an open continuous-variable quantum key distribution system."""

__version__ = "0.1.0"
