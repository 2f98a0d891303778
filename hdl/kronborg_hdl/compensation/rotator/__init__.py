"""The rotator: the pilot's phase comes off the signal."""
