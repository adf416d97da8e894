"""Joining the banks of preset ``paired`` at the paper's size, against the same sums in PyTorch."""

import numpy as np
import pytest
import torch

from benchmarks.kernels.test_skimmer_speed import PAPER, banks
from l2l_engine.pairing import Pairing
from l2l_engine.plan import PlanDocument, SkimSettings
from training.export.untrained import random_skim
from training.models.fusion import Fusion


@pytest.fixture(scope="module")
def weights():
    classes = tuple(map(str, range(PAPER.classes)))
    return random_skim(PlanDocument(classes=classes, skim=SkimSettings(preset="paired")), PAPER)


def plain(weights, modality):
    """Psi of a modality as PyTorch computes it."""
    fusion = Fusion(PAPER.feature, PAPER.fusion)
    stem = f"pair_{modality}."
    own = {name.removeprefix(stem): value for name, value in weights.items() if name.startswith(stem)}
    fusion.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
    return fusion.eval()


@pytest.mark.parametrize("moments", [205, 1050, 6300], ids=lambda n: f"N={n}")
def test_pairing(against, weights, moments):
    pairing = Pairing(weights)
    image, audio, times, _, _ = banks(1, moments)
    fusions = [plain(weights, modality) for modality in ("image", "audio")]
    rows = torch.from_numpy(image), torch.from_numpy(audio)

    # Here all knots are common ones, so that there is nothing to interpolate.
    @torch.inference_mode()
    def by_torch():
        return [own + fusion(*rows) for own, fusion in zip(rows, fusions, strict=True)]

    joined = pairing((image, times), (audio, times))
    for ours, theirs in zip(joined, by_torch(), strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-3
    against(lambda: pairing((image, times), (audio, times)), {"plain PyTorch": by_torch}, rounds=9)
