"""l2l_engine: says what happens in a long video by listening before it looks."""
