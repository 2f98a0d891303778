"""The zero-delay smoother of the pilot's phasors."""
