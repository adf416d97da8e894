"""A wrong configuration ends every command before any media is opened, any process or any work begins."""

import json
import multiprocessing.process
import shutil
import subprocess

import av
import pytest
import torch

from tests.training.tiny import write_settings
from training.__main__ import STAGES, STUDIES, main
from training.checks import check, sets_of
from training.clips.students import build_student
from training.config import load_config
from training.errors import InputError
from training.journey.choices import USUAL, choose_config
from training.runs.checkpoint import save_network
from training.skimming.build import build_skimmer

TABLES = """
[render.clips]
seed = 1
count = 4
split = "clips"
config = "{folder}/clips.toml"

[sets.whole]
manifest = "{folder}/manifest.jsonl"
split = "train"

[reencode.again]
source = "clips"

[student]
train = ["clips"]
validation = ["whole"]

[skim]
train = ["whole"]
validation = ["again"]

[evaluate]
set = "clips"
"""
COMMANDS = [*STAGES, *STUDIES, "evaluate", "all"]


@pytest.fixture
def folder(tmp_path):
    write_settings(tmp_path, TABLES)
    entry = {"path": "a.mp4", "label": "a", "duration": 10.0, "stretches": [[0.0, 10.0]], "split": "train"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(entry) + "\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_is_opened(monkeypatch):
    def opened(*args, **_options):
        pytest.fail(f"work began: {args}")

    monkeypatch.setattr(av, "open", opened)
    monkeypatch.setattr(subprocess, "run", opened)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", opened)


def refused(words, capsys):
    """What a command says that ends with status 2."""
    with pytest.raises(SystemExit) as end:
        main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert len(said.splitlines()) == 1
    return said


WRONG = {
    "model.image=efficientnet_lite0": "image_width is 0.0625, but efficientnet_lite0 has one width: set it",
    "model.image=resnet9": "model.image is 'resnet9', which is neither",
    "model.features=0": "model.features cannot be 0",
    "precisions=['fp8']": r"precisions.0 cannot be 'fp8'",
    "skim.factors=[]": "skim.factors cannot be []",
    "skim.block_vote=[0.5]": "skim.block_vote",
    "skim.hop=0": "skim.hop is 0 s",
    "variants.names=['lstn']": "there is no variant 'lstn'",
    "student.labels=2.0": "student.labels cannot be 2.0",
    "teacher.train=['clips']": "model.features is 32, but the teacher's features have 512 numbers",
    "recogniser={kind='frame', image='vit_b_16', image_side=96}": "recogniser.image vit_b_16 cannot take",
    "recogniser={kind='frame', side=2049}": "recogniser.side cannot be 2049",
    "model.audio=yamnet": "audio_width is 0.0625, but yamnet has one width: set it to 1.0",
    "model={audio='yamnet', audio_stem_stride=1}": "audio_stem_stride is 1, which only resnet18",
    "model={audio='squeezenet1_1', audio_stem_stride=1}": "audio_stem_stride is 1, which only resnet18",
    "model.audio=yamnet2": "model.audio is 'yamnet2', which is neither",
    "model.tune=some": "model.tune cannot be 'some'",
    "plan=.": "plan is ., which is a folder",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("setting", ["model.image=efficientnet_lite0", "model.features=0"])
def test_a_wrong_setting_ends_every_command(command, setting, folder, capsys):
    said = refused([command, "--config", str(folder / "tiny.toml"), "--set", setting], capsys)
    assert WRONG[setting] in said


@pytest.mark.parametrize("setting", WRONG)
def test_every_wrong_setting_ends_the_first_command(setting, folder, capsys):
    said = refused(["render", "--config", str(folder / "tiny.toml"), "--set", setting], capsys)
    assert WRONG[setting] in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_set_that_is_not_there_ends_every_command_that_uses_it(command, folder, capsys):
    save_network_of(folder)
    skimmer = build_skimmer(load_config(folder / "tiny.toml"), 2)
    save_network(folder / "skim/skimmer.safetensors", skimmer)
    (folder / "tiny.plan").touch()
    whole = ["--config", str(folder / "tiny.toml")]
    for key in ("student.train", "skim.train", "skim.validation", "evaluate.set"):
        wrong = "none" if key == "evaluate.set" else "['none']"
        config = load_config(folder / "tiny.toml", [f"{key}={wrong}"])
        stages = STAGES if command == "all" else [command]
        if any("none" in sets_of(config, stage) for stage in stages):
            assert "no set 'none'" in refused([command, *whole, "--set", f"{key}={wrong}"], capsys)
    (folder / "manifest.jsonl").write_text("")
    if command in ("finetune", "features", "render", "skim", "all"):
        assert "lists no video of split 'train'" in refused([command, *whole], capsys)
    (folder / "manifest.jsonl").unlink()
    if command in ("finetune", "features", "render", "skim", "all"):
        assert "cannot be read as a manifest" in refused([command, *whole], capsys)


def student(folder, *overrides):
    return build_student(load_config(folder / "tiny.toml", overrides).model, 2), ("a", "b")


def save_network_of(folder, *overrides):
    network, classes = student(folder, *overrides)
    save_network(folder / "student/student.safetensors", network, classes=classes)


@pytest.mark.parametrize(
    ("command", "made_by"),
    [
        ("features", "finetune"),
        ("skim", "finetune"),
        ("variants", "finetune"),
        ("export", "finetune"),
        ("evaluate", "finetune"),
        ("distill", "teacher"),
        ("clips", "teacher"),
        ("finetune", "distill"),
    ],
)
def test_what_an_earlier_command_makes_is_looked_up(command, made_by, folder, capsys):
    words = [command, "--config", str(folder / "tiny.toml")]
    if made_by != "finetune":
        words += ["--set", "teacher={train=['clips'], validation=['clips'], width=0.0625}"]
    assert f"no such file yet; `python -m training {made_by}` makes it" in refused(words, capsys)


def test_weights_of_other_settings_are_refused(folder, capsys):
    save_network_of(folder, "model.features=16")
    for command in ("features", "skim", "export", "variants"):
        said = refused([command, "--config", str(folder / "tiny.toml")], capsys)
        assert "student.safetensors was trained with other settings of the network" in said
    save_network_of(folder)
    assert "`python -m training skim` makes it" in refused(
        ["export", "--config", str(folder / "tiny.toml")], capsys
    )
    assert "tiny.plan: no such plan yet" in refused(
        ["evaluate", "--config", str(folder / "tiny.toml")], capsys
    )


@pytest.mark.parametrize("command", ["finetune", "distill", "clips", "all"])
def test_weights_to_start_from_are_read_first(command, folder, capsys):
    words = ["--set", f"model.image_weights={folder}", "--set", "model.image_width=1.0"]
    said = refused([command, "--config", str(folder / "tiny.toml"), *words], capsys)
    assert "resnet18-f37072fd.pth: no such file (model.image_weights); get it from https" in said


def test_a_teachers_weights_are_read_first(folder, capsys):
    words = ["--set", f"teacher={{train=['clips'], weights='{folder}'}}", "--set", "model.features=512"]
    said = refused(["teacher", "--config", str(folder / "tiny.toml"), *words], capsys)
    assert "r2plus1d_18-91a641e6.pth: no such file; get it from" in said
    words = ["--set", "recogniser={kind='clip', folder='nowhere'}"]
    said = refused(["recogniser", "--config", str(folder / "tiny.toml"), *words], capsys)
    assert "nowhere/classes.txt: no such file" in said


def test_ranges_of_a_rendered_set_are_read_first(folder, capsys):
    (folder / "clips.toml").write_text("durations = 3")
    said = refused(["render", "--config", str(folder / "tiny.toml")], capsys)
    assert "render.clips.config" in said
    assert "no such setting: durations" in said
    said = refused(["all", "--config", str(folder / "tiny.toml"), "--set", "render.clips.digits=x"], capsys)
    assert "render.clips.digits: there is no folder x" in said


def test_what_is_right_passes_and_draws_nothing(folder):
    config = load_config(folder / "tiny.toml")
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    check(config, STAGES)
    assert torch.equal(torch.rand(3), expected)


OWN = {
    "model.image=resnet9": "model.image is 'resnet9'",
    "model.image=vit_b_16 model.image_side=64": "image_side changes their size",
    "model.image=efficientnet_lite0 model.image_width=0.25": "set it to 1.0",
    "model.image=mobilenet_v2 model.image_weights=package": "no package brings weights of mobilenet_v2",
    "student.epochs=0": "student.epochs cannot be 0",
    "recogniser.kind=nothing": "recogniser.kind cannot be 'nothing'",
}


@pytest.mark.parametrize("settings", OWN)
def test_own_footage_is_not_opened_for_a_wrong_setting(settings, tmp_path, capsys):
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "videos" / "a" / "x.mp4").write_bytes(b"never opened")
    words = [word for setting in settings.split() for word in ("--set", setting)]
    data = ["--data", str(tmp_path / "videos"), "--output", str(tmp_path / "x.plan")]
    assert OWN[settings] in refused(["all", *data, *words], capsys)
    assert not (tmp_path / "x.work").exists()


def configured(settings, folder):
    return choose_config(USUAL, config=None, overrides=settings, work=folder, plan=folder / "x.plan").config


def test_an_encoder_of_one_width_needs_no_width(tmp_path):
    """The command in docs/training.md: own.toml has a width for ResNet-18, which nobody asked for."""
    settings = ["model.image=efficientnet_lite0", "model.image_weights=package"]
    own = [*settings, "model.audio=resnet18"]
    config = configured(own, tmp_path)
    assert config.model.image_width == 1.0
    assert config.model.audio_width == 0.25
    check(config, STAGES, footage=False)
    assert configured(["model.image=resnet18", "model.audio=resnet18"], tmp_path).model.image_width == 0.25
    conflict = configured([*own, "model.image_width=0.25"], tmp_path)
    with pytest.raises(InputError, match=r"set it to 1\.0"):
        check(conflict, STAGES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--least", "0"], "from 1 video on, not 0"),
        (["--workers", "-1"], "-1 workers"),
        (["--test", "1.5"], "shares of validation and test"),
        (["--layout", "csv"], "0 annotation files given: give the CSV file"),
    ],
)
def test_prepare_opens_nothing_before_its_options_are_right(words, message, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_bytes(b"never opened")
    said = refused(["prepare", "--data", str(tmp_path), "--output", str(tmp_path / "out"), *words], capsys)
    assert message in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "--random", "--set", "model.image=resnet9"], "model.image is 'resnet9'"),
        (["export", "--random", "--preset", "released", "--set", "model.image_width=0.5"], "preset released"),
        (["export", "--random"], "is a folder"),
        (["import-released", "--checkpoint", "nowhere.pt"], "is a folder"),
    ],
)
def test_plans_from_elsewhere_begin_with_what_is_wrong(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a checkpoint was read"))
    output = tmp_path / "x.plan" if len(words) > 2 and words[0] == "export" else tmp_path
    assert message in refused([*words, "--output", str(output)], capsys)
    shutil.rmtree(tmp_path)
