"""Videos to train and test on: the generators of AV-Kinetic and AV-Digits."""
