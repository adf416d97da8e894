"""A folder of sounds to an audio-only plan, by the commands: the plan says what PyTorch does."""

import json

import numpy as np
import pytest
import torch

from l2l_engine import Classifier
from l2l_engine.media.ffmpeg import FFmpegSource
from l2l_engine.plan import MediaSettings
from tests.api.videos import write_video
from tests.training.tiny import write_settings
from training.__main__ import main
from training.clips.students import load_student
from training.config import load_config
from training.export.inputs import MOMENTS, calibration_inputs
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import to_sequences

TABLES = """
[sets.sounds]
manifest = "{folder}"

[student]
train = ["sounds"]
validation = ["sounds"]
streams = "audio"
pairs = 2
epochs = 2
batch = 4

[skim]
train = ["sounds"]
validation = ["sounds"]
modalities = ["audio"]
steps = 3
updates = 4
batch = 2
checkpoint_every = 2
"""
EVENTS = {"early": (0.0, 2.0), "late": (3.0, 5.0)}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A finished run on two sounds and two videos, whose pictures could not be decoded if anybody tried."""
    folder = tmp_path_factory.mktemp("sounds")
    lines = []
    for label, event in EVENTS.items():
        for kind in ("wav", "mp4"):
            name = f"{label}.{kind}"
            pictures = kind == "mp4"
            write_video(folder / name, seconds=5.0, event=event, video=pictures, container_format=kind)
            times = {"duration": 5.0, "stretches": [[0.0, 5.0]]}
            lines.append(
                json.dumps({"path": name, "name": name, "labels": [label], "split": "train"} | times)
            )
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    write_settings(folder, TABLES)
    settings = ["--config", str(folder / "tiny.toml"), "--set", "factor=1", "--set", "workers=0"]
    assert main(["finetune", *settings]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FFmpegSource, "iter_frames", never)
        for command in ("features", "skim", "export"):
            assert main([command, *settings]) == 0
    return load_config(folder / "tiny.toml", ["factor=1"])


def never(*_args, **_options):
    raise AssertionError("a picture was asked for")


def test_the_plan_says_what_pytorch_says(config):
    student, classes = load_student(config)
    tracks = to_sequences(extract_features(config, ["sounds"]), classes)
    assert not any(track.image.any() or track.image_valid.any() for track in tracks)
    skimmer = load_skimmer(config, len(classes))
    half = student.fusion[0].weight.shape[1] // 2
    assert skimmer.fusion[0].weight.shape == student.fusion[0].weight[:, half:].shape
    expected = skim_tracks(skimmer, tracks, config.skim.steps, config.factor).logits[:, -1]
    with Classifier(config.plan, precision="fp32") as classifier:
        document = classifier.plan.document
        assert (document.modalities, classifier.class_names) == (("audio",), ("early", "late"))
        for path, logits in zip(("early.wav", "early.mp4", "late.wav", "late.mp4"), expected, strict=True):
            found = classifier.predict(config.folder(path))
            assert found.media.frames_decoded == 0
            probabilities = torch.softmax(logits / document.temperature(3), dim=0)
            np.testing.assert_allclose(found.probabilities, probabilities, atol=2e-3)


def test_what_int8_is_calibrated_on_is_sound_alone(config):
    found = calibration_inputs(config, MediaSettings())
    assert len(found.inputs["audio"]) == len(found.inputs["image"]) + 4 * MOMENTS


def test_what_cannot_be_is_refused(config):
    settings = config.folder("tiny.toml")
    with pytest.raises(ValueError, match=r"skim\.modalities are"):
        load_config(settings, ['skim.modalities=["sound"]'])
    with pytest.raises(ValueError, match=r"paired joins images and sound; skim\.modalities are audio alone"):
        load_config(settings, ["skim.preset=paired"])
