"""The plan end to end, and the command that writes every page of results."""
