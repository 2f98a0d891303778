"""The matched filter at two samples a symbol."""
