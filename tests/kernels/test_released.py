"""The authors' published skimming module, through the `released` preset: their outputs from their weights."""

import zlib

import numpy as np
import pytest

from l2l_engine.skim import Skimmer
from tests.shared import shared_files

FILES = {path.name: path for path in shared_files("released")}
if not FILES:
    pytest.skip("the released modules' reference outputs are not here", allow_module_level=True)


def shapes():
    for line in FILES["keys.txt"].read_text().splitlines():
        name, shape = line.split(" ", 1)
        yield name, tuple(int(n) for n in shape.strip("[]").split(",") if n.strip())


def made_from_its_name(name, shape):
    n = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith(("running_var", "weight_g")):
        return 1 + 0.1 * np.abs(n)
    if name.endswith("running_mean"):
        return 0.1 * n
    if len(shape) >= 2:
        return n / np.sqrt(np.prod(shape[1:])) * (16 if "queryfeature_mlp.3" in name else 1)
    return 1 + 0.1 * n if name.endswith("weight") else 0.1 * n


def batch_norm_folded(t, layer, norm):
    """A linear layer followed by batch norm in eval mode, as one layer."""
    scale = t[f"{norm}.weight"] / np.sqrt(t[f"{norm}.running_var"] + 1e-5)
    weight = t[f"{layer}.weight"].reshape(len(scale), -1) * scale[:, None]
    return weight, (t[f"{layer}.bias"] - t[f"{norm}.running_mean"]) * scale + t[f"{norm}.bias"]


def weight_norm_folded(t, name):
    v = t[f"{name}_v"]
    return t[f"{name}_g"] * v / np.linalg.norm(v, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def weights():
    t = {
        name.removeprefix("skim."): made_from_its_name(name, shape).astype(np.float64)
        for name, shape in shapes()
        if name.startswith("skim.") and not name.endswith("num_batches_tracked")
    }
    plain = {
        "fusion.0": "net_imageAudio.imageAudio_fc1",
        "fusion.1": "net_imageAudio.imageAudio_fc2",
        "classifier": "net_classifier.classifier",
        "modality": "modality_attention",
        "query_image.1": "image_queryfeature_mlp.3",
        "query_audio.1": "audio_queryfeature_mlp.3",
    }
    layers = {ours: (t[f"{theirs}.weight"], t[f"{theirs}.bias"]) for ours, theirs in plain.items()}
    for m in ("image", "audio"):
        layers[f"query_{m}.0"] = batch_norm_folded(t, f"{m}_queryfeature_mlp.0", f"{m}_queryfeature_mlp.1")
        layers[f"key_{m}"] = batch_norm_folded(t, f"{m}_key_conv1x1.0", f"{m}_key_conv1x1.1")
    folded = {
        f"{n}.{k}": v for n, pair in layers.items() for k, v in zip(("weight", "bias"), pair, strict=True)
    }
    folded["lstm.weight_ih"] = weight_norm_folded(t, "rnn.weight_ih")
    folded["lstm.weight_hh"] = weight_norm_folded(t, "rnn.weight_hh")
    folded["lstm.bias"] = t["rnn.bias_ih"] + t["rnn.bias_hh"]
    return {name: value.astype(np.float32) for name, value in folded.items()}


@pytest.mark.parametrize("golden", ["golden_exclude.npz", "golden_repeat.npz"])
def test_golden_outputs(weights, golden):
    with np.load(FILES[golden]) as wanted:
        excluding = bool(wanted["exclude_previous_argmax"])
        skimmer = Skimmer(weights, key_activation="relu", exclude_previous_argmax=excluding)
        b, n, _ = wanted["image_bank"].shape
        times = np.tile(np.arange(n) * (16 / 30), (b, 1))
        result = skimmer.run(
            wanted["image_bank"], wanted["audio_bank"], times, times, times, int(wanted["steps"])
        )
        for ours, theirs in (
            ("logits", "video_logits"),
            ("image_attention", "image_attention"),
            ("audio_attention", "audio_attention"),
            ("modality_scores", "modality_scores"),
            ("step_features", "step_features"),
        ):
            assert np.abs(getattr(result, ours) - wanted[theirs]).max() < 1e-4, ours
