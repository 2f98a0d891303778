"""Gateware of Kronborg: Amaranth cores and their bit-exact numpy models.

Only modules named ``core`` (and the Amaranth halves of ``dsp`` and ``axi``) import Amaranth; ``model`` and
``registers`` need numpy alone, so the host can use them on a board.
"""
