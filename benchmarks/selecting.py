"""What `Classifier.select` chooses, and what it costs, beside frames evenly spread over the file.

    python -m benchmarks.selecting --plan demo/demo.plan --set TEST TEST-GOP250 \
        --output results/av-kinetic-select.md

Sets are folders of generated videos with a manifest that says where the action is. Each video is gone through
in every way, one after the other, on one thread; seconds are that thread's processor seconds, so that what
else the machine does meanwhile meets all ways alike. What was measured is kept in ``--rows``; the same
command goes on there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from l2l_engine import Classifier
from l2l_engine.media import open_media
from l2l_engine.run import watch
from training.data.sets import MANIFEST
from training.pages import render
from training.runs.files import whole_lines, write_json

COUNTS = (4, 8, 16)
PAGE = "benchmarks/selecting.md.j2"
WAYS = ("ours", "uniform, PyAV", "uniform, our decoder")

Row = dict[str, Any]


def even(duration: float, count: int) -> NDArray[np.float64]:
    """The middles of ``count`` equal parts, seconds."""
    return (np.arange(count) + 0.5) * duration / count


def select(classifier: Classifier, path: Path, count: int) -> Row:
    """Ours: the frames' seconds, and the processor seconds of its stages."""
    # The stopwatch tells the seconds of each stage in the thread that does it: here the processor's.
    with mock.patch.object(watch, "time", SimpleNamespace(perf_counter=time.thread_time)):
        begin = time.process_time()
        found = classifier.select(path, frames=count)
        whole = time.process_time() - begin
    spent = found.timings
    return {
        "seconds": [frame.seconds for frame in found.frames],
        "sounds": [sound.seconds for sound in found.sounds],
        "decoded": found.media.frames_decoded,
        "decode_s": spent.probe + spent.audio + spent.frames,
        "audio_s": spent.audio,
        "encode_s": spent.encode + spent.skim,
        "whole_s": whole,
    }


def plain(_: Classifier, path: Path, count: int) -> Row:
    """Evenly spread frames as one writes it with PyAV: seek, decode up to the moment, make an array."""
    begin = time.process_time()
    decoded = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        base, first = float(stream.time_base or 1), stream.start_time or 0
        moments = even((container.duration or 0) / av.time_base, count)
        for moment in moments:
            stamp = first + int(moment / base)
            container.seek(stamp, stream=stream)
            shown = None
            for frame in container.decode(stream):
                decoded += 1
                if frame.pts is not None and frame.pts > stamp:
                    break
                shown = frame
            if shown is not None:
                shown.to_ndarray(format="rgb24")
    spent = time.process_time() - begin
    return {"seconds": moments.tolist(), "decoded": decoded, "decode_s": spent, "whole_s": spent}


def walked(classifier: Classifier, path: Path, count: int) -> Row:
    """Evenly spread frames by the decoder that ours has too, at their own size."""
    media, begin = classifier.plan.document.media, time.process_time()
    with open_media(path) as source:
        moments = even(source.duration, count)
        for seen in source.iter_frames(moments, short_side=media.short_side, crop=media.crop, whole=True):
            if seen.whole is not None:
                seen.whole.pixels()
        decoded = source.frames_decoded
    spent = time.process_time() - begin
    return {"seconds": moments.tolist(), "decoded": decoded, "decode_s": spent, "whole_s": spent}


def measure(classifier: Classifier, folder: Path, kept: Path) -> Iterator[Row]:
    """A row for each video, way and count; those in ``kept`` are not measured again."""
    ways: dict[str, Callable[[Classifier, Path, int], Row]] = dict(
        zip(WAYS, (select, plain, walked), strict=True)
    )
    key = ("set", "video", "way", "count")
    done = {tuple(row[name] for name in key): row for row in map(json.loads, whole_lines(kept))}
    lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    with kept.open("a", encoding="utf-8") as file:
        for number, entry in enumerate(map(json.loads, lines)):
            turn = list(WAYS[number % 3 :]) + list(WAYS[: number % 3])
            for way, count in ((way, count) for count in COUNTS for way in turn):
                row = done.get((folder.name, entry["path"], way, count))
                if row is None:
                    row = {"set": folder.name, "video": entry["path"], "way": way, "count": count}
                    row |= {"stretches": entry["stretches"], "sounds": []}
                    row |= ways[way](classifier, folder / entry["path"], count)
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                yield row


def inside(row: Row, kind: str) -> float | None:
    """The share of a video's frames or sounds that begin in the action; None of none."""
    times = row[kind]
    if not times:
        return None
    return float(np.mean([any(a <= time <= b for a, b in row["stretches"]) for time in times]))


def table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A line for each way and count: shares are means over the videos, costs medians."""
    lines = []
    for count in COUNTS:
        for way in WAYS:
            some = [row for row in rows if row["way"] == way and row["count"] == count]
            line: dict[str, Any] = {"way": way, "count": count, "videos": len(some)}
            for kind, name in (("seconds", "inside"), ("sounds", "sounds_inside")):
                shares = np.array([share for row in some if (share := inside(row, kind)) is not None])
                line[name] = float(shares.mean()) if len(shares) else None
                if kind == "seconds":
                    line["none_inside"] = float((shares == 0).mean())
            for cost in ("decoded", "decode_s", "audio_s", "encode_s", "whole_s"):
                costs = [row[cost] for row in some if cost in row]
                line[cost] = float(np.median(costs)) if costs else None
            lines.append(line)
    for line in lines:
        (ours,) = (other for other in lines if other["way"] == WAYS[0] and other["count"] == line["count"])
        line["ratio"] = ours["decode_s"] / line["decode_s"]
    return lines


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selecting", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--set", type=Path, nargs="+", required=True, help="folders of generated videos")
    parser.add_argument("--output", type=Path, required=True, help="the page; JSON goes beside it")
    parser.add_argument(
        "--rows", type=Path, help="what was measured; OUTPUT.jsonl in the sets' folder if left out"
    )
    options = parser.parse_args(words)
    kept = options.rows or options.set[0].parent / options.output.with_suffix(".jsonl").name
    kept.touch()
    sets = {}
    with Classifier(options.plan, threads=1) as classifier:
        classifier.warmup()
        for folder in options.set:
            sets[folder.name] = table(list(measure(classifier, folder, kept)))
            print(folder.name, *sets[folder.name], sep="\n", flush=True)
        report = {"plan": classifier.plan.sha256, "precision": classifier.precision, "sets": sets}
    report |= {"machine": results.machine(), "run": results.this_run()}
    write_json(options.output.with_suffix(".json"), report)
    command = f"--plan PLAN --set {' '.join(sets)} --output {options.output}"
    options.output.write_text(render(PAGE, **report, command=command), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
