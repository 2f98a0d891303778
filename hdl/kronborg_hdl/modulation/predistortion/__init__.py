"""Pre-distortion for the converter's droop and the modulator's sine."""
