"""What keeps keys and hands them on."""
