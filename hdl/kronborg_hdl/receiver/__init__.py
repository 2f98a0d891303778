"""The assembly from converter samples to symbols."""
