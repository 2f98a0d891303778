"""The key management entity: keys to SAEs by ETSI GS QKD 014, and agreement with the KME at the other end of a link."""
