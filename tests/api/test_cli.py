from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from l2l_engine import Classifier, Prediction, __version__
from l2l_engine.cli import selftest, show, tell
from l2l_engine.media import folders, open_media
from l2l_engine.result import Moment
from tests.api.commands import inside, l2l


def test_predict_for_people(plan_file: Path, video: Path) -> None:
    done = l2l("predict", video, "--plan", plan_file)
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (str(video), "looked at:", "listened to:", "time:", "frames decoded", "%"):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout


def test_people_see_how_far_a_moment_stood_out(
    classifier: Classifier, sound_file: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    even, sharp = np.full(4, 0.25, np.float32), np.array([0, 0, 1, 0], np.float32)
    answer = classifier.predict(sound_file)
    moments = [
        Moment(step, None, 1.5 if attention is sharp else 0.0, (0.0, 1.0), np.zeros(4, np.float32), attention)
        for step, attention in enumerate([sharp, even, 0.5 * (sharp + even)], start=1)
    ]
    assert [moment.peaks for moment in moments] == [(0, 4), (0, 1), (0, 2.5)]
    tell.prediction(show.console(), replace(answer, moments=tuple(moments)))
    told = capsys.readouterr().out
    assert "looked at:   -\n" in told
    assert "listened to: 1.5 s (1 step, attention up to 4×), 0.0 s (2 steps, attention up to 2.5×)\n" in told


def test_predict_for_programs(plan_file: Path, video: Path) -> None:
    done = l2l("predict", video, "--plan", plan_file, "--jsonl", "--top-k", 2, "--steps", 3)
    assert done.returncode == 0
    answers = [Prediction.from_json(line) for line in done.stdout.splitlines()]
    assert [len(a.top_k) for a in answers] == [2]
    assert [len(a.moments) for a in answers] == [2]


def test_one_bad_file_does_not_stop_the_rest(plan_file: Path, video: Path, tmp_path: Path) -> None:
    odd = tmp_path / "[red]\udcff.mp4"
    odd.write_bytes(b"no video")
    done = l2l("predict", "gone.mp4", odd, video, "--plan", plan_file)
    assert done.returncode == 1
    assert str(video) in done.stdout
    assert "gone.mp4" in done.stderr
    assert "2 of 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_plan_is_said_plainly(video: Path, tmp_path: Path) -> None:
    for command in (
        ("predict", video, "--plan", tmp_path / "gone.plan"),
        ("inspect", tmp_path / "gone.plan"),
    ):
        done = l2l(*command)
        assert done.returncode == 2
        assert "gone.plan" in done.stderr
        assert "Traceback" not in done.stderr


def test_inspect(plan_file: Path) -> None:
    done = l2l("inspect", plan_file)
    assert done.returncode == 0
    for expected in (
        "ball bouncing",
        "graph.image.fp32",
        "skim.lstm.weight_ih",
        "64×12",
        "random weights",
        "audio.fp32",
        "MB",
    ):
        assert expected in done.stdout


def test_doctor_and_version(plan_file: Path, tmp_path: Path) -> None:
    done = l2l("doctor", "--plan", plan_file)
    assert done.returncode == 0
    assert done.stdout.count("passed") == 3
    for expected in ("openvino", "gpu", "nvidia-dali"):  # installed here or not
        assert expected in done.stdout
    (tmp_path / "bad.plan").write_bytes(b"no plan")
    assert l2l("doctor", "--plan", tmp_path / "bad.plan").returncode == 1
    assert l2l("--version").stdout == f"l2l_engine {__version__}\n"


def test_the_self_tests_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.skim import Skimmer

    assert (selftest.decoder(), selftest.skimmer()) == (None, None)
    run = Skimmer.run

    def wrong(self: Skimmer, *args: object, **options: object) -> object:
        result = run(self, *args, **options)  # type: ignore[arg-type]
        result.logits[:] += 1
        return result

    monkeypatch.setattr(Skimmer, "run", wrong)
    assert "skimmer" in str(selftest.skimmer())
    monkeypatch.setattr(selftest, "_RED", (0, 0, 250))
    blue = selftest.sample_video()
    monkeypatch.setattr(selftest, "_RED", (200, 30, 30))
    monkeypatch.setattr(selftest, "sample_video", lambda: blue)
    assert "red" in str(selftest.decoder())


def test_wrong_options_are_said_plainly(plan_file: Path, video: Path) -> None:
    for arguments in (
        ("--json", "--csv"),
        ("--sampling", "psychic"),
        ("--precision", "fp99"),
        ("--timeout", "-1"),
        ("--steps", "0"),
    ):
        done = l2l("predict", video, "--plan", plan_file, *arguments)
        assert done.returncode == 2
        assert arguments[0].strip("-") in done.stderr
        assert "Traceback" not in done.stderr


def test_progress_is_drawn_on_a_terminal_only(plan_file: Path, video: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        module = "import sys; from l2l_engine.cli import main; main()"
        arguments = ["predict", str(video), str(video) + "x", "--plan", str(plan_file), "--jsonl"]
        os.execv(sys.executable, [sys.executable, "-c", module, *arguments])
    seen = b""
    with contextlib.suppress(OSError):  # the terminal ends with the program
        while chunk := os.read(terminal, 65536):
            seen += chunk
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"2/2" in seen or b"1/2" in seen
    assert b"files/s" in seen or b"0:00" in seen
    assert "/2" not in l2l("predict", video, video, "--plan", plan_file, "--jsonl").stderr


def test_a_page_and_a_picture(plan_file: Path, video: Path, tmp_path: Path) -> None:
    page, picture = tmp_path / "out.html", tmp_path / "out.png"
    options = ("--plan", plan_file, "--timeline", page, "--plot", picture)
    done = l2l("predict", video, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "<svg" in page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert l2l("predict", video, video.parent, *options).returncode == 0
    assert l2l("predict", video, "other.mp4", *options).returncode == 2
    blocked = l2l("predict", video, "--plan", plan_file, "--timeline", tmp_path / "no" / "out.html")
    assert blocked.returncode == 2
    assert "out.html" in blocked.stderr


def test_a_path_too_long_is_a_file_like_any_other(plan_file: Path, video: Path) -> None:
    status, out, err = inside("predict", "a" * 300 + ".mp4", video, "--plan", plan_file)
    assert status == 1
    assert str(video) in out
    assert "File name too long" in err
    assert "1 of 2" in err


def test_an_unreadable_folder_is_a_failure(
    plan_file: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(video, tmp_path / "a.mp4")
    scandir = os.scandir

    def denied(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("deep"):  # permissions do not stop root, whom tests may run as
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    status, out, err = inside("predict", tmp_path, "--recursive", "--plan", plan_file)
    assert status == 1
    assert "a.mp4" in out
    assert f"{tmp_path / 'deep'}: cannot be read: Permission denied" in err
    assert "could not be classified" not in err
    assert inside("predict", tmp_path, "--plan", plan_file)[0] == 0


def test_names_are_shown_as_they_are(plan_file: Path, video: Path, tmp_path: Path) -> None:
    odd, bad = tmp_path / ":smile:\x1b[31m.mp4", tmp_path / "bad\x1b[31m.mp4"
    shutil.copy(video, odd)
    bad.write_bytes(b"no video")
    _, out, err = inside("predict", odd, bad, "--plan", plan_file)
    assert r":smile:\x1b[31m.mp4" in out
    assert r"bad\x1b[31m.mp4" in err
    assert "\x1b" not in out + err
    _, out, _ = inside("predict", odd, "--plan", plan_file, "--jsonl")
    assert json.loads(out)["path"] == str(odd)
    _, out, _ = inside("predict", odd, "--plan", plan_file, "--csv")
    assert next(csv.DictReader(out.splitlines()))["path"] == str(odd)


def test_class_names_are_shown_as_they_are(
    classifier: Classifier, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("[x] :smile:", "\x1b[2J")
    answer = replace(classifier.predict(video), label=names[1], top_k=((names[0], 0.6), (names[1], 0.4)))
    tell.prediction(show.console(), answer)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    columns = [line.index("%") for line in shown.splitlines() if line.endswith(("█", "▌")) and "%" in line]
    assert len(columns) == 2
    assert columns[0] == columns[1]
    plan = classifier.plan
    document = replace(plan.document, classes=names, provenance={"by": names[1]})
    show.plan(show.console(), replace(plan, document=document))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[x] :smile:" in shown


def test_doctor_reports_what_breaks(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bytes:
        raise av.codec.codec.UnknownCodecError("mjpeg")

    monkeypatch.setattr(selftest, "sample_video", broken)
    status, out, _ = inside("doctor", "--plan", plan_file)
    assert status == 1
    assert out.count("UnknownCodecError: mjpeg") == 2
    assert out.count("passed") == 1


@pytest.mark.parametrize(
    ("suffix", "container_format", "codec"),
    [
        (".aac", "adts", "aac"),
        (".mka", "matroska", "aac"),
        (".w64", "w64", "pcm_s16le"),
        (".wma", "asf", "wmav2"),
        (".vob", "vob", "mp2"),
    ],
)
def test_a_suffix_counts_as_media_if_it_can_be_read(
    tmp_path: Path, suffix: str, container_format: str, codec: str
) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    with av.open(path, "w", format=container_format) as container:
        sound = container.add_stream(codec, rate=48000, layout="stereo")
        sound.bit_rate = 128000
        planar = sound.codec_context.format.is_planar
        sample = np.int16 if "s16" in sound.codec_context.format.name else np.float32
        silence = np.zeros((2, 48000) if planar else (1, 96000), sample)
        frame = av.AudioFrame.from_ndarray(silence, sound.codec_context.format.name, "stereo")
        frame.sample_rate = 48000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    assert list(folders.expand([tmp_path], recursive=False, unreadable=pytest.fail)) == [path]
    with open_media(path) as source:
        assert source.audio_windows(np.zeros(1), window=16000, sample_rate=16000).samples.shape == (1, 16000)
