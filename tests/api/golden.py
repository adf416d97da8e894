"""Predictions written down, so that a change of the house can be shown to change none of them.

    python -m tests.api.golden write FOLDER     # media and answers, by the code at hand
    python -m tests.api.golden compare FOLDER   # the same media again: every bit but the clock must be equal
    python -m tests.api.golden small            # the small set beside this file, which a test compares

Bits are those of one machine and one set of libraries, so the test compares within a tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine import Classifier, DeviceError, PlanError, Prediction
from tests.api.videos import write_video

DEMO = Path(__file__).parents[2] / "demo"
SAMPLINGS = ("auto", "exact", "keyframes", "listen")
WAYS: dict[str, dict[str, Any]] = {
    **{sampling: {"sampling": sampling} for sampling in SAMPLINGS},
    "three steps": {"steps": 3},
    "few knots": {"max_knots": 6},
    "few knots, listening": {"max_knots": 12, "sampling": "listen"},
    "wide gap": {"max_image_gap_s": 6.0, "sampling": "exact"},
}
STOPPING: dict[str, dict[str, Any]] = {
    f"stop at {enough}": {"stop_when": enough, **more}
    for enough in (0.4, 0.6, 0.9)
    for more in ({}, {"sampling": "listen"})
}
STEP_TOLERANCE = 1e-6
"""What the confidence may differ by where a run was stopped early: those logits were once made in NumPy."""


def write_media(folder: Path) -> None:
    """Generated files: long and short groups of pictures, no sound, no pictures, longer ones."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "long-groups.mp4", seconds=40, event=(11.0, 19.0))
    write_video(folder / "short-groups.mp4", seconds=40, event=(21.0, 24.0), gop=8)
    write_video(folder / "silent.mp4", audio=False, gop=25)
    write_video(folder / "sound.wav", video=False, container_format="wav")


def answers(media: list[Path], precisions: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every answer with its name, less timings and folders."""
    for precision in precisions:
        try:
            classifier = Classifier(DEMO / "demo.plan", precision=precision)  # type: ignore[arg-type]
        except (DeviceError, PlanError):
            continue
        with classifier:
            for path in media:
                for name, way in (WAYS | STOPPING).items():
                    plain = _said(classifier.predict(path, refine=False, **way))
                    yield f"{precision} | {path.name} | {name}", plain | {"timings": None, "path": path.name}
            for path in media:
                features = classifier.features(path)
                banks = features.image_bank, features.audio_bank
                times = {"image_times": features.image_times, "audio_times": features.audio_times}
                for steps in (None, 1, 7):
                    found = classifier.predict_features(
                        *banks, **times, timestamps=features.timestamps, steps=steps
                    )
                    yield (
                        f"{precision} | {path.name} | features, {steps} steps",
                        _said(found) | {"timings": None},
                    )


def _said(prediction: Prediction) -> dict[str, Any]:
    """What an answer says; not how many bytes went by, which is the doing of threads.

    Nor when it happens: the plan may learn to tell, and nothing else changes for it.
    """
    plain = prediction.to_dict()
    del plain["segments"]
    if plain["media"] is not None:
        del plain["media"]["bytes_read"]
    return plain


SMALL = Path(__file__).with_name("golden.json")


def small() -> dict[str, dict[str, Any]]:
    """Answers about the demo videos in fp32, without the attention curves."""
    found: dict[str, dict[str, Any]] = {}
    with Classifier(DEMO / "demo.plan", precision="fp32") as classifier:
        for path in sorted(DEMO.glob("*.mp4")):
            for name in (*SAMPLINGS, "few knots", "stop at 0.6"):
                plain = _said(classifier.predict(path, refine=False, **(WAYS | STOPPING)[name]))
                for moment in plain["moments"]:
                    del moment["image_attention"], moment["audio_attention"]
                for key in ("timings", "timestamps", "path"):
                    del plain[key]
                found[f"{path.name} | {name}"] = plain
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def differences(before: Any, after: Any, tolerance: float, place: str = "") -> Iterator[str]:
    """Where two plain values differ, numbers by more than the tolerance."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), tolerance, f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if before != after:
            for i, pair in enumerate(zip(before, after, strict=True)):
                yield from differences(*pair, tolerance, f"{place}[{i}]")
    elif isinstance(before, float) and isinstance(after, float):
        if abs(before - after) > tolerance:
            yield f"{place}: {before!r} became {after!r}"
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


LATER: dict[str, Any] = {"known": True, "background": 0.0, "heard": [], "seen": []}
"""What predictions say since these were written down, of plans that do not make use of it."""


def as_now(before: dict[str, Any]) -> dict[str, Any]:
    """An answer that was written down, with what answers of the same plan say since."""
    return LATER | {"labels": [before["label"]]} | before


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """All differences that may not be: none but the stopped runs' confidences within rounding."""
    found = [f"{name}: gone or new" for name in sorted(before.keys() ^ after.keys())]
    for name in before.keys() & after.keys():
        stopped = before[name]["stopped_by"] == "confidence"
        tolerance = STEP_TOLERANCE if stopped else 0.0
        found += [f"{name}{text}" for text in differences(as_now(before[name]), after[name], tolerance)]
    return found


def main(verb: str, folder: Path) -> int:
    """Write or compare."""
    if verb == "small":
        SMALL.write_text(json.dumps(small(), indent=1) + "\n")
        return 0
    file = folder / "answers.json"
    if verb == "write":
        write_media(folder / "media")
    media = [*sorted(DEMO.glob("*.mp4")), *sorted((folder / "media").iterdir())]
    found = dict(answers(media, ("fp32", "bf16", "int8")))
    if verb == "write":
        file.write_text(json.dumps(found))
        print(f"{len(found)} answers written to {file}")
        return 0
    wrong = compare(json.loads(file.read_text()), json.loads(json.dumps(found)))
    print(*wrong[:40], f"{len(found)} answers, {len(wrong)} differences", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main(sys.argv[1], Path(*sys.argv[2:])))
