"""Segments on the command line: printed, and in files of other programs' formats."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from l2l_engine import Classifier, Prediction, formats
from l2l_engine.cli import show, tell, written
from l2l_engine.result import Segment
from tests.api.commands import inside
from tests.formats.conftest import when

FOUND = (Segment("ball bouncing", 0.5, 2.0, 0.75), Segment("star\nshaking", 1.0, 3.5, 0.5))
OPTIONS = [written.option(name) for name in formats.FORMS]


@contextmanager
def plans_say_when() -> Iterator[None]:
    """No plan of these tests gives segments: predictions get them, and the check of the plan is told so."""
    with pytest.MonkeyPatch.context() as patch:
        predict = Classifier.predict_many

        def with_segments(self: Classifier, *arguments: object, **options: object) -> Iterator[object]:
            for answer in predict(self, *arguments, **options):  # type: ignore[arg-type]
                good = isinstance(answer, Prediction)
                yield dataclasses.replace(answer, segments=FOUND) if good else answer

        patch.setattr(Classifier, "predict_many", with_segments)
        patch.setattr(written, "says_when", lambda plan: True)
        yield


@pytest.fixture
def saying() -> Iterator[None]:
    with plans_say_when():
        yield


@pytest.mark.usefixtures("saying")
def test_every_format_of_one_file(
    plan_file: Path, video: Path, tmp_path: Path, classifier: Classifier
) -> None:
    targets = {name: tmp_path / f"out{form.suffix}" for name, form in formats.FORMS.items()}
    options = [word for name, target in targets.items() for word in (written.option(name), target)]
    status, out, err = inside("predict", video, "--plan", plan_file, *options, "--fps", 25)
    assert (status, err) == (0, "")
    assert "ball bouncing" in out
    answer = dataclasses.replace(classifier.predict(video), segments=FOUND)
    for name, target in targets.items():
        assert target.read_bytes().decode() == formats.FORMS[name].at(25)(answer)


@pytest.mark.usefixtures("saying")
def test_several_files_give_a_folder(plan_file: Path, video: Path, tmp_path: Path) -> None:
    names = ("a.mp4", "deep/a.mp4", "deep/b.mp4", "deep/b.mkv", "odd\udcff.mp4")
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / "in" / name)
    (tmp_path / "in/bad.mp4").write_text("no video")
    out = tmp_path / "new" / "out"
    done = inside("predict", tmp_path / "in", "-r", "--plan", plan_file, "--srt", out, "--jsonl")
    assert done[0] == 1
    assert done[1].count("\n") == len(names)
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert there == {"a.srt", "deep/a.srt", "deep/b.mp4.srt", "deep/b.mkv.srt", "odd\udcff.srt"}
    assert (out / "a.srt").read_text() == formats.srt(when(*(dataclasses.astuple(s)[:3] for s in FOUND)))


@pytest.mark.usefixtures("saying")
def test_a_file_without_frames_does_not_stop_the_rest(
    plan_file: Path, video: Path, sound_file: bytes, tmp_path: Path
) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(sound_file)
    copy, out = tmp_path / "a.mp4", tmp_path / "out"
    shutil.copy(video, copy)
    status, _, err = inside("predict", sound, copy, "--plan", plan_file, "--edl", out, "--vtt", out)
    assert status == 1
    assert "--edl:" in err
    assert "sound.wav: there is no frame rate in it" in err
    assert sorted(path.name for path in out.iterdir()) == ["a.edl", "a.vtt", "sound.vtt"]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_plan_without_segments_is_an_error_before_any_file(
    plan_file: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "in.mp4").write_text("never read")
    status, out, err = inside("predict", tmp_path / "in.mp4", "--plan", plan_file, option, tmp_path / "out")
    assert (status, out) == (2, "")
    assert f"the plan has no settings for segments, so nothing for {option}" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("saying")
def test_what_cannot_be_written_is_an_error_before_any_file(
    plan_file: Path, video: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "a.mp4"
    shutil.copy(video, copy)
    (tmp_path / "taken").write_text("mine")
    for words, arguments in (
        ("is the file that is classified", [copy, "--srt", copy]),
        ("is a file, where several files are a folder", [copy, video, "--srt", tmp_path / "taken"]),
        ("is another format's file already", [copy, "--srt", tmp_path / "o", "--vtt", tmp_path / "o"]),
        ("--fps goes with", [copy, "--srt", tmp_path / "out", "--fps", "25"]),
        ("an EDL counts", [copy, "--edl", tmp_path / "out", "--fps", "10"]),
        ("fps must be", [copy, "--otio", tmp_path / "out", "--fps", "-1"]),
        (
            "--parquet has segments as a column",
            [copy, "--srt", tmp_path / "out", "--parquet", tmp_path / "rows"],
        ),
        ("makes no predictions", [copy, "--srt", tmp_path / "out", "--explain"]),
    ):
        status, out, err = inside("predict", *arguments, "--plan", plan_file)
        assert (status, out) == (2, ""), words
        assert words in " ".join(err.replace("│", " ").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "taken"]
    assert copy.read_bytes() == video.read_bytes()


def test_names_of_urls_lead_nowhere_else() -> None:
    found = ["s3://bucket/a/../../x.mp4", "s3://bucket/a/y.mp4?version=1", Path("/tmp/z.mp4")]
    assert written._names(found[:2]) == ["x", "y"]
    assert all(".." not in name for name in written._names(found))  # type: ignore[arg-type]
    assert written._names([]) == []


def test_people_are_told_when(capsys: pytest.CaptureFixture[str]) -> None:
    answer = when(("ball bouncing", 61.25, 62.5), ("\x1b[2J", 70.0, 71.0))
    tell.prediction(show.console(), dataclasses.replace(answer, labels=("ball bouncing", "[b]star[/b]")))
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "when:        1:01.2 to 1:02.5     75.0%  ball bouncing" in told
    assert "happens:     ball bouncing, [b]star[/b]" in told
    tell.prediction(show.console(), when())
    assert "never" in capsys.readouterr().out
    tell.prediction(show.console(), when(*[("x", float(i), i + 0.5) for i in range(100)]))
    assert "and 60 more" in capsys.readouterr().out
    tell.prediction(show.console(), dataclasses.replace(answer, segments=None))
    assert "when:" not in capsys.readouterr().out
