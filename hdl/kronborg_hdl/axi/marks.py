"""Widths of what goes with symbols to the power meter; apart from the streams, for register tables know no Amaranth."""

SECTION_BITS = 2
"""Of a symbol's section, ``power_meter.model.Section``."""
EVENT_BITS = 6
"""Of what may happen to symbols in the receiver's chain, ``frame_synchroniser.packet.EVENTS``."""
