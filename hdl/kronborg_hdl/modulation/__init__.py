"""Transmitter cores: what turns symbols into converter samples."""
