"""What the cores cost: Yosys maps each of them to a device's cells, and those are counted."""
