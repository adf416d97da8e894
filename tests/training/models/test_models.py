import numpy as np
import pytest
import torch
import torchaudio
import torchvision

from training.models import AudioEncoder, Fusion, ImageEncoder, Student
from training.models.audio import LogMel
from training.models.resnet import ResNetTrunk


def sounds(count=4):
    time = np.arange(16000) / 16000
    rng = np.random.default_rng(0)
    rows = [
        rng.standard_normal(16000) * 0.1,
        np.sin(2 * np.pi * 440 * time),
        np.zeros(16000),
        (time * 8 % 1 < 0.01) * 0.9,
    ]
    return torch.tensor(np.array(rows[:count]), dtype=torch.float32)


def test_log_mel_equals_torchaudio():
    transform = torchaudio.transforms.MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=40)
    expected = torch.log(transform(sounds()) + 1e-6).transpose(1, 2)[:, None]
    found = LogMel()(sounds())
    assert found.shape == (4, 1, 101, 40)
    # Relative to the range of values; where a pure tone leaves nothing but rounding, the floor of 1e-6 rules.
    torch.testing.assert_close(found, expected, rtol=3e-5, atol=3e-5 * 14)


def test_image_pre_processing_is_torchvisions():
    image = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)
    encoder = ImageEncoder(0.125).eval()
    normalise = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = encoder.trunk(normalise(image.permute(0, 3, 1, 2) / 255))
    torch.testing.assert_close(encoder(image), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "features", "out"), [(0.125, None, 64), (0.25, None, 128), (0.125, 96, 96)]
)
def test_encoders_give_the_size_asked_for(width, features, out):
    image = torch.zeros(2, 112, 112, 3, dtype=torch.uint8)
    assert ImageEncoder(width, features)(image).shape == (2, out)
    assert AudioEncoder(width, features)(sounds(2)).shape == (2, out)


def test_audio_stem_of_stride_one_sees_a_larger_map():
    encoder = AudioEncoder(0.125, stem_stride=1)
    shapes = []
    encoder.trunk.conv1.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[2:])))
    assert encoder(sounds(2)).shape == (2, 64)
    assert shapes == [(101, 40)]


def test_full_width_trunk_takes_torchvision_weights():
    reference = torchvision.models.resnet18(weights=None).eval()
    weights = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    trunk = ResNetTrunk(3, 1.0).eval()
    trunk.load_state_dict(weights)
    reference.fc = torch.nn.Identity()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(trunk(x), reference(x), rtol=1e-5, atol=1e-5)


def test_fusion_by_hand():
    fusion = Fusion(1, 2)
    fusion[0].weight.data = torch.tensor([[1.0, 2.0], [-1.0, 0.0]])
    fusion[0].bias.data = torch.tensor([0.5, 0.0])
    fusion[1].weight.data = torch.tensor([[2.0, 10.0]])
    fusion[1].bias.data = torch.tensor([1.0])
    # relu(3 + 2*4 + 0.5) = 11.5, relu(-3) = 0; 2*11.5 + 0 + 1
    assert fusion(torch.tensor([[3.0]]), torch.tensor([[4.0]])).item() == pytest.approx(24.0)


def test_an_absent_modality_counts_as_a_zero_feature():
    student = Student(3, image_width=0.125, audio_width=0.125, features=64, fusion=16).eval()
    images = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)
    yes, no = torch.tensor([True, True]), torch.tensor([False, False])
    z = student.image(images)
    torch.testing.assert_close(student(images, sounds(2), yes, no), student.classify(z, torch.zeros_like(z)))
    z = student.audio(sounds(2))
    torch.testing.assert_close(student(images, sounds(2), no, yes), student.classify(torch.zeros_like(z), z))
