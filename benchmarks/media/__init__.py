"""The videos that are timed: generated, natural-looking, the same on every machine."""
