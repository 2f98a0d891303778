"""The interrupt controller: many lines of an overlay's parts to the one that the processor has."""
