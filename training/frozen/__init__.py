"""Frozen first: what pretrained trunks say of every moment is computed once; all else learns from it."""
