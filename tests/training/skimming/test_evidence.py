"""Preset evidence: how it is learnt, and that every implementation of it says the same."""

import numpy as np
import pytest
import torch

from l2l_engine.skim import EvidencePooler
from training.models.evidence import EvidenceNetwork
from training.skimming.evidence import Directions, EvidenceSettings, evidence_logits, train_evidence
from training.skimming.joining import BACKGROUND, Joiner, JoinSettings
from training.skimming.sequences import Track

HOP = 16 / 30
SIZES = {"image": 6, "audio": 5}


def random_network(seed: int = 0, sizes: dict[str, int] = SIZES) -> EvidenceNetwork:
    torch.manual_seed(seed)
    network = EvidenceNetwork(3, sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return network.double()


def reference(network: EvidenceNetwork, embeddings: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The formulas of the docstring, timestamp by timestamp: logits [C], and evidence [N, C]."""
    parameters = {name: value.detach().numpy() for name, value in network.named_parameters()}
    evidence = parameters["bias"] + sum(
        rows @ parameters[f"weights.{name}"].T for name, rows in embeddings.items()
    )
    times = np.arange(len(evidence)) * HOP
    logits = np.zeros(evidence.shape[1])
    scales = np.exp(parameters["pool.log_weight"]), np.exp(parameters["pool.log_sharpness"])
    for a, b, s in zip(*scales, network.pool.seconds.numpy(), strict=True):
        smoothed = np.stack([evidence[abs(times - t) <= s / 2].mean(axis=0) for t in times])
        logits += a / b * np.log(np.exp(b * smoothed).mean(axis=0))
    return logits, evidence


def numerical_shares(network: EvidenceNetwork, evidence: np.ndarray) -> np.ndarray:
    """What the answer's logit gains with the evidence of each moment, by finite differences."""

    def logits(rows: np.ndarray) -> np.ndarray:
        valid = torch.ones(1, len(rows), dtype=torch.bool)
        return network.pool(torch.from_numpy(rows)[None], valid, HOP)[0].detach().numpy()

    best, gained = int(logits(evidence).argmax()), []
    for row in range(len(evidence)):
        more, less = evidence.copy(), evidence.copy()
        more[row, best] += 1e-5
        less[row, best] -= 1e-5
        gained.append((logits(more) - logits(less))[best] / 2e-5)
    return np.array(gained)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_pytorch_equals_the_formulas(count):
    rng, network = np.random.default_rng(count), random_network()
    embeddings = {name: rng.standard_normal((count, size)) for name, size in SIZES.items()}
    # Among longer ones, so that there is padding.
    batch = {name: torch.zeros(2, count + 9, size).double() for name, size in SIZES.items()}
    for name, rows in embeddings.items():
        batch[name][0, :count] = torch.from_numpy(rows)
    valid = torch.arange(count + 9) < torch.tensor([[count], [count + 9]])
    found = network(batch, valid, HOP)[0]
    assert np.abs(found.detach().numpy() - reference(network, embeddings)[0]).max() < 1e-12


@pytest.mark.parametrize("modality", ["both", "image", "audio"])
@pytest.mark.parametrize("count", [1, 5, 300])
def test_the_runtime_equals_pytorch(modality, count):
    rng, network = np.random.default_rng(count), random_network()
    embeddings = {
        name: rng.standard_normal((count, size)) * (modality in {"both", name})
        for name, size in SIZES.items()
    }
    expected, evidence = reference(network, embeddings)
    banks = [
        (rows @ network.weights[name].detach().numpy().T).astype(np.float32)[None]
        for name, rows in embeddings.items()
    ]
    pooler = EvidencePooler({name: value.numpy() for name, value in network.tensors().items()})
    times = np.arange(count)[None] * HOP
    result = pooler.run(*banks, times, times, times, modality=modality)
    assert np.abs(result.logits[0] - expected).max() < 2e-5 * max(1, np.abs(expected).max())
    assert np.abs(result.step_logits[0, 0] - evidence.mean(axis=0)).max() < 1e-5
    shares = numerical_shares(network, evidence)
    for name in SIZES:
        attention = getattr(result, f"{name}_attention")[0, 0]
        there = modality in {"both", name}
        assert np.abs(attention - there * shares / shares.sum()).max() < 1e-5
        assert attention.sum() == pytest.approx(float(there), abs=1e-5)
    assert np.array_equal(result.step_logits[:, -1], result.logits)
    first = pooler.run(*banks, times, times, times, 1, modality=modality)
    assert np.array_equal(first.logits, result.step_logits[:, 0])


def test_knots_between_timestamps_and_timestamps_in_any_order():
    rng, network = np.random.default_rng(3), random_network(sizes={"audio": 5})
    pooler = EvidencePooler({name: value.numpy() for name, value in network.tensors().items()})
    knots, times = np.arange(0, 20, 2.0)[None], np.arange(0, 18, HOP)[None]
    bank = rng.standard_normal((1, 10, 3)).astype(np.float32)
    result = pooler.run(bank, None, knots, None, times, modality="image")
    assert np.isfinite(result.logits).all()
    order = rng.permutation(times.shape[1])
    shuffled = pooler.run(bank, None, knots, None, times[:, order], modality="image")
    assert np.array_equal(shuffled.logits, result.logits)
    assert np.array_equal(shuffled.image_attention[0, 0], result.image_attention[0, 0, order])


def test_steps_and_pools_that_there_cannot_be():
    tensors = {name: value.numpy() for name, value in random_network().tensors().items()}
    row, time = np.zeros((1, 1, 3), np.float32), np.zeros((1, 1))
    with pytest.raises(ValueError, match="steps: evidence takes 1 or 2, not 3"):
        EvidencePooler(tensors).run(row, row, time, time, time, 3)
    for name, value in (("weight", -1), ("weight", 0), ("sharpness", 0), ("seconds", -1)):
        changed = tensors | {f"pool.{name}": np.full(4, value, np.float32)}
        with pytest.raises(ValueError, match=rf"pool\.{name}"):
            EvidencePooler(changed)


def test_directions_fold_back_into_the_embeddings():
    rows = torch.randn(100, 8).double() * torch.arange(8) + 3
    directions = Directions.of(rows, 5)
    weight, bias = torch.randn(2, 5).double(), torch.randn(2).double()
    whole, shifted = directions.folded(weight, bias)
    assert torch.allclose(rows @ whole.T + shifted, directions(rows) @ weight.T + bias)


def noisy(rng: np.random.Generator, label: int, count: int = 9) -> Track:
    """A class is one of the first three numbers, now and then; background is the fourth."""
    rows = torch.from_numpy(rng.normal(0, 0.5, (count, 8))).float()
    rows[:: 1 if label == BACKGROUND else 2, label] += 2
    valid = torch.ones(count, dtype=torch.bool)
    inside = torch.full((count,), label != BACKGROUND)
    return Track(torch.zeros(count, 0), rows, ~valid, valid, inside, label, HOP)


def test_it_learns_from_clips_what_is_in_long_files():
    rng = np.random.default_rng(0)
    clips = [noisy(rng, label) for label in (0, 1, 2) for _ in range(6)]
    background = [noisy(rng, BACKGROUND) for _ in range(12)]
    settings = EvidenceSettings(updates=20, batch=8, join=JoinSettings(shortest=20, longest=60))
    head = train_evidence(clips, background, 3, settings=settings)
    again = train_evidence(clips, background, 3, settings=settings)
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))
    joiner = Joiner(
        [noisy(rng, label) for label in (0, 1, 2) for _ in range(20)],
        [noisy(rng, BACKGROUND) for _ in range(40)],
    )
    files = [joiner(rng) for _ in range(60)]
    right = evidence_logits(head, files).argmax(dim=1) == torch.tensor([file.label for file in files])
    assert right.float().mean() > 0.9
