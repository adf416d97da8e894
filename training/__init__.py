"""Training of l2l_engine's networks, from videos to a plan. PyTorch lives here and nowhere else."""
