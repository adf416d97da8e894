"""The videos that are timed: generated, natural-looking, the same on every machine."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "results" / "runs" / "bench"
"""Where they are kept, and plans of random weights beside them."""
