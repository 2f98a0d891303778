"""A picture of any stream, without disturbing it."""
