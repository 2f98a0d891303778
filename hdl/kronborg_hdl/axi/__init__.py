"""The edge of every core: AXI4-Stream skin, register tables and the AXI4-Lite slave made from them."""
