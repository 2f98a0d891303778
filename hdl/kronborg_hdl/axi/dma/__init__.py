"""Streams to and from memory."""
