"""What learns of a student: all of it, its last stage, or what stands behind its trunks."""

import pytest
import torch

from tests.training.frozen.footage import write_footage
from training.__main__ import main
from training.checks import check
from training.clips.students import build_student, load_student, new_student
from training.config import ModelConfig, load_config
from training.errors import InputError
from training.models.backbones import build_backbone
from training.models.stages import split

TINY = ModelConfig(image_width=0.125, audio_width=0.125, features=64, fusion=8)


def learning(student):
    return {name for name, weight in student.named_parameters() if weight.requires_grad}


def tuned(which):
    return build_student(ModelConfig(0.125, 0.125, features=64, fusion=8, tune=which), 3)


def test_all_weights_learn_unless_asked_otherwise():
    student = build_student(TINY, 3)
    assert learning(student) == {name for name, _ in student.named_parameters()}


def test_of_frozen_trunks_nothing_moves():
    student = tuned("none").train()
    assert not {name for name in learning(student) if ".trunk." in name or ".norm." in name}
    assert {"image.project.weight", "audio.project.weight", "fusion.0.weight"} <= learning(student)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    student(
        torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8),
        torch.randn(2, 16000),
        torch.tensor([True, True]),
        torch.tensor([True, True]),
    )
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_the_last_stage_is_the_end_of_the_trunk():
    student = tuned("last").train()
    own = {name for name in learning(student) if ".trunk." in name}
    assert own
    assert {name.split(".")[2] for name in own} == {"layer4"}
    assert student.image.trunk.layer4.training
    assert not student.image.trunk.layer1.training
    assert not student.image.trunk.bn1.training


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_any_trunk_has_a_last_stage(name):
    trunk = build_backbone(name).network
    kept = {id(weight) for block in split(trunk)[0] for weight in block.parameters()}
    everything = [id(weight) for weight in trunk.parameters()]
    assert 0 < len(kept) < len(everything)
    assert everything[0] in kept
    assert everything[-1] not in kept


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["skim.preset=auto"], "model.tune"),
        (["skim.preset=clip", "model.tune=last"], "model.tune"),
        (["model.tune=none", 'teacher.train=["train"]', "teacher.width=0.046875"], "distilled"),
    ],
)
def test_what_makes_no_sense_is_refused_before_work(tmp_path, settings, message):
    write_footage(tmp_path, classes=1, videos=1)
    config = load_config(tmp_path / "tiny.toml", settings)
    with pytest.raises(InputError, match=message):
        check(config, ["finetune"])


@pytest.mark.nightly
def test_the_last_stage_starts_from_what_was_learnt_behind_frozen_trunks(tmp_path):
    write_footage(tmp_path, classes=2, videos=4)
    settings = [
        *("--set", "model.tune=last", "--set", "student.rate=1e-9", "--set", "student.weight_decay=0.0"),
    ]
    for stage in ("finetune", "features", "skim", "export"):
        assert main([stage, "--config", str(tmp_path / "tiny.toml"), *settings]) == 0
    config = load_config(tmp_path / "tiny.toml", settings[1::2])
    student, _ = load_student(config)
    frozen, _ = load_student(config, tmp_path / "work/frozen")
    start = new_student(config.model, 2)
    assert start.image.trunk.conv1.weight.shape == student.image.trunk.conv1.weight.shape
    for name, value in frozen.state_dict().items():
        if name.endswith(("weight", "bias")):
            torch.testing.assert_close(student.state_dict()[name], value, rtol=0, atol=1e-4)
