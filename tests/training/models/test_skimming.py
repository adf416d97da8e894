import numpy as np
import pytest
import skim_reference
import torch

from l2l_engine.skim import Skimmer
from training.config import SkimConfig
from training.export.trained import skim_tensors
from training.models import SkimBatch, SkimmingNetwork
from training.models.banks import Interpolation
from training.skimming.measure import attention_ratio
from training.skimming.train import block_votes, skim_loss

HOP = 16 / 30
SIZES = {"features": 12, "fusion": 20, "keys": 8, "hidden": 16}


def network(classes=5, **kind):
    skimmer = SkimmingNetwork(classes, **SIZES, **kind).eval()
    for parameter in skimmer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    for name, statistic in skimmer.named_buffers():
        if statistic.is_floating_point():
            torch.nn.init.uniform_(statistic, 0.5 if name.endswith("var") else -1, 2)
    return skimmer


KINDS = {
    "paper": {},
    "paired": {"preset": "paired"},
    "released": {"preset": "released"},
    "visual only": {"modalities": ("image",)},
    "released, visual only": {"preset": "released", "modalities": ("image",)},
}
ALONE = {
    "audio only": {"modalities": ("audio",)},
    "released, audio only": {"preset": "released", "modalities": ("audio",)},
}


def settings(skimmer):
    """What the reference and the native skimmer are told about a preset."""
    return {"key_activation": "relu", "exclude_previous_argmax": True} if skimmer.released else {}


def batch(lengths, image_lengths, audio_lengths, seed=0):
    """Random banks with irregular knots; a length of 0 is a missing modality."""
    rng = np.random.default_rng(seed)

    def bank(knots):
        rows = rng.standard_normal((len(knots), max(1, *knots), SIZES["features"])).astype(np.float32)
        times = np.sort(rng.uniform(0, 12, rows.shape[:2]).astype(np.float32), axis=1)
        return torch.from_numpy(rows), torch.from_numpy(times), torch.tensor(knots)

    image, image_times, image_lengths = bank(image_lengths)
    audio, audio_times, audio_lengths = bank(audio_lengths)
    return SkimBatch(
        image, audio, image_times, audio_times, image_lengths, audio_lengths, torch.tensor(lengths), HOP
    )


CASES = [(1, (23, 9, 1), (6, 3, 1), (4, 9, 2)), (10, (23, 9, 30), (6, 0, 1), (4, 9, 0))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "lengths", "image", "audio"), CASES)
def test_equals_the_float64_reference(kind, steps, lengths, image, audio):
    skimmer = network(**KINDS[kind])
    if skimmer.modalities == ("image",):
        image = [max(1, count) for count in image]  # it says nothing about videos without pictures
    banks = batch(lengths, image, audio)
    with torch.inference_mode():
        output = skimmer(banks, steps)
    for b, n in enumerate(lengths):
        parts = [
            (rows[b, :m].numpy(), times[b, :m].numpy()) if m else None
            for rows, times, m in (
                (banks.image, banks.image_times, image[b]),
                (banks.audio, banks.audio_times, audio[b]),
            )
        ]
        expected = skim_reference.skim(
            skim_tensors(skimmer), *parts, HOP * np.arange(n), steps, **settings(skimmer)
        )
        close = {"rtol": 1e-4, "atol": 2e-5}
        np.testing.assert_allclose(output.logits[b], expected.logits, **close)
        np.testing.assert_allclose(output.image_attention[b, :, :n], expected.image_attention, **close)
        np.testing.assert_allclose(output.audio_attention[b, :, :n], expected.audio_attention, **close)
        np.testing.assert_allclose(output.modality_scores[b], expected.modality_scores, **close)
        np.testing.assert_allclose(output.step_features[b], expected.step_features, **close)
        assert not output.image_attention[b, :, n:].any()


@pytest.mark.parametrize("kind", ALONE)
def test_of_sound_alone_says_what_one_of_pictures_alone_would_of_the_same_features(kind):
    skimmer = network(**ALONE[kind])
    seeing = SkimmingNetwork(5, **SIZES, **ALONE[kind] | {"modalities": ("image",)}).eval()
    weights = {name.replace("_audio", "_image"): tensor for name, tensor in skimmer.state_dict().items()}
    seeing.load_state_dict(weights)
    banks = batch((23, 9, 1), (6, 3, 1), (4, 9, 2))
    swapped = SkimBatch(
        banks.audio, banks.image, banks.audio_times, banks.image_times, banks.audio_lengths,
        banks.image_lengths, banks.lengths, banks.hop,
    )  # fmt: skip
    with torch.inference_mode():
        heard, seen = skimmer(banks, 10), seeing(swapped, 10)
    for ours, theirs in (
        (heard.logits, seen.logits),
        (heard.step_features, seen.step_features),
        (heard.audio_attention, seen.image_attention),
        (heard.image_attention, torch.zeros_like(seen.image_attention)),
        (heard.modality_scores, seen.modality_scores.flip(2)),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_native_skimmer(kind):
    skimmer, lengths = network(**KINDS[kind]), (23, 9, 30)
    banks = batch(lengths, (6, 3, 5), (4, 9, 2))
    with torch.inference_mode():
        output = skimmer(banks, 7)
    stamps = np.tile(HOP * np.arange(max(lengths)), (3, 1))
    found = Skimmer(skim_tensors(skimmer), **settings(skimmer)).run(
        banks.image.numpy(),
        banks.audio.numpy(),
        banks.image_times.double().numpy(),
        banks.audio_times.double().numpy(),
        stamps,
        7,
        image_lengths=banks.image_lengths.numpy(),
        audio_lengths=banks.audio_lengths.numpy(),
        lengths=np.array(lengths),
    )
    np.testing.assert_allclose(found.logits, output.logits, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(found.audio_attention, output.audio_attention, rtol=1e-4, atol=2e-5)


def test_stopping_early_equals_fewer_steps():
    skimmer, banks = network(), batch((23, 9, 30), (6, 3, 5), (4, 9, 2))
    with torch.inference_mode():
        early = skimmer.step_logits(skimmer(banks, 6))
        for steps in (1, 4, 6):
            torch.testing.assert_close(early[:, steps - 1], skimmer(banks, steps).logits)


LABELS = torch.eye(5, dtype=torch.bool)[:3]


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    skimmer, banks = network(**KINDS[kind]).train(), batch((23, 9, 30), (6, 3, 5), (4, 9, 2))
    skim_loss(skimmer, skimmer(banks, 4), LABELS, SkimConfig()).backward()
    # A key's bias shifts all scores alike, so the softmax drops it (DESIGN 2); a batch norm drops one before.
    silent = {"key_image.bias", "key_audio.bias", *(f"key_{m}.linear.bias" for m in ("image", "audio"))}
    silent |= {f"query_{m}.0.linear.bias" for m in ("image", "audio")}
    for name, parameter in skimmer.named_parameters():
        assert parameter.grad is not None, name
        assert name in silent or parameter.grad.abs().max() > 1e-7, name


def test_interpolation_by_hand():
    times = torch.tensor([[1.0, 2.0, 0.0]])
    at = torch.tensor([0.0, 1.0, 1.25, 2.0, 5.0])
    between = Interpolation(times, torch.tensor([2]), at)
    assert between.spread(torch.tensor([[1.0, 3.0, 99.0]])).flatten().tolist() == [1.0, 1.0, 1.5, 3.0, 3.0]
    collected = between.collect(torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]))
    assert collected.flatten().tolist() == [1 + 2 + 3, 1 + 8 + 16, 0.0]
    nothing = Interpolation(times, torch.tensor([0]), at)
    assert not nothing.collect(torch.ones(1, 5)).any()


def test_a_blocked_modality_has_no_vote_unless_it_is_alone():
    skimmer, banks = network(), batch((23, 9, 30), (6, 3, 5), (4, 9, 0))
    blocked = torch.zeros(3, 3, 2, dtype=torch.bool)
    blocked[0, 1, 0] = blocked[1, 2, 1] = blocked[2, 0, 0] = True
    with torch.inference_mode():
        scores = skimmer(banks, 3, blocked).modality_scores[:, :, 0]
    assert scores[0, 1] == 0
    assert scores[1, 2] == 1
    assert (scores[2] == 1).all()
    assert (0 < scores[0, 0] < 1) & (0 < scores[1, 1] < 1)


def test_every_step_keeps_one_vote():
    blocked = block_votes(1000, 2, 0.5)
    assert blocked.shape == (1000, 2, 2)
    assert not blocked.all(dim=2).any()
    assert 900 < blocked.any(dim=2).sum() < 1100
    assert 400 < blocked[:, :, 0].sum() < 600


def test_loss_by_hand():
    """One video, C = 2, T = 3 steps, the classifier an identity: log(1 + e^-x) of the running means."""
    skimmer = SkimmingNetwork(2, features=2, fusion=2, keys=2, hidden=2)
    skimmer.classifier.weight.data = torch.eye(2)
    skimmer.classifier.bias.data.zero_()
    output = skimmer(
        SkimBatch(
            *(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2), torch.zeros(1, 1), torch.zeros(1, 1)),
            *(torch.tensor([1]), torch.tensor([1]), torch.tensor([1])),
            hop=HOP,
        ),
        3,
    )
    output.step_features = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]])
    found = skim_loss(skimmer, output, torch.tensor([[True, False]]), SkimConfig(early_weight=0.5))
    assert found.item() == pytest.approx(np.log1p(np.exp(-2)) + 0.5 * np.log1p(np.exp(-1)), rel=1e-5)
    # Binary cross-entropies: -log sigmoid(x) for the class that is there, and log 2 for the one that is not.
    found = skim_loss(
        skimmer, output, torch.tensor([[True, False]]), SkimConfig(early_weight=0.5, output="sigmoid")
    )
    by_hand = np.log1p(np.exp(-2)) + np.log(2) + 0.5 * (np.log1p(np.exp(-1)) + np.log(2))
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


def test_attention_ratio_by_hand():
    attention = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.1, 0.1, 0.4, 0.4]])
    inside = torch.tensor([True, False, False, False])
    assert attention_ratio(attention, inside) == pytest.approx(0.3 / 0.25)
    assert np.isnan(attention_ratio(attention, torch.zeros(4, dtype=torch.bool)))


def test_one_step_by_hand():
    """Two timestamps, D = F = K = H = 1: Eq. 5-8 with every number worked out below."""
    skimmer = SkimmingNetwork(1, features=1, fusion=1, keys=1, hidden=1).eval()
    values = {
        "fusion.0.weight": [[1.0, 2.0]],
        "fusion.1.weight": [[1.0]],
        "key_image.weight": [[2.0]],
        "key_audio.weight": [[-1.0]],
        "query_image.0.weight": [[1.0]],
        "query_audio.0.weight": [[1.0]],
        "query_image.0.bias": [1.0],
        "lstm.weight_ih": [[0.0], [0.0], [1.0], [0.0]],
        "modality.weight": [[1.0], [0.0]],
        "classifier.weight": [[3.0]],
    }
    for name, parameter in skimmer.named_parameters():
        parameter.data = torch.tensor(values[name]) if name in values else torch.zeros_like(parameter)
    one, times = torch.tensor([2]), torch.tensor([[0.0, HOP]])
    image, audio = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [4.0]]])
    with torch.inference_mode():
        output = skimmer(SkimBatch(image, audio, times, times, one, one, one, HOP), 2)
    # The means 2 and 2 give Psi = ReLU(2 + 2 * 2) = 6. Input, forget and output gates are sigmoid(0) = 1/2
    # and the candidate is tanh(6), so c = tanh(6) / 2 and h = tanh(c) / 2.
    h = np.tanh(np.tanh(6) / 2) / 2
    assert h == pytest.approx(0.2310, abs=1e-4)
    # Keys 2, 6 and query h + 1; keys 0, -4 and query h: softmaxes over two are sigmoids of differences.
    look = 1 / (1 + np.exp(-4 * (h + 1)))
    listen = 1 / (1 + np.exp(4 * h))
    vote = 1 / (1 + np.exp(-h))
    np.testing.assert_allclose(output.image_attention[0, 0], [1 - look, look], rtol=1e-5)
    np.testing.assert_allclose(output.audio_attention[0, 0], [1 - listen, listen], rtol=1e-5)
    np.testing.assert_allclose(output.modality_scores[0, 0], [vote, 1 - vote], rtol=1e-5)
    # Both banks are indexed by the mixture of the two attentions; then Psi again, and the mean of both.
    second = vote * look + (1 - vote) * listen
    seen = (1 + 2 * second) + 2 * 4 * second
    np.testing.assert_allclose(output.step_features[0, :, 0], [6, seen], rtol=1e-5)
    assert output.logits.item() == pytest.approx(3 * (6 + seen) / 2, rel=1e-5)


def test_batch_norm_learns_from_moments_that_are_there():
    """Padding and missing modalities leave no trace in the statistics."""
    banks = batch((23, 9, 30), (6, 3, 5), (4, 0, 2))
    alone = batch((23, 9, 30), (6, 3, 5), (4, 0, 2))
    alone.audio[1], alone.image[1, 3:] = 1e6, 1e6
    found = []
    for each in (banks, alone):
        torch.manual_seed(1)
        skimmer = network(preset="released").train()
        skimmer(each, 2)
        found.append(skimmer.key_audio.norm.running_mean)
    torch.testing.assert_close(*found)
    assert found[0].abs().max() < 1e3
