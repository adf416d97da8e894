"""A GPU check that is killed at any moment keeps all that it finished, and leaves no process behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import processes
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.section import DONE, FAILED, RUNNING, as_part, broken, finished, goal
from tests.benchmarks.gpu_small import SECTIONS

ROOT = Path(__file__).parents[2]
FACTS = {"device": "GPU", "driver": "580", "cuda": "13.0", "commit": "abc", "sources": "def"}
KILLS = [pytest.param(seed, marks=() if seed < 3 else pytest.mark.nightly) for seed in range(10)]
DEADLINE_S = 120.0


def started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OUT": str(folder), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def killed_after(run: subprocess.Popen[str], sections: int, delay_s: float) -> list[str]:
    """What a run had printed, killed so long after it had finished so many sections."""
    assert run.stdout is not None
    printed: list[str] = []
    for line in run.stdout:
        printed.append(line)
        if sum(finished_line(each) is not None for each in printed) > sections:
            break
    time.sleep(delay_s)  # the moment is meant to be any
    run.kill()
    with run.stdout as output:
        printed += output.readlines()
    run.wait()
    return printed


def finished_line(line: str) -> str | None:
    """The section that a line of the table tells of."""
    found = re.match(r"(\S.*?) +(?:goals met|goals open|goal missed|not run|failed) +[\d.]+ s ", line)
    return found[1] if found else None


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pids: list[int]) -> bool:
    end = time.monotonic() + DEADLINE_S
    while any(map(is_there, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def sections_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["sections"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", KILLS)
def test_a_run_that_is_killed_keeps_all_finished_sections(tmp_path: Path, seed: int) -> None:
    choose, path = random.Random(seed), tmp_path / "gpu.json"
    run = started(["-m", "tests.benchmarks.gpu_small", str(path), str(tmp_path)], tmp_path)
    printed = killed_after(run, choose.randrange(3), choose.uniform(0, 0.5))
    done = [name for name in map(finished_line, printed) if name is not None]
    assert len(done) < 1 + len(SECTIONS), "it was over before it was killed"
    sections, log = sections_of(path), path.with_suffix(".log").read_text()
    for name in done:
        assert sections[name]["state"] == DONE
        assert (sections[name]["measured"], sections[name]["goal met"]) == (True, True)
        assert f"{name}: {{" in log
        assert {"driver", "cuda", "commit", "clocks", "when"} <= set(sections[name])
    others = [made["state"] for name, made in sections.items() if name not in done]
    # One may be written and not yet printed; what is under way says so.
    assert others in ([], [RUNNING], [DONE], [DONE, RUNNING])
    pids = [int(pid) for pid in re.findall(r"^pid (\d+)$", log, re.MULTILINE)]
    assert gone(pids), "a child outlived the check"


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(10))
def test_a_whole_rehearsal_that_is_killed_does_too(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    run = started(["-m", "benchmarks.gpu", "--build-seconds", "15"], tmp_path)
    printed = killed_after(run, choose.randrange(12), choose.uniform(0, 3))
    done = [name for name in map(finished_line, printed) if name is not None]
    (path,) = tmp_path.glob("*.json")
    sections = sections_of(path)
    assert all(sections[name]["state"] != RUNNING for name in done)
    assert [made["state"] for name, made in sections.items() if name not in done].count(RUNNING) <= 1


def test_what_a_section_said_stays_if_it_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    journal = Journal(path, FACTS)
    journal.begin("skimmer")
    assert (sections_of(path)["skimmer"]["state"], sections_of(path)["skimmer"]["measured"]) == (
        RUNNING,
        False,
    )
    journal.part("skimmer", {"us": {"ours": 61.0}})
    running = sections_of(path)["skimmer"]
    assert (running["state"], running["measured"], running["parts"]) == (
        RUNNING,
        True,
        {"us": {"ours": 61.0}},
    )
    journal.end("skimmer", broken(FAILED, "it hung"), 3.0)
    left = sections_of(path)["skimmer"]
    assert (left["state"], left["measured"], left["goal met"]) == (FAILED, True, None)
    assert left["parts"] == {"us": {"ours": 61.0}}
    assert {key: left[key] for key in FACTS} == FACTS


def test_sections_and_log_of_an_earlier_run_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    for name in ("a", "b"):
        journal = Journal(path, FACTS)
        journal.begin(name)
        journal.line(f"{name} was here\n")
        journal.end(name, finished([goal("us", 1.0, at_most=2)], ""), 1.0)
    assert {name: made["goal met"] for name, made in sections_of(path).items()} == {"a": True, "b": True}
    assert all(f"{name} was here" in path.with_suffix(".log").read_text() for name in ("a", "b"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["gpu.json", "gpu.log"]


def test_lines_come_as_they_are_written_and_parts_among_them() -> None:
    script = "from benchmarks.gpu.section import part; print('hello'); part('us', {'ours': 61.0})"
    heard: list[str] = []
    done = processes.run([sys.executable, "-c", script], 60, cwd=ROOT, said=heard.append)
    assert done.good
    assert heard[0] == "hello\n"
    assert [as_part(line) for line in heard] == [None, {"us": {"ours": 61.0}}]


def test_a_process_that_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.1)
    real, spared = os.killpg, []
    monkeypatch.setattr(processes.os, "killpg", lambda pid, _: spared.append(pid))
    done = processes.run([sys.executable, "-c", "import time; time.sleep(600)"], 0.1)
    assert (done.status, done.stuck) == (None, True)
    assert "left behind" in done.reason()
    (stuck,) = processes.left
    processes.left.clear()
    real(spared[0], signal.SIGKILL)
    stuck.wait()


def test_all_that_a_program_started_ends_with_it(tmp_path: Path) -> None:
    """Even if it is killed; what it starts is in a session of its own, as pytest is of a section."""
    script = """
import sys
from benchmarks.gpu import processes
inner = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
processes.run([sys.executable, "-c", inner], 600, said=lambda line: print(line, flush=True))
"""
    run = started(["-c", script], tmp_path)
    with run, run.stdout as output:  # type: ignore[union-attr]
        pid = int(output.readline().split()[1])
        run.kill()
    assert gone([pid])
