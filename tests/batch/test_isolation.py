"""Files that take their process down cost themselves alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l2l_engine import Classifier, CrashedError, Prediction
from l2l_engine.batch import Isolated, Rows
from tests.api.answers import same_answer
from tests.batch.poison import Poisoned

KINDS = {
    "segfault.mp4": "crashed",
    "abort.mp4": "crashed",
    "exit.mp4": "crashed",
    "hang-1.mp4": "timeout",
    "hang-2.mp4": "timeout",
    "eat-1.mp4": "crashed",
    "eat-2.mp4": "crashed",
    "empty.mp4": "media",
    "text.mp4": "media",
    "gone.mp4": "not_found",
}


def test_ten_poison_files_are_ten_rows(
    tmp_path: Path, video: Path, plan_file: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2L_TEST_PLAN", str(plan_file))
    monkeypatch.setattr("l2l_engine.batch.isolation.GRACE_S", 0.5)
    for name in KINDS:
        shutil.copy(video, tmp_path / name)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    (tmp_path / "gone.mp4").unlink()
    names = list(KINDS)
    for number, at in enumerate((0, 3, 6, 9, 13)):
        good = f"good-{number}.mp4"
        shutil.copy(video, tmp_path / good)
        names.insert(at, good)
    rows = Rows(plan_file, isolate=True, threads=2, memory_bytes=2 * 2**30, timeout_s=15.0)
    rows._isolation = {**(rows._isolation or {}), "make": Poisoned}
    try:
        found = rows([str(tmp_path / name) for name in names]).to_pylist()
    finally:
        rows.close()
    assert [Path(row["uri"]).name for row in found] == names
    for row, name in zip(found, names, strict=True):
        assert row["error_kind"] == KINDS.get(name), row
        assert name in (row["error"] or name)
    answer = classifier.predict(video)
    good_rows = [row for row in found if row["error_kind"] is None]
    assert len(good_rows) == 5
    assert all(row["probabilities"] == answer.probabilities.tolist() for row in good_rows)
    (eaten, *_) = (row["error"] for row in found if "eat-1" in row["uri"])
    assert "ended 2 times: it came to the end of the memory" in eaten


def test_it_answers_as_a_classifier(
    video: Path, silent_video: bytes, plan_file: Path, classifier: Classifier
) -> None:
    with Isolated(plan_file, workers=1, tries=1) as isolated:
        found = list(isolated.predict_many([video, silent_video, "gone.mp4"], on_error="yield", top_k=2))
        alone = list(classifier.predict_many([video, silent_video, "gone.mp4"], on_error="yield", top_k=2))
        for one, other in zip(found, alone, strict=True):
            if isinstance(other, Prediction):
                assert isinstance(one, Prediction)
                assert same_answer(one, other)
            else:
                assert (type(one), str(one)) == (type(other), str(other))
        with pytest.raises(FileNotFoundError):
            list(isolated.predict_many(["gone.mp4"]))


def test_no_process_outlives_the_one_it_works_for(plan_file: Path, video: Path) -> None:
    code = (
        "import sys, os, time, multiprocessing\n"
        "from l2l_engine.batch import Isolated\n"
        "if __name__ == '__main__':\n"
        "    pool = Isolated(sys.argv[1], workers=2)\n"
        "    list(pool.predict_many([sys.argv[2]] * 4))\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(plan_file), str(video)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(number) for number in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_crash_is_an_error_of_ours() -> None:
    assert issubclass(CrashedError, RuntimeError)
