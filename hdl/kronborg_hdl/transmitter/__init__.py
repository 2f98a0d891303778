"""The assembly from symbols to converter samples."""
