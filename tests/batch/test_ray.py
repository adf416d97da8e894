"""Ray on this machine: the rows of one process, whatever is killed on the way. Ray takes long to start."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from l2l_engine import Classifier
from l2l_engine.batch import Rows
from l2l_engine.cli.jobs import OptionalAddress
from tests.api.commands import inside
from tests.api.videos import write_video
from tests.batch.test_shards import answers
from tests.docs.pages import ROOT

FILES = int(os.environ.get("L2L_FILES", "300"))
KILLS = int(os.environ.get("L2L_KILLS", "20"))
SEED = 20261130


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    place = tmp_path_factory.mktemp("files")
    for number in range(12):
        shutil.copy(video, place / f"{number:02}.mp4")
    (place / "text.mp4").write_text("no video\n" * 9)
    return place


@pytest.fixture(scope="module")
def expected(folder: Path, plan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("expected") / "rows.parquet"
    inside("predict", folder, "--plan", plan_file, "--parquet", target)
    return answers(target)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_actors_give_the_same_rows(
    folder: Path, plan_file: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    """The command, and again, which finds nothing to do, and so starts no Ray."""
    command = [sys.executable, "-m", "l2l_engine.cli", "batch", str(folder), "--plan", str(plan_file)]
    command += ["--output", str(tmp_path), "--batch-size", "3", "--actors", "2", "--ray"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 1, done.stderr  # one file is no video
    assert "1 of 13 files could not be classified" in done.stderr
    assert answers(tmp_path / "rows.parquet") == expected
    assert len(list((tmp_path / "parts").iterdir())) == 5
    (tmp_path / "rows.parquet").unlink()
    assert inside("batch", folder, "--plan", plan_file, "--output", tmp_path, "--ray")[0] == 0
    assert answers(tmp_path / "rows.parquet") == expected


def test_the_address_may_be_left_out() -> None:
    seen: list[list[str]] = []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.core.TyperCommand.parse_args", lambda self, ctx, args: seen.append(args) or args)
        for given in (["--ray"], ["--ray", "--actors", "2"], ["--ray", "auto"]):
            OptionalAddress.parse_args(object.__new__(OptionalAddress), None, given)
    assert seen == [["--ray=local"], ["--ray=local", "--actors", "2"], ["--ray", "auto"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A Ray of two processors that outlives its drivers: its address, and the process above all of it."""
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    home = tmp_path_factory.mktemp("ray")
    port = "26379"
    start = [*ray, "start", "--head", "--num-cpus=2", "--include-dashboard=false", f"--port={port}"]
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "HOME": str(home)}
    started = subprocess.Popen([*start, "--block"], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}", started.pid
    finally:
        started.terminate()
        started.wait(60)


def _named(root: int, words: tuple[str, ...]) -> list[int]:
    """Processes below one whose command or title has one of these words."""
    found = []
    for number in _below(root):
        with contextlib.suppress(OSError):
            command = (
                Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            if any(word in command for word in words):
                found.append(number)
    return found


def _below(root: int) -> list[int]:
    """Processes that a process started, and those that these started."""
    parents: dict[int, int] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    found, fresh = set[int](), {root}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return sorted(found)


def _run_and_kill(
    command: list[str],
    victims: Callable[[subprocess.Popen[bytes]], list[int]],
    rng: random.Random,
    environment: Any,
    most: float,
) -> bool:
    """Run a command and kill something of it within ``most`` seconds; True if that was before it ended."""
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(rng.uniform(1.0, most))
        return False
    killed = victims(run)
    for victim in rng.sample(killed, min(1, len(killed))):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    run.wait(600)
    return bool(killed)


def _many_files(folder: Path) -> Path:
    """Those of L2L_AV_KINETIC, a folder that ``training.data.synth`` made; else short ones, drawn here."""
    if "L2L_AV_KINETIC" in os.environ:
        folder.mkdir()
        for file in sorted(Path(os.environ["L2L_AV_KINETIC"]).rglob("*.mp4"))[:FILES]:
            (folder / file.name).symlink_to(file)
        return folder
    folder.mkdir()
    for demo in sorted((ROOT / "demo").glob("*.mp4")):
        shutil.copy(demo, folder)
    rng = random.Random(SEED)
    for number in range(FILES - len(list(folder.iterdir()))):
        begin = rng.uniform(0.0, 4.0)
        event = (begin, begin + rng.uniform(0.5, 2.0))
        write_video(
            folder / f"{number:03}.mp4", seconds=rng.uniform(2.0, 6.0), event=event, audio=number % 9 > 0
        )
    return folder


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_one_answer(cluster: tuple[str, int], tmp_path: Path) -> None:
    """By `predict_many`, by four shards put together, by two actors: every bit of label and probabilities."""
    folder, plan = _many_files(tmp_path / "files"), ROOT / "demo/demo.plan"
    with Classifier(plan) as classifier:
        found = list(classifier.predict_many(sorted(folder.glob("*.mp4"))))
    expected = {one.path: (one.label, one.probabilities.tolist()) for one in found}  # type: ignore[union-attr]
    assert len(expected) == FILES
    common = [sys.executable, "-m", "l2l_engine.cli"]
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    for number in range(1, 5):
        shard = ["--parquet", str(tmp_path / "shards"), "--shard", f"{number}/4"]
        subprocess.run([*common, "predict", str(folder), "--plan", str(plan), *shard], check=True)
    assert inside("merge", tmp_path / "shards", "-o", tmp_path / "merged.parquet")[0] == 0
    ray = ["--output", str(tmp_path / "ray"), "--actors", "2", "--ray", cluster[0]]
    subprocess.run([*common, "batch", str(folder), "--plan", str(plan), *ray], check=True, env=environment)
    for file in (tmp_path / "merged.parquet", tmp_path / "ray/rows.parquet"):
        rows = pq.read_table(file).to_pylist()
        assert len(rows) == FILES
        assert {row["uri"]: (row["label"], row["probabilities"]) for row in rows} == expected
    labels = {label for label, _ in expected.values()}
    print(f"\n{FILES} files, {len(labels)} labels, three ways, no bit of difference")


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_kill_anything_of_ray(
    folder: Path, plan_file: Path, expected: dict[str, Any], cluster: tuple[str, int], tmp_path: Path
) -> None:
    """An actor, a process that reads for it, or the driver, 20 times; each time what is left is whole."""
    rng = random.Random(SEED)
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    kills, turn = dict.fromkeys(("driver", "actor", "worker"), 0), 0
    most = 30.0
    while sum(kills.values()) < KILLS:
        turn += 1
        output = tmp_path / f"{turn}"
        command = [sys.executable, "-m", "l2l_engine.cli", "batch", str(folder), "--plan", str(plan_file)]
        command += ["--output", str(output), "--batch-size", "2", "--ray", cluster[0]]
        kind = rng.choice(list(kills))
        named = {"actor": ("MapWorker",), "worker": ("multiprocessing.spawn",)}.get(kind, ())
        victims = (
            (lambda run: [run.pid]) if kind == "driver" else (lambda run, n=named: _named(cluster[1], n))
        )
        begin = time.monotonic()
        killed = _run_and_kill(command, victims, rng, environment, most)
        kills[kind] += killed
        if not killed:  # what a run takes is told by one that ended
            most = min(most, 1.0 + time.monotonic() - begin)
        again = subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
        assert again.returncode in (0, 1), again.stderr.decode()
        assert answers(output / "rows.parquet") == expected, kind
        assert turn < 4 * KILLS
        print(turn, kills, flush=True)
    print(f"\nkilled: {kills}, {turn} turns")


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_kill_anything_of_shards(
    folder: Path, plan_file: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    """A shard, or a process that reads for it, 20 times; the output is whole or not there."""
    rng = random.Random(SEED)
    kills, turn = {"shard": 0, "worker": 0}, 0
    while sum(kills.values()) < KILLS:
        turn += 1
        output = tmp_path / f"{turn}"
        for number in (1, 2):
            command = [
                sys.executable,
                "-m",
                "l2l_engine.cli",
                "predict",
                str(folder),
                "--plan",
                str(plan_file),
            ]
            command += ["--parquet", str(output), "--shard", f"{number}/2", "--isolate", "--workers", "1"]
            kind = rng.choice(list(kills))
            victims = (lambda run: [run.pid]) if kind == "shard" else (lambda run: _below(run.pid))
            killed = _run_and_kill(command, victims, rng, os.environ, 30.0)
            kills[kind] += killed
            for file in output.glob("*.parquet"):
                pq.read_table(file)
            subprocess.run(command, capture_output=True, timeout=280, check=False)
        assert inside("merge", output, "-o", tmp_path / f"{turn}.parquet")[0] == 0
        assert answers(tmp_path / f"{turn}.parquet") == expected, kind
        assert turn < 4 * KILLS
        print(turn, kills, flush=True)
    print(f"\nkilled: {kills}, {turn} turns")


def test_a_dataset_needs_a_column(plan_file: Path) -> None:
    with pytest.raises(TypeError, match="uri"):
        Rows(plan_file)([{"name": "a.mp4"}])
