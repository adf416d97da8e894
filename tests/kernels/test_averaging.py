"""What stands in the skimmer's place where nothing is skimmed."""

import numpy as np
import pytest
import skim_reference
from skim_cases import random_batch, random_weights

from l2l_engine.skim import Averager


@pytest.mark.parametrize("modality", ["both", "image", "audio"])
def test_equals_the_mean_of_all_pairs(modality):
    rng = np.random.default_rng(0)
    weights, batch = random_weights(rng), random_batch(rng, 24, [(23, 6, 9)])
    result = Averager(weights).run(*batch.arguments, modality=modality)
    (image, audio, timestamps) = batch.videos[0]
    rows = [
        skim_reference.interpolate(*bank, timestamps) * (modality in ("both", name))
        for name, bank in (("image", image), ("audio", audio))
    ]
    hidden = np.maximum(np.hstack(rows) @ weights["fusion.0.weight"].T + weights["fusion.0.bias"], 0)
    mean = (hidden @ weights["fusion.1.weight"].T + weights["fusion.1.bias"]).mean(axis=0)
    logits = mean @ weights["classifier.weight"].T + weights["classifier.bias"]
    assert np.abs(result.step_features[0, 0] - mean).max() < 1e-5
    assert np.abs(result.logits[0] - logits).max() < 1e-5
    assert result.step_logits.shape == (1, 1, 7)
    assert np.array_equal(result.step_logits[:, 0], result.logits)
