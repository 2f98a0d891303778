"""Keys to and from another operator's key manager, by the pattern of ETSI GS QKD 020."""
