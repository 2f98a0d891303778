"""Half-band decimation by two, without multipliers."""
