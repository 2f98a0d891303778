"""What lies between transmitter and receiver, in gateware: a whole link on a board that has no optics."""
