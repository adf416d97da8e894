"""Videos to train and test on: the AV-Kinetic generator and the checks of its honesty."""
