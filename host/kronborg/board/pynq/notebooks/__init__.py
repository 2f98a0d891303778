"""Notebooks that ``pynq get-notebooks`` delivers (entry point ``pynq.notebooks``)."""
