"""Our R(2+1)D-18 is torchvision's, but for the width and the pre-processing inside."""

import pytest
import torch
from torchvision.models.video import r2plus1d_18

from training.models.teacher import KINETICS_FILE, KINETICS_MEAN, KINETICS_STD, Teacher, load_kinetics


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return r2plus1d_18(weights=None, num_classes=400).eval()


def test_at_width_1_it_gives_torchvisions_numbers_from_torchvisions_file(published, tmp_path):
    torch.save(published.state_dict(), tmp_path / KINETICS_FILE)
    teacher = Teacher(400).eval()
    load_kinetics(teacher, tmp_path)
    clips = torch.randint(0, 256, (1, 4, 32, 32, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (KINETICS_MEAN, KINETICS_STD))
    with torch.inference_mode():
        features, logits = teacher(clips)
        expected = published((clips.permute(0, 4, 1, 2, 3) / 255 - mean) / std)
    assert features.shape == (1, 512)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_with_other_classes_the_classifier_stays_its_own(published, tmp_path):
    torch.save(published.state_dict(), tmp_path / KINETICS_FILE)
    teacher = Teacher(7)
    own = teacher.fc.weight.clone()
    load_kinetics(teacher, tmp_path)
    assert torch.equal(teacher.fc.weight, own)
    assert torch.equal(teacher.stem[0].weight, published.stem[0].weight)


def test_a_missing_file_is_named_with_its_source_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{KINETICS_FILE}: no such file; get it from https://"):
        load_kinetics(Teacher(400), tmp_path)


def test_a_narrow_teacher(tmp_path):
    teacher = Teacher(5, width=0.25)
    features, logits = teacher(torch.zeros(2, 16, 56, 56, 3, dtype=torch.uint8))
    assert (features.shape, logits.shape) == ((2, 128), (2, 5))
    with pytest.raises(ValueError, match="width 1"):
        load_kinetics(teacher, tmp_path)


def test_gradients_in_bf16_are_those_of_float32_in_size():
    clips = torch.randint(0, 256, (8, 16, 56, 56, 3), dtype=torch.uint8)
    teacher = Teacher(5, width=0.25).to(memory_format=torch.channels_last_3d)
    sizes = []
    for enabled in (False, True):
        teacher.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            _, logits = teacher(clips)
        torch.nn.functional.cross_entropy(logits.float(), torch.arange(8) % 5).backward()
        sizes.append({name: float(weight.grad.norm()) for name, weight in teacher.named_parameters()})
    for name, size in sizes[0].items():
        assert sizes[1][name] < 10 * size, name
