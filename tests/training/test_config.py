"""Settings from a file and from the command line, checked before anything starts."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from training.config import ModelConfig, load_config, model_config, to_plain

CONFIGS = Path(__file__).parents[2] / "training/configs"
TOML = """
work = "runs"
plan = "a.plan"

[render.clips]
seed = 1
count = 16

[student]
rate = 1
train = ["clips"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TOML)
    return path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("student.epoch=3", "tiny.toml: no such setting: student.epoch"),
        ("studnt.epochs=3", "tiny.toml: no such setting: studnt"),
        ("student.epochs=many", "student.epochs cannot be 'many': .*integer"),
        ("student.epochs=3.0", "student.epochs cannot be 3.0"),
        ("student.epochs=true", "student.epochs cannot be True"),
        ("student.distilled=1", "student.distilled cannot be 1"),
        ("student.rate=nan", "student.rate cannot be nan"),
        ("plan=3", "plan cannot be 3"),
        ("skim.factors=[1, 'x']", "skim.factors.1 cannot be 'x'"),
        ("skim.factors=3", "skim.factors cannot be 3"),
        ("skim=3", "skim cannot be 3"),
        ("render.clips.seed='3'", "render.clips.seed cannot be '3'"),
        ("render.more.count=3", "render.more.seed is missing"),
        ("reencode.clips.source=clips", "tiny.toml: more than one set is called clips"),
        ("precision=fp8", "precision cannot be 'fp8'"),
        ("model.audio_stem_stride=3", "model.audio_stem_stride cannot be 3"),
        ("work.folder=a", "work is a setting, no table"),
        ("seed", "name=value"),
    ],
)
def test_wrong_settings_are_named(file, override, message):
    with pytest.raises(ValueError, match=message):
        load_config(file, [override])


def test_a_missing_setting_is_named(tmp_path):
    (tmp_path / "no.toml").write_text("plan = 'a.plan'")
    with pytest.raises(ValueError, match=r"no\.toml: work is missing"):
        load_config(tmp_path / "no.toml")


def test_settings_and_overrides_have_their_types(file):
    settings = [
        "student.epochs=5",
        "skim.train=['a', 'b']",
        "render.more.seed=2",
        "render.more.count=3",
        "teacher.weights=a folder",
    ]
    config = load_config(file, settings)
    assert config.student.epochs == 5
    assert config.student.train == ("clips",)
    assert config.skim.train == ("a", "b")
    assert isinstance(config.student.rate, float)
    assert [(name, render.seed, render.count) for name, render in config.render.items()] == [
        ("clips", 1, 16),
        ("more", 2, 3),
    ]
    assert config.teacher.weights == "a folder"


def test_the_model_alone_can_be_set_without_a_file():
    assert model_config(["model.keys=3"]) == ModelConfig(keys=3)
    with pytest.raises(ValueError, match="settings of model alone"):
        model_config(["student.epochs=3"])


@pytest.mark.parametrize("name", ["demo", "av-digits"])
def test_committed_configurations_are_whole(name):
    config = load_config(CONFIGS / f"{name}.toml")
    plain = json.loads(json.dumps(to_plain(config)))
    assert plain["student"]["train"] == list(config.student.train)
    assert plain["render"].keys() == config.render.keys()


def test_a_setting_added_later_shows_where_it_is_used():
    later = {"image", "image_weights", "image_side", "audio", "audio_weights", "tune"}
    old = {name: value for name, value in asdict(ModelConfig()).items() if name not in later}
    assert to_plain(ModelConfig()) == old
    assert to_plain(ModelConfig(image="mobilenet_v2"))["image"] == "mobilenet_v2"
