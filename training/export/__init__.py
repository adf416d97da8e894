"""Writes plans: of what was trained, of published networks as they are, or of random weights."""
