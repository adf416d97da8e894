"""A run behind frozen trunks, from files to a plan, and whether the plan says what the chosen head says."""

import json
import shutil

import numpy as np
import pytest
import torch

from l2l_engine import Classifier
from l2l_engine.plan import read_plan
from tests.training.frozen.footage import entry, write_clip, write_footage
from training.__main__ import main
from training.frozen.cache import embed_videos, extract_embeddings
from training.frozen.heads import of_probe, summed
from training.frozen.plans import read_choice, read_head, write_choice_plan
from training.frozen.probe import Material, fit_probes
from training.videos.manifest import read_manifest

FROZEN = ("--set", "model.tune=none", "--set", "skim.preset=auto")
PARTS = ("whole", "quiet", "dark")


@pytest.fixture(scope="module")
def run(tmp_path_factory, trunks):
    """A folder with a finished run: its settings, its plan, and clips that lack sound or pictures."""
    folder = tmp_path_factory.mktemp("frozen")
    write_footage(folder, trunks, classes=2, videos=4)
    for name, has in zip(PARTS, ({}, {"sound": False}, {"pictures": False}), strict=True):
        write_clip(folder / f"{name}.mkv", 1, 50, **has)
    (folder / "parts.jsonl").write_text(
        "\n".join(json.dumps(entry(folder / f"{name}.mkv", "class 1", "test")) for name in PARTS)
    )
    for stage in ("finetune", "features", "skim", "export"):
        assert main([stage, "--config", str(folder / "tiny.toml"), *FROZEN]) == 0
    return folder


def settings(folder):
    from training.config import load_config

    return load_config(folder / "tiny.toml", FROZEN[1::2])


def probabilities(plan, path):
    with Classifier(plan, precision="fp32", threads=1) as classifier:
        said = classifier.predict(path, sampling="exact")
    return np.asarray(said.probabilities)


def test_the_plan_says_what_the_head_says_also_without_sound_or_pictures(run):
    config = settings(run)
    record, head = read_choice(config), read_head(config)
    videos = embed_videos(config, read_manifest(run / "parts.jsonl"))
    expected = (head.scores(videos, record["factor"]) / record["temperature"]).softmax(dim=1)
    document = read_plan(run / "tiny.plan").document
    assert document.skim.preset == "clip"
    for video, row in zip(videos, expected, strict=True):
        there = [n for n in head.streams if bool(video.modality(n)[1].any())]
        if not there:
            continue  # nothing that the plan could see or hear
        found = probabilities(run / "tiny.plan", video.video.path)
        np.testing.assert_allclose(found, row.numpy(), atol=5e-3)


def test_what_was_tried_is_kept_with_intervals(run):
    record = read_choice(settings(run))
    json.dumps(record, allow_nan=False)
    tried = {(row["name"], tuple(row["streams"])) for row in record["rows"]}
    assert {("probe", (name,)) for name in ("image", "audio")} <= tried
    assert ("probe", ("image", "audio")) in tried
    probe = record["rows"][0]
    assert probe["score"]["low"] <= probe["score"]["top1"] <= probe["score"]["high"]
    assert any("not tried" in row["how"] for row in record["rows"])
    assert record["reason"]


def test_it_is_not_learnt_twice(run, monkeypatch):
    monkeypatch.setattr("training.frozen.stages.choose_head", lambda *_: pytest.fail("chosen again"))
    assert main(["finetune", "--config", str(run / "tiny.toml"), *FROZEN]) == 0


@pytest.fixture(scope="module")
def probes(run):
    """The probes of every modality on the run's training videos."""
    config = settings(run)
    videos = extract_embeddings(config, ["train"])
    labels = torch.tensor(
        [[video.video.label == name for name in ("class 0", "class 1")] for video in videos]
    )
    material = Material(videos, labels, torch.arange(len(videos)) % 3)
    return videos, fit_probes(material)


@pytest.mark.nightly
@pytest.mark.parametrize("streams", [("image",), ("audio",), ("image", "audio")])
def test_a_probe_is_exactly_an_averaging_plan(run, probes, streams, tmp_path):
    config, (videos, found) = settings(run), probes
    probe = found[streams]
    head = of_probe(probe)
    parts = embed_videos(config, read_manifest(run / "parts.jsonl"))
    choice = _choice(config, videos, head)
    plan = write_choice_plan(config, choice, tmp_path / "probe.plan")
    assert plan.document.modalities == streams
    expected = probe.scores(parts, choice.factor).softmax(dim=1)
    for video, row in zip(parts, expected, strict=True):
        if any(bool(video.modality(name)[1].any()) for name in streams):
            found = probabilities(plan.path, video.video.path)
            np.testing.assert_allclose(found, row.numpy(), atol=5e-3)


def test_a_probe_as_a_head_says_what_the_probe_says(run, probes):
    videos, found = probes
    parts = embed_videos(settings(run), read_manifest(run / "parts.jsonl"))
    for probe in found.values():
        for factor in (1, 2):
            said = of_probe(probe).scores([*videos, *parts], factor)
            torch.testing.assert_close(said, probe.scores([*videos, *parts], factor))


def _choice(config, videos, head):
    from training.frozen.choose import Choice
    from training.frozen.judging import Threshold

    return Choice(
        name="probe",
        preset="clip",
        streams=head.streams,
        factor=1,
        classes=("class 0", "class 1"),
        head=head,
        averaged=head,
        held_out=torch.zeros(0),
        rows=(),
        tried=(),
        reason="for the test",
        temperature=1.0,
        unsure=Threshold(None, 0.9, True, 1.0, 1.0),
        confused=(),
    )


def test_a_sum_of_heads_says_the_sum(probes):
    videos, found = probes
    heads = [of_probe(found["image",]), of_probe(found["image", "audio"])]
    said = summed(heads, [1.0, 0.5]).scores(videos)
    torch.testing.assert_close(said, heads[0].scores(videos) + 0.5 * heads[1].scores(videos))


@pytest.mark.nightly
def test_a_skimmer_learns_from_embeddings_and_nothing_is_decoded(run, tmp_path, monkeypatch):
    shutil.copytree(run / "work", tmp_path / "work")
    monkeypatch.setattr("training.skimming.features._extract", lambda *_: pytest.fail("decoded"))
    words = [f"work={tmp_path / 'work'}", f"plan={tmp_path / 'paper.plan'}", "model.tune=none"]
    asked = [word for setting in words for word in ("--set", setting)]
    for stage in ("finetune", "features", "skim", "export"):
        assert main([stage, "--config", str(run / "tiny.toml"), *asked]) == 0
    assert read_plan(tmp_path / "paper.plan").document.skim.preset == "paper"
