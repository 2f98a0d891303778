"""The source of Gaussian symbols."""
