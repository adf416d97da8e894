"""The code of README.md and docs/usage.md runs, with the demo's plan and videos behind the names in it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from l2l_engine import Classifier, Prediction
from tests.api.commands import inside
from tests.api.test_tags import write as write_tags
from tests.docs.pages import ROOT, blocks
from training.commands import build_parser

DEMO = ROOT / "demo"
WRITES = {"--resume", "--timeline", "--plot", "-o"}
"""Options that name a file to write."""
VIDEOS = ("long_video.mp4", "holiday.mp4", "clip.mp4", "lecture.mp4", "videos/one.mp4", "videos/two.mp4")
ELSEWHERE = ("pip", "make", "python")
"""Commands that set up: `.ci/run` runs `make test`; test_packaging installs; those of Python are parsed."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of the names that the pages use, and nothing else."""
    (tmp_path / "videos").mkdir()
    for name in VIDEOS:
        (tmp_path / name).symlink_to(DEMO / "ring-spinning.mp4")
    shutil.copy(DEMO / "demo.plan", tmp_path / "engine.plan")
    write_tags(tmp_path / "starter.plan", "image", "audio")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("L2L_PLAN", raising=False)
    return tmp_path


def commands(page: str) -> list[list[str]]:
    lines = "".join(blocks(ROOT / page, "sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.mark.parametrize(("page", "least"), [("README.md", 1), ("docs/usage.md", 5), ("docs/reading.md", 1)])
@pytest.mark.usefixtures("here")
def test_python_runs(page: str, least: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks of a page one after the other, as one would paste them into one session."""
    code = blocks(ROOT / page, "python")
    assert len(code) >= least
    names: dict[str, object] = {}
    for block in code:
        exec(compile(block, page, "exec"), names)
    assert "ring spinning" in capsys.readouterr().out
    for value in names.values():
        if isinstance(value, Classifier):
            value.close()


@pytest.mark.parametrize("page", ["README.md", "docs/usage.md"])
def test_commands_are_known(page: str) -> None:
    assert commands(page)
    assert {command[0] for command in commands(page)} <= {"l2l", *ELSEWHERE}


def test_python_knows_what_the_front_page_tells_it() -> None:
    told = [command[1:] for command in commands("README.md") if command[0] == "python"]
    assert [words[:3] for words in told] == [["-m", "training", "starter"]]
    for words in told:
        build_parser(()).parse_args(words[2:])


def test_make_knows_what_the_front_page_tells_to_make() -> None:
    told = [command[1] for command in commands("README.md") if command[0] == "make"]
    assert told == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in told)


@pytest.mark.parametrize("command", [c for c in commands("docs/usage.md") if c[0] == "l2l"], ids=" ".join)
def test_the_command_line_runs(command: list[str], here: Path) -> None:
    if "--plot" in command:
        pytest.importorskip("matplotlib")
    status, out, err = inside(*command[1:])
    assert (status, err) == (0, "")
    written = [here / command[at + 1] for at, word in enumerate(command) if word in WRITES]
    assert all(path.stat().st_size > 100 for path in written)
    assert out or "--resume" in command


def shape(text: str) -> list[str]:
    """Lines without their numbers, which depend on the machine's arithmetic, and without bars."""
    lines = [re.sub(r"[\d.]+", "#", line.replace("█", "")).rstrip() for line in text.splitlines()]
    return [re.sub(r"(bf16|fp32)$", "PRECISION", line) for line in lines if line]


def test_what_make_demo_prints_is_what_the_front_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (shown,) = blocks(ROOT / "README.md", "text")
    status, out, _ = inside("predict", "demo/ring-spinning.mp4", "--plan", "demo/demo.plan")
    assert status == 0
    assert shape(shown) == shape(out)
    assert re.findall(r"([\d.]+) s \(", shown) == re.findall(r"([\d.]+) s \(", out)


def test_what_comes_back_is_what_the_front_page_lists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("What comes back") : text.index("Less work")]
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert len(named) > 10
    assert all(name in Prediction.__dataclass_fields__ for name in named)
