"""Writes plans: of what was trained, or of random weights."""
