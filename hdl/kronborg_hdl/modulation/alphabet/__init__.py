"""The source of symbols from a discrete alphabet."""
