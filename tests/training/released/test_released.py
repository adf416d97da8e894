"""Checkpoints in the published layout become plans, or a line that says why not."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from l2l_engine import Classifier
from l2l_engine.plan import read_plan
from tests.training.released.published import checkpoint, tiny_shapes
from training.__main__ import main
from training.models import ReleasedAudioEncoder
from training.released import import_released
from training.released.checkpoint import Table, read_tensors
from training.released.layout import audio_stream, image_stream, skimming_weights

FEATURES = 64


@pytest.fixture(scope="module")
def tensors():
    return checkpoint(tiny_shapes().items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tensors):
    """A whole plan, and one of a checkpoint without an LSTM, each with what was said about it."""
    path = tmp_path_factory.mktemp("released")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tensors.items()}}, path / "whole.pth")
    torch.save({k: v for k, v in tensors.items() if "rnn" not in k}, path / "clip.pth")
    (path / "classes.txt").write_text("".join(f"{word}\n" for word in "abcde"))
    return path


@pytest.fixture(scope="module")
def whole(folder):
    classes = ["--classes", str(folder / "classes.txt")]
    return run(folder / "whole.pth", "--no-exclude", *classes)


@pytest.fixture(scope="module")
def clip(folder):
    return run(folder / "clip.pth")


def run(source, *options):
    output = source.with_suffix(".plan")
    main(["import-released", "--checkpoint", str(source), "--output", str(output), *options])
    return read_plan(output)


def test_a_whole_checkpoint_gives_a_plan_that_skims(whole, video):
    assert whole.document.classes == tuple("abcde")
    skim = whole.document.skim
    assert (skim.preset, skim.key_activation, skim.exclude_previous_argmax) == ("released", "relu", False)
    with Classifier(whole.path) as classifier:
        assert len(classifier.predict(video, steps=3).moments) == 2


@pytest.fixture
def _quick(monkeypatch):
    """No graphs are made: they cost seconds."""
    graphs = {"image.fp32": b"no graph", "audio.fp32": b"no graph"}
    monkeypatch.setattr("training.released.fp32_graphs", lambda *_: (graphs, {}))


@pytest.mark.usefixtures("_quick")
def test_exclusion_is_on_unless_told_otherwise(tensors, tmp_path):
    save_file(tensors, tmp_path / "x.safetensors")
    done = import_released([tmp_path / "x.safetensors"], tmp_path / "x.plan")
    assert done.plan.document.skim.exclude_previous_argmax
    assert done.plan.document.classes[0] == "class-0001"
    assert (done.missing, done.left_over) == ((), ())


def test_keys_and_queries_are_folded_as_pytorch_computes_them(tensors):
    folded = skimming_weights(Table(tensors), FEATURES)
    for theirs, ours, size in (
        ("image_key_conv1x1", "key_image", FEATURES),
        ("audio_queryfeature_mlp", "query_audio.0", 16),
    ):
        part = {k.partition(f"{theirs}.")[2]: v for k, v in tensors.items() if f"{theirs}." in k}
        rows = len(part["0.weight"])
        part["0.weight"] = part["0.weight"].view(rows, size)
        layers = nn.Sequential(nn.Linear(size, rows), nn.BatchNorm1d(rows)).eval()
        layers.load_state_dict({k: v for k, v in part.items() if k[0] in "01"})
        x = torch.randn(3, size)
        wanted = layers(x).detach()
        np.testing.assert_allclose(
            x.numpy() @ folded[f"{ours}.weight"].T + folded[f"{ours}.bias"], wanted, rtol=1e-4, atol=1e-5
        )


def test_the_lstms_weight_norm_is_folded_as_pytorch_computes_it(tensors):
    folded = skimming_weights(Table(tensors), FEATURES)
    v, g = tensors["skim.rnn.weight_hh_v"], tensors["skim.rnn.weight_hh_g"]
    np.testing.assert_allclose(folded["lstm.weight_hh"], torch._weight_norm(v, g, 0), rtol=1e-5)
    np.testing.assert_allclose(
        folded["lstm.bias"], tensors["skim.rnn.bias_ih"] + tensors["skim.rnn.bias_hh"], rtol=1e-6
    )


def test_audio_is_summed_over_frequency_and_pooled_over_time():
    encoder = ReleasedAudioEncoder(0.125).eval()
    samples = torch.randn(2, 16000)
    with torch.inference_mode():
        maps = encoder.trunk.maps(encoder.logmel(samples))
        assert maps.shape == (2, 64, 7, 3)
        line = sum(encoder.collapse.weight.flatten()[f] * maps[..., f] for f in range(3))
        wanted = (line + encoder.collapse.bias).max(dim=2).values
        torch.testing.assert_close(encoder(samples), wanted)


def test_the_stem_is_the_later_of_its_two_names(tensors):
    table = Table(tensors)
    stem = audio_stream(table).trunk.conv1.weight
    assert torch.equal(stem, tensors["audio.feature_extraction.0.weight"])
    assert "audio.conv1.weight" not in table.left_over()


def test_a_checkpoint_may_lie_in_several_files_of_short_names(tensors, tmp_path):
    parts = {"image": {}, "audio": {}, "skim": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][f"net.{rest}" if part != "skim" else rest] = tensor
    del parts["audio"]["net.conv1.weight"]
    for part, content in parts.items():
        torch.save(content, tmp_path / f"{part}.pth")
    with pytest.raises(
        ValueError, match=r"audio\.pth: tensor net.feature_extraction.0.weight is another one"
    ):
        read_tensors([tmp_path / "image.pth", tmp_path / "audio.pth"])
    torch.save({k.removeprefix("net."): v for k, v in parts["audio"].items()}, tmp_path / "audio.pth")
    table = Table(read_tensors([tmp_path / f"{part}.pth" for part in parts]))
    assert torch.equal(audio_stream(table).trunk.conv1.weight, tensors["audio.feature_extraction.0.weight"])
    assert torch.equal(
        image_stream(table).trunk.layer4[1].conv2.weight,
        tensors["image.feature_extraction.7.1.conv2.weight"],
    )


def psi(plan, image, audio):
    """Eq. 1's fusion in float64."""
    w = {name: value.astype(np.float64) for name, value in plan.skim.items()}
    hidden = np.concatenate([image, audio], axis=1) @ w["fusion.0.weight"].T + w["fusion.0.bias"]
    return np.maximum(hidden, 0) @ w["fusion.1.weight"].T + w["fusion.1.bias"]


def log_probabilities(plan, image, audio):
    logits = psi(plan, image, audio).mean(axis=0) @ plan.skim["classifier.weight"].T
    logits += plan.skim["classifier.bias"]
    return logits - np.logaddexp.reduce(logits)


def test_without_skimming_tensors_all_pairs_are_averaged(clip, monkeypatch):
    assert clip.document.skim.preset == "clip"
    assert clip.document.sampling.factor == 1
    rng = np.random.default_rng(0)
    image, audio = 3 * rng.standard_normal((2, 41, FEATURES))
    nothing = np.zeros_like(image)
    with Classifier(clip.path) as classifier:
        for chunk in (256, 16, 41):
            monkeypatch.setattr("l2l_engine.skim.pairs.CHUNK", chunk)
            for banks in ((image, audio), (image, None), (None, audio)):
                found = classifier.predict_features(*banks)
                wanted = log_probabilities(clip, *(nothing if bank is None else bank for bank in banks))
                np.testing.assert_allclose(np.log(found.probabilities), wanted, atol=1e-5)
                assert found.moments == ()


def test_between_knots_the_features_of_a_clip_plan_are_interpolated(clip):
    rng = np.random.default_rng(1)
    image, audio = rng.standard_normal((2, 2, FEATURES))
    with Classifier(clip.path) as classifier:
        found = classifier.predict_features(
            image, audio, image_times=[0, 2], audio_times=[0, 2], timestamps=[0, 1, 2]
        )
    banks = (np.stack([bank[0], bank.mean(axis=0), bank[1]]) for bank in (image, audio))
    np.testing.assert_allclose(np.log(found.probabilities), log_probabilities(clip, *banks), atol=1e-5)


def test_a_clip_plan_looks_at_every_pair_of_a_video(clip, video):
    with Classifier(clip.path) as classifier:
        prediction = classifier.predict(video)
        n = len(prediction.timestamps)
        assert prediction.media.audio_knots == n
        assert prediction.media.image_knots >= n - 1  # nearer than a hop, a frame stands for two timestamps
        assert prediction.moments == ()
        with pytest.raises(ValueError, match="steps must be 1 or left out"):
            classifier.predict(video, steps=2)


@pytest.mark.usefixtures("_quick")
def test_what_is_missing_and_left_over_is_said(folder, tensors, capsys):
    odd = {k: v for k, v in tensors.items() if k != "skim.rnn.bias_ih"} | {"skim.surprise": torch.zeros(2)}
    torch.save(odd, folder / "odd.pth")
    run(folder / "odd.pth")
    said = capsys.readouterr().out
    assert "missing for skimming, so that the plan averages all pairs: rnn.bias_ih\n" in said
    left_over = next(line for line in said.splitlines() if line.startswith("left over"))
    assert "skim.surprise" in left_over
    assert "skim.rnn.bias_hh" in left_over
    assert "num_batches_tracked" not in said
    assert "prediction_fc" not in said


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def changed(tensors, **changes):
    return {k: changes.get(k, v) for k, v in tensors.items()} if changes else dict(tensors)


def without(tensors, part):
    return {k: v for k, v in tensors.items() if part not in k}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: {"a": Code(), **t}, "objects or code"),
        (lambda _: {"epoch": 3}, "no tensors"),
        (lambda t: without(t, "net_classifier"), "classifier.weight is missing"),
        (lambda t: without(t, "imageAudio_fc2"), "imageAudio_fc2.weight is missing"),
        (lambda t: without(t, "freq_conv1x1"), "freq_conv1x1.weight is missing"),
        (lambda t: without(t, "image.feature"), "image stream is missing"),
        (lambda t: without(t, "audio.feature_extraction.7.1.bn2.bias"), "7.1.bn2.bias is missing"),
        (
            lambda t: changed(t, **{"image.feature_extraction.1.bias": torch.zeros(9)}),
            "feature_extraction.1.bias has shape 9, expected 8",
        ),
        (
            lambda t: changed(t, **{"skim.net_imageAudio.imageAudio_fc1.weight": torch.zeros(20, 64)}),
            "expected anyx128",
        ),
        (
            lambda t: changed(t, **{"skim.rnn.weight_ih_v": torch.zeros(64, 64)}),
            "row of zeros",
        ),
        (
            lambda t: changed(t, **{"skim.modality_attention.bias": torch.full((2,), torch.nan)}),
            "not finite",
        ),
        (
            lambda t: {**t, "other.classifier.weight": torch.zeros(5, 64)},
            "classifier.weight is several tensors",
        ),
        (lambda t: {**t, "b.feature_extraction.0.weight": torch.zeros(8, 3, 7, 7)}, "several image streams"),
    ],
)
def test_a_bad_checkpoint_is_refused_in_one_line(tensors, tmp_path, monkeypatch, capsys, make, message):
    monkeypatch.chdir(tmp_path)
    torch.save(make(tensors), "x.pth")
    refused(message, capsys)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "x.pth"), (b"nonsense" * 40, "x.pth"), (b"PK\3\4" + b"\0" * 90, "x.pth"), (None, "x.pth")],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, monkeypatch, capsys, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "x.pth").write_bytes(content)
    refused(message, capsys)


def test_a_damaged_safetensors_file_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    refused("x.safetensors: this is no intact safetensors file", capsys, "x.safetensors")


def test_class_names_must_be_as_many_as_classes(tensors, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save(tensors, "x.pth")
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    refused("2 class names are given, the classifier has 5", capsys, "x.pth", "--classes", "names.txt")


def refused(message, capsys, source="x.pth", *options):
    with pytest.raises(SystemExit):
        main(["import-released", "--checkpoint", source, "--output", "x.plan", *options])
    last = capsys.readouterr().err.splitlines()[-1]
    assert message in last
    assert not os.path.exists("x.plan")  # noqa: PTH110
