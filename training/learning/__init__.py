"""What every training shares: updates, passes over samples, losses, and how good the outcome is."""
