"""``l2l serve`` as a process: it starts, says so, and ends when it is told, with nothing lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PROGRAM = (sys.executable, "-m", "l2l_engine.cli", "serve")


@contextmanager
def serving(*options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that listens, and its address."""
    words = [*PROGRAM, *map(str, options), "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            event = json.loads(line)["event"]  # every line is JSON
            if "running on" in event:
                yield process, event.split()[3]
                break
        else:
            raise AssertionError("it never listened")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def test_a_signal_loses_nothing_that_was_let_in(plan_file: Path, video: Path) -> None:
    data = video.read_bytes()

    def ask(name: str) -> int | None:
        headers = {"X-Request-ID": name}
        try:
            url = f"{address}/predict"
            return httpx.post(url, files={"video": ("a.mp4", data)}, headers=headers, timeout=60).status_code
        except httpx.TransportError:
            return None  # it no longer listened

    with serving("--plan", f"tiny={plan_file}", "--workers", 1, "--queue", 64) as (process, address):
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(ask, f"n{number}") for number in range(40)]
            answers[3].result()
            process.send_signal(signal.SIGTERM)
            statuses = {f"n{number}": answer.result() for number, answer in enumerate(answers)}
        assert process.stderr is not None
        events = [json.loads(line) for line in process.stderr]
        process.wait(60)
    let_in = {event["request_id"]: event["status"] for event in events if event["event"] == "request"}
    answered = {name: status for name, status in statuses.items() if status is not None}
    assert let_in  # some were under way when the signal came
    assert set(let_in.items()) <= set(answered.items())  # each got the very answer that was made for it
    assert set(answered.values()) <= {200, 503}
    assert any(event["event"] == "draining" for event in events)
    assert process.returncode in (0, -signal.SIGTERM)


def test_nothing_is_left_behind(plan_file: Path, video: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        with serving("--plan", plan_file) as (process, address):
            assert list(tmp_path.glob("l2l-serve-*"))
            answer = httpx.post(f"{address}/predict", files={"video": video.read_bytes()}, timeout=60)
            assert answer.status_code == 200
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert not list(tmp_path.glob("l2l-serve-*"))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--plan", "gone.plan"], "gone.plan"),
        (["--plan", "a=x", "--plan", "a=y"], "two plans"),
        (["--plan", "x", "--allow", "ftp"], "ftp"),
        (["--plan", __file__], "test_command.py"),
    ],
)
def test_what_it_cannot_serve(options: list[str], word: str) -> None:
    done = subprocess.run([*PROGRAM, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
