"""What stands in for the world: optics, boards without hardware, and benches."""
