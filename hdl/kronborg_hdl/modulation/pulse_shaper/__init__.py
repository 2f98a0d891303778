"""Root-raised-cosine interpolation."""
