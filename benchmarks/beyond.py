"""What files beyond one machine cost: bytes and requests of a remote file, Ray against one process, memory.

    python -m benchmarks.beyond bytes     # an hour of 360p over HTTP with ranges, by all ways or those named
    python -m benchmarks.beyond costs     # processor seconds of a minute of 360p and 720p, four ways
    python -m benchmarks.beyond scale     # files an hour by Ray and by predict_many, memory of an actor
    python -m benchmarks.beyond page      # the tables of docs/scale.md, from what was measured

Each writes its part of benchmarks/results/beyond.json. Seconds are processor seconds unless they say
otherwise: a machine that others use too still tells them about right.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.media import files
from benchmarks.media.server import serving
from benchmarks.networks import PAPER, plan_path
from l2l_engine import Classifier, Prediction

RESULTS = Path(__file__).parent / "results" / "beyond.json"
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
WAYS: dict[str, dict[str, Any]] = {
    "max_knots=32": {"max_knots": 32},
    "max_knots=128": {"max_knots": 128},
    "keyframes": {"sampling": "keyframes"},
    "listen": {"sampling": "listen"},
    "auto": {},
}
MINUTES = {"360p": "120s-360p.mp4", "720p": "150s-720p.mp4"}


def _keep(part: str, found: object) -> None:
    """Write one part of the results, with when, where and how busy the machine was."""
    whole = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    whole["machine"] = results.machine()
    whole[part] = {"run": results.this_run(), "found": found}
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n")


def read_bytes(*names: str) -> None:
    """Bytes and requests of an hour of 360p, as the server counts them; of some ways, or of all."""
    path = files.file("1h-360p.mp4")
    size, found = path.stat().st_size, {}
    with serving() as server, Classifier(plan_path(PAPER), threads=2) as classifier:
        url = server.put(path.name, path.read_bytes())
        for name, way in WAYS.items():
            if names and name not in names:
                if name not in json.loads(RESULTS.read_text())["bytes"]["found"]["ways"]:
                    continue
                found[name] = json.loads(RESULTS.read_text())["bytes"]["found"]["ways"][name]
                continue
            server.gets = server.heads = server.bytes = 0
            media = classifier.predict(url, **way).media
            assert media is not None
            assert media.bytes_read == server.bytes
            found[name] = {
                "bytes": server.bytes,
                "share": server.bytes / size,
                "requests": server.gets + server.heads,
                "image_knots": media.image_knots,
                "audio_knots": media.audio_knots,
                "run": results.this_run(),
            }
            print(name, found[name], flush=True)
    _keep("bytes", {"file": path.name, "size": size, "ways": found})


def costs() -> None:
    """Processor seconds of an hour of video: from two minutes of it, or an hour where knots are bounded."""
    found: dict[str, dict[str, float]] = {}
    with Classifier(plan_path(PAPER), threads=1) as classifier:
        classifier.warmup()
        for name, file in MINUTES.items():
            path = files.file(file)
            found[name] = {"bytes_an_hour": 3600 / files.facts(path).seconds * path.stat().st_size}
            for way, options in WAYS.items():
                bounded = (
                    "max_knots" in way
                )  # the work is an hour's whatever the length: it takes an hour's file
                if bounded and name != "360p":
                    continue
                begin = time.process_time()
                answer = classifier.predict(files.file("1h-360p.mp4") if bounded else path, **options)
                assert answer.media is not None
                spent = time.process_time() - begin
                found[name][way] = spent * 3600 / answer.media.duration
            print(name, found[name], flush=True)
    _keep("costs", found)


def scale() -> None:
    """Files an hour, by predict_many with two threads and by Ray with two actors of one processor.

    What a start costs is taken out: a run of many files less a run of few. Wants a calm machine.
    """
    import ray  # noqa: PLC0415 - an extra

    from l2l_engine.ray import predict_dataset  # noqa: PLC0415

    plan = plan_path(PAPER)
    with tempfile.TemporaryDirectory() as folder:
        paths = _copies(files.pieces("120s-360p.mp4", 4), Path(folder))
        _keep("scale", _scaled(ray, predict_dataset, plan, paths))


def _copies(pieces: list[Path], folder: Path) -> list[Path]:
    """The pieces by many names: enough of them that what a start costs is little."""
    found = []
    for number in range(TIMES):
        for piece in pieces:
            found.append(folder / f"{number}-{piece.name}")
            shutil.copyfile(piece, found[-1])
    return found


def _scaled(ray: Any, predict_dataset: Any, plan: Path, paths: list[Path]) -> dict[str, Any]:
    found: dict[str, Any] = {"files": len(paths), "few": FEW}
    with Classifier(plan, threads=2) as classifier:
        classifier.warmup()
        found["predict_many"] = _marginal(
            lambda some: dict(map(_answer, classifier.predict_many(some))),
            paths,
            bool,
        )
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name, isolate in (("Ray", False), ("Ray, isolated", True)):

        def rows(some: list[Path], isolate: bool = isolate) -> dict[str, list[float]]:
            dataset = predict_dataset(some, plan, concurrency=2, batch_size=2, isolate=isolate)
            return {row["uri"]: list(map(float, row["probabilities"])) for row in dataset.take_all()}

        found[name] = _marginal(rows, paths, lambda words: "MapWorker" in words or "spawn_main" in words)
    ray.shutdown()
    answers = [found[name].pop("answers") for name in ("predict_many", "Ray", "Ray, isolated")]
    assert answers[0] == answers[1] == answers[2], "not the same answers"
    print(json.dumps(found, indent=1))
    return found


def _answer(found: object) -> tuple[str, list[float]]:
    assert isinstance(found, Prediction)
    return str(found.path), found.probabilities.tolist()


FEW = 32
"""Files of the run that is taken off."""
TIMES = 8
"""Copies of each of 32 files in the other run."""


def _marginal(
    work: Callable[[list[Path]], dict[str, list[float]]], paths: list[Path], ours: Callable[[str], bool]
) -> dict[str, Any]:
    """Processor and other seconds of a file more, and the most memory of a process that does the work."""
    spent, took, most, answers = [], [], 0, {}
    for some in (paths[:FEW], paths):
        over, seen = threading.Event(), [0]
        watch = threading.Thread(target=_watch_memory, args=(over, seen, ours))
        watch.start()
        before, begin = _processor_seconds(), time.perf_counter()
        try:
            answers = work(some)
            took.append(time.perf_counter() - begin)
            spent.append(_processor_seconds() - before)
        finally:
            over.set()
            watch.join()
        most = max(most, seen[0])
    more = len(paths) - FEW
    return {
        "processor_seconds_a_file": (spent[1] - spent[0]) / more,
        "seconds_a_file": (took[1] - took[0]) / more,
        "start_processor_seconds": spent[0] - FEW * (spent[1] - spent[0]) / more,
        "bytes_resident": most,
        "answers": answers,
    }


def _watch_memory(over: threading.Event, seen: list[int], ours: Callable[[str], bool]) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while not over.wait(0.5):
        for number in _family():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace")
                if ours(words):
                    pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
                    seen[0] = max(seen[0], pages * page)


def _processor_seconds() -> float:
    """Of this process, all it started, and what those started and have buried."""
    ticks = 0
    for number in _family():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family() -> list[int]:
    """This process and those below it."""
    parents: dict[int, int] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    found, fresh = set[int](), {os.getpid()}
    while fresh:
        found |= fresh
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
    return sorted(found)


def page() -> None:
    """Put the tables into docs/scale.md, between their marks."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables(json.loads(RESULTS.read_text())).items():
        marks = f"<!-- {name}: made by `python -m benchmarks.beyond page` -->\n", f"<!-- end of {name} -->"
        text = re.sub(
            f"{re.escape(marks[0])}.*?{re.escape(marks[1])}",
            lambda found, marks=marks, table=table: f"{marks[0]}{table}{marks[1]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text, encoding="utf-8")


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The tables of docs/scale.md, by name, from the parts of the results file that there are."""
    made: dict[str, Callable[..., str]] = {"bytes": _bytes, "costs": _costs, "scale": _scale}
    needed = {"bytes": ["bytes"], "costs": ["costs", "bytes"], "scale": ["scale"]}
    return {
        name: make(*(found[part]["found"] for part in needed[name]))
        for name, make in made.items()
        if all(part in found for part in needed[name])
    }


def _bytes(read: dict[str, Any]) -> str:
    rows = [
        f"| `{name}` | {way['bytes'] / 1e6:.1f} MB | {way['share']:.1%} | {way['requests']} |"
        f" {way['image_knots']} | {way['audio_knots']} |"
        for name, way in read["ways"].items()
    ]
    return _table(("", "read", "of the file", "requests", "frames", "sounds"), rows)


def _costs(spent: dict[str, Any], read: dict[str, Any]) -> str:
    rows = []
    for size, hour in spent.items():
        share_of_hour = hour["bytes_an_hour"] / read["size"]
        for name, way in read["ways"].items():
            if name in hour:
                gigabytes, asked = 1000 * share_of_hour * way["bytes"] / 1e9, share_of_hour * way["requests"]
                hours = f"{hour[name] / 3.6:.1f}"
                rows.append(f"| {size} | `{name}` | {hours} | {gigabytes:.0f} GB | {asked:.0f} thousand |")
    return _table(("1,000 hours of", "sampling", "core-hours", "read", "requests"), rows)


def _scale(scaled: dict[str, Any]) -> str:
    base = scaled["predict_many"]["seconds_a_file"]
    rows = [
        f"| {name} | {3600 / one['seconds_a_file']:.0f} | {base / one['seconds_a_file']:.2f} |"
        f" {one['processor_seconds_a_file']:.2f} | {one['bytes_resident'] / 1e6:.0f} MB |"
        for name, one in scaled.items()
        if isinstance(one, dict)
    ]
    head = (
        "",
        "files an hour",
        "of predict_many's",
        "processor seconds a file",
        "memory of a process",
    )
    return _table(head, rows)


def _table(head: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]) + "\n"


if __name__ == "__main__":
    {"bytes": read_bytes, "costs": costs, "scale": scale, "page": page}[sys.argv[1]](*sys.argv[2:])
