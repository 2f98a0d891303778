"""Agents that put quantum keys into encryptors: WireGuard and strongSwan, changed at both ends of a tunnel together."""
