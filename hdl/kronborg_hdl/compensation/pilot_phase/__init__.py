"""From a real sample stream to complex baseband with the lasers' phase removed."""
