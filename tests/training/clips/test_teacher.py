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
    with pytest.raises(ValueError, match=r"teacher\.width = 1\.0"):
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
        # A block that starts as the identity passes nothing to its inner weights yet.
        assert sizes[1][name] <= 10 * size, name


def test_the_logit_of_a_class_is_the_sum_of_its_parts():
    parts = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    teacher = Teacher(2, width=0.0625, parts=parts).eval()
    with torch.inference_mode():
        features, logits = teacher(torch.randint(0, 256, (3, 8, 16, 16, 3), dtype=torch.uint8))
        scores = teacher.fc(features)
    torch.testing.assert_close(
        logits, torch.stack([scores[:, 0] + scores[:, 2], scores[:, 1] + scores[:, 2]], 1)
    )


def test_pooling_the_greatest_finds_what_is_in_one_place():
    teacher = Teacher(2, width=0.0625, pool="max").eval()
    maps = torch.zeros(1, 32, 2, 4, 4)
    maps[0, 5, 0, 2, 3] = 8.0
    teacher.layer3, teacher.layer4 = torch.nn.Identity(), torch.nn.Identity()
    teacher.layer2 = teacher.layer1 = teacher.stem = torch.nn.Identity()
    features, _ = teacher.body(maps)
    assert features[0, 5] == 4.0  # over two moments, the mean
    assert features.sum() == 4.0
