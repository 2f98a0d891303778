"""Designs for boards without a processor: from a core to a bitstream with tools from PyPI."""
