"""Decoding: one clock per file, addressed in seconds."""
