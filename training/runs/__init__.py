"""What every run stands on: files that survive a kill, checkpoints, seeds, devices, processes."""
