"""The work of one opened file: threads, extraction of features, the skimmer, the recogniser."""
