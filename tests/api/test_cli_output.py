"""Where results go: formats, folders, files to resume, pipes that close."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l2l_engine import Classifier, Prediction
from l2l_engine.cli import output
from tests.api.commands import inside, l2l


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


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_resume_mends_a_missing_newline(plan_file: Path, video: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    options = ("--plan", plan_file, "--resume", out)
    assert inside("predict", video, *options)[0] == 0
    out.write_text(out.read_text().rstrip())
    shutil.copy(video, tmp_path / "b.mp4")
    assert inside("predict", tmp_path / "b.mp4", *options)[0] == 0
    known = output.csv_paths if suffix == "csv" else output.json_paths
    with out.open(newline="") as file:
        assert known(file) == {str(video), str(tmp_path / "b.mp4")}


@pytest.mark.parametrize("line", ['{"path": null}', "{}", "[1]", "7", '"path"', "null"])
def test_resume_refuses_lines_without_a_path(tmp_path: Path, line: str) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(f"{line}\n")
    with pytest.raises(output.OutputError, match="line 1 has no path"):
        output.ResumableFile(out, output.json_record, "", output.json_paths)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("row", ["", "a.mp4,ball", '"a.mp4'])
def test_resume_refuses_rows_of_another_table(tmp_path: Path, row: str) -> None:
    out = tmp_path / "out.csv"
    out.write_text(f"{output.csv_header()}{row}\n", newline="")
    with pytest.raises(output.OutputError, match="not a result file"):
        output.ResumableFile(out, output.csv_record, output.csv_header(), output.csv_paths)


def test_two_runs_do_not_write_one_file(classifier: Classifier, video: Path, tmp_path: Path) -> None:
    answer, out = classifier.predict(video), tmp_path / "out.jsonl"
    first = output.ResumableFile(out, output.json_record, "", output.json_paths)
    with pytest.raises(output.OutputError, match="another run"):
        output.ResumableFile(out, output.json_record, "", output.json_paths)
    first.write(answer)
    first.close()
    second = output.ResumableFile(out, output.json_record, "", output.json_paths)
    assert second.done == {str(video)}
    second.close()
    assert out.read_text() == output.json_record(answer)


@pytest.mark.parametrize("form", ["--jsonl", "--csv", None])
def test_a_reader_that_leaves_is_no_error(plan_file: Path, video: Path, form: str | None) -> None:
    command = [sys.executable, "-m", "l2l_engine.cli", "predict", str(video), "--plan", str(plan_file)]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [*command, *([form] if form else [])],
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_disk_is_said_plainly(plan_file: Path, video: Path) -> None:
    command = [sys.executable, "-m", "l2l_engine.cli", "predict", str(video), "--plan", str(plan_file)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*command, "--json"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60, text=True
        )
    assert (done.returncode, done.stderr) == (2, "l2l: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("command", ["--version", "--help", "doctor", "inspect", "predict", "explain"])
def test_nowhere_to_write_is_said_plainly(plan_file: Path, video: Path, command: str) -> None:
    arguments = {
        "inspect": ["inspect", plan_file],
        "predict": ["predict", video, "--plan", plan_file],
        "explain": ["predict", video, "--plan", plan_file, "--explain"],
    }.get(command, [command])
    run = " ".join(shlex.quote(str(word)) for word in [sys.executable, "-m", "l2l_engine.cli", *arguments])
    for closed, status, words in [
        (">&-", 2, "l2l: there is no standard output to write to\n"),
        ("2>&- >/dev/null", 0, ""),
        ("<&- >&- 2>&-", 2, ""),
    ][: 3 if command == "predict" else 1]:
        done = subprocess.run(
            f"{run} {closed}", shell=True, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, "", words), closed


def test_what_goes_to_a_file_needs_no_standard_output(plan_file: Path, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    words = [sys.executable, "-m", "l2l_engine.cli", "predict", video, "--plan", plan_file, "--resume", out]
    run = " ".join(shlex.quote(str(word)) for word in words)
    done = subprocess.run(f"{run} <&- >&- 2>&-", shell=True, timeout=60, check=False)
    assert done.returncode == 0
    assert json.loads(out.read_text())["path"] == str(video)


def test_ctrl_c_ends_at_once_and_keeps_what_is_done(plan_file: Path, video: Path, tmp_path: Path) -> None:
    for index in range(400):
        (tmp_path / f"{index:03}.mp4").symlink_to(video)
    out = tmp_path / "out.jsonl"
    # A test run in the background ignores the signal, and so would its child.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from l2l_engine.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "predict", str(tmp_path), "--plan", str(plan_file)]
    with subprocess.Popen([*command, "--resume", str(out)], stderr=subprocess.PIPE, text=True) as run:
        while not out.exists():
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert 0 < len([json.loads(line) for line in out.read_text().splitlines()]) < 400
    assert [path.name for path in tmp_path.glob("out.*")] == [out.name]
