from __future__ import annotations

import subprocess
import sys
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
    done = l2l("predict", video, video, "--plan", plan_file, "--json", "--top-k", 2, "--steps", 3)
    assert done.returncode == 0
    answers = [Prediction.from_json(line) for line in done.stdout.splitlines()]
    assert len(answers) == 2
    assert [len(a.top_k) for a in answers] == [2, 2]
    assert [len(a.moments) for a in answers] == [2, 2]


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
    for expected in ("ball bouncing", "graph.image.fp32", "skim.lstm.weight_ih", "64×12", "random weights"):
        assert expected in done.stdout


def test_doctor_and_version() -> None:
    done = l2l("doctor")
    assert done.returncode == 0
    for expected in ("openvino", "gpu", "self-test", "passed"):
        assert expected in done.stdout
    assert l2l("--version").stdout == f"l2l_engine {__version__}\n"


def test_the_self_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.cli import doctor
    from l2l_engine.skim import Skimmer

    run = Skimmer.run

    def wrong(self: Skimmer, *args: object, **options: object) -> object:
        result = run(self, *args, **options)  # type: ignore[arg-type]
        result.logits[:] += 1
        return result

    monkeypatch.setattr(Skimmer, "run", wrong)
    assert doctor.self_test() is not None
