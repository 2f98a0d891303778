"""Networks to try key delivery on."""
