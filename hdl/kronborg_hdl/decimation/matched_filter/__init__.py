"""The decimating matched filter."""
