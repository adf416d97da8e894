"""Random weights and banks for preset ``paired``, and the comparison with the reference."""

import numpy as np
import skim_reference

CLOSE = {"fp32": 1e-5, "bf16": 3e-2, "fp16": 3e-3}


def random_pairing(features=24, fused=40):
    rng = np.random.default_rng(0)
    sizes = {"0.weight": (fused, 2 * features), "0.bias": (fused,)}
    sizes |= {"1.weight": (features, fused), "1.bias": (features,)}
    return {
        f"pair_{modality}.{name}": (rng.standard_normal(size) / np.sqrt(size[-1])).astype(np.float32)
        for modality in ("image", "audio")
        for name, size in sizes.items()
    }


def banks(batch, features=24, knots=(9, 14)):
    """Image and audio banks and their times."""
    rng = np.random.default_rng(1)
    rows = [rng.standard_normal((batch, m, features)).astype(np.float32) for m in knots]
    return *rows, *(np.sort(rng.uniform(0, 20, (batch, m))) for m in knots)


def check_pairing(weights, given, found, close, modality="both"):
    for v in range(len(given[0])):
        image, audio = (given[0][v], given[2][v]), (given[1][v], given[3][v])
        wanted = skim_reference.paired(
            weights, None if modality == "audio" else image, None if modality == "image" else audio
        )
        for got, expected in zip(found, wanted, strict=True):
            assert (got is None) == (expected is None)
            if expected is not None:
                np.testing.assert_allclose(got.numpy()[v], expected[0], atol=close)
