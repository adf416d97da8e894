"""The skimmer and its operations timed alone, beside PyTorch."""
