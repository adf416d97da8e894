from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l2l_engine import Prediction, __version__


def l2l(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "l2l_engine.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


def test_predict_for_people(plan_file: Path, video: Path) -> None:
    done = l2l("predict", video, "--plan", plan_file)
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (str(video), "looked at:", "listened to:", "time:", "frames decoded", "%"):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout


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
    for expected in ("openvino", "gpu", "pip install nvidia-dali"):
        assert expected in done.stdout
    (tmp_path / "bad.plan").write_bytes(b"no plan")
    assert l2l("doctor", "--plan", tmp_path / "bad.plan").returncode == 1
    assert l2l("--version").stdout == f"l2l_engine {__version__}\n"


def test_the_self_tests_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.cli import selftest
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


def test_folders_and_formats(plan_file: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.mp4", "a.MP4", "notes.txt", "deep/c.mp4"):
        shutil.copy(video, tmp_path / name)
    flat = l2l("predict", tmp_path, "--plan", plan_file, "--jsonl")
    names = [Path(json.loads(line)["path"]).name for line in flat.stdout.splitlines()]
    assert names == ["a.MP4", "b.mp4"]
    deep = l2l("predict", tmp_path, tmp_path / "b.mp4", "--plan", plan_file, "--json", "--recursive")
    answers = [Prediction.from_dict(plain) for plain in json.loads(deep.stdout)]
    assert [Path(a.path or "").name for a in answers] == ["a.MP4", "b.mp4", "c.mp4"]
    table = l2l("predict", tmp_path, "--plan", plan_file, "--csv")
    rows = list(csv.DictReader(table.stdout.splitlines()))
    assert [Path(row["path"]).name for row in rows] == ["a.MP4", "b.mp4"]
    assert rows[0]["label"] == answers[0].label
    assert json.loads(rows[0]["top_k"])[answers[0].label] == pytest.approx(answers[0].confidence)
    (tmp_path / "empty").mkdir()
    nothing = l2l("predict", tmp_path / "empty", "--plan", plan_file, "--json")
    assert nothing.returncode == 1
    assert "no media" in nothing.stderr
    assert json.loads(nothing.stdout) == []


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_resume_skips_what_is_there(plan_file: Path, video: Path, tmp_path: Path, suffix: str) -> None:
    odd = tmp_path / "odd\udcff.mp4"
    for target in (tmp_path / "a.mp4", odd):
        shutil.copy(video, target)
    out = tmp_path / f"out.{suffix}"
    assert l2l("predict", tmp_path / "a.mp4", "--plan", plan_file, "--resume", out).returncode == 0
    first = out.read_text()
    assert l2l("predict", tmp_path, "--plan", plan_file, "--resume", out).returncode == 0
    assert out.read_text().startswith(first)
    second = out.read_text()
    assert second.count("odd") == 1
    assert l2l("predict", tmp_path, "--plan", plan_file, "--resume", out).returncode == 0
    assert out.read_text() == second
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [out.name]


def test_resume_leaves_a_foreign_file_alone(plan_file: Path, video: Path, tmp_path: Path) -> None:
    for name in ("letter.jsonl", "letter.csv"):
        letter = tmp_path / name
        letter.write_text("Dear reader\n")
        done = l2l("predict", video, "--plan", plan_file, "--resume", letter)
        assert done.returncode == 2
        assert name in done.stderr
        assert letter.read_text() == "Dear reader\n"


def test_a_kill_at_any_moment_leaves_the_results_whole(plan_file: Path, video: Path, tmp_path: Path) -> None:
    for index in range(200):
        (tmp_path / f"{index:03}.mp4").symlink_to(video)
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "l2l_engine.cli", "predict", str(tmp_path), "--plan", str(plan_file)]
    for _ in range(3):
        before = out.read_text() if out.exists() else ""
        with subprocess.Popen([*command, "--resume", str(out)], stderr=subprocess.DEVNULL) as run:
            while (out.read_text() if out.exists() else "") == before and run.poll() is None:
                time.sleep(0.01)
            run.kill()
        paths = [json.loads(line)["path"] for line in out.read_text().splitlines()]
        assert len(paths) == len(set(paths)) > before.count("\n")
    assert subprocess.run([*command, "--resume", str(out)], check=False, timeout=120).returncode == 0
    paths = [json.loads(line)["path"] for line in out.read_text().splitlines()]
    assert sorted(paths) == sorted(map(str, tmp_path.glob("*.mp4")))


def test_wrong_options_are_said_plainly(plan_file: Path, video: Path) -> None:
    for arguments in (("--json", "--csv"), ("--sampling", "psychic"), ("--timeout", "-1"), ("--steps", "0")):
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
