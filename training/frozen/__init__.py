"""Frozen first: what pretrained trunks say of every moment is computed once, and all else learns from that."""
