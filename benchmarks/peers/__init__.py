"""What the engine is timed against, each written as one would write it without the engine."""
