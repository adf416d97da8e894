"""When it happens: learning a plan's head of moments and its thresholds, and showing what they find."""
