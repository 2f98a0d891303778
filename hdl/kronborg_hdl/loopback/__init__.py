"""A whole link in one device: transmitter, fibre emulator, receiver."""
