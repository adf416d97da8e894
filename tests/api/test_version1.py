"""Plans, predictions and files to resume that were written before version 2 of the plan's document are read.

The files in ``version1`` were written by commit 4d1e144, by ``version1/make.py``.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier, Prediction
from l2l_engine.plan import read_plan, write_compiled, write_plan
from tests.api.commands import inside
from tests.api.version1.make import DOCUMENTS

FOLDER = Path(__file__).with_name("version1")


def written_document(path: Path) -> dict[str, object]:
    """The document as it stands in the file."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    document: dict[str, object] = json.loads(header["__metadata__"]["l2l"])
    return document


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_plan_is_read_and_says_what_it_said(name: str, video: Path) -> None:
    path = FOLDER / f"{name}.plan"
    assert written_document(path)["format_version"] == 1
    assert read_plan(path).document == DOCUMENTS[name]
    before = Prediction.from_json((FOLDER / f"{name}.jsonl").read_text(encoding="utf-8"))
    with Classifier(path, precision="fp32") as classifier:
        after = classifier.predict(video)
    assert (after.label, len(after.moments)) == (before.label, len(before.moments))
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-4)
    assert (after.recognition is None) == (before.recognition is None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_prediction_is_read_and_new_fields_are_at_their_defaults(name: str) -> None:
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    found = Prediction.from_json(text)
    assert (found.known, found.background, found.heard, found.seen) == (True, 0.0, (), ())
    assert (found.labels, found.segments) == ((), None)
    old, new = json.loads(text), found.to_dict()
    # The media, too, say more by now than they did.
    said = {key: new[key] for key in old}
    said["media"] = {key: new["media"][key] for key in old["media"]}
    assert said == old
    assert new.keys() - old.keys() == {"known", "background", "heard", "seen", "labels", "segments"}
    assert Prediction.from_dict(new) == found


@pytest.mark.parametrize("name", ["clip.csv", "clip.jsonl", "paired.jsonl"])
def test_a_file_is_resumed(name: str, video: Path, tmp_path: Path) -> None:
    results, plan = tmp_path / name, FOLDER / f"{name.partition('.')[0]}.plan"
    shutil.copy(FOLDER / name, results)
    before = results.read_text(encoding="utf-8")
    shutil.copy(video, tmp_path / "other.mp4")
    status, _, said = inside(
        "predict", tmp_path / "other.mp4", "--plan", plan, "--resume", results, "--precision", "fp32"
    )
    assert status == 0, said
    after = results.read_text(encoding="utf-8")
    assert after.startswith(before)
    if name.endswith("csv"):
        rows = list(csv.DictReader(after.splitlines()))
        assert [Path(row["path"]).name for row in rows] == ["event.mp4", "other.mp4"]
        assert rows[0]["label"] == rows[1]["label"]
    else:
        first, second = map(Prediction.from_json, after.splitlines())
        np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-4)
    again = inside("predict", tmp_path / "other.mp4", "--plan", plan, "--resume", results)
    assert (again[0], results.read_text(encoding="utf-8")) == (0, after)


def test_what_is_written_again_is_version_2_and_nothing_else_of_it_changes(tmp_path: Path) -> None:
    old = read_plan(FOLDER / "paired.plan")
    for new in (
        write_plan(tmp_path / "new.plan", old.document, graphs=old.graphs, skim=old.skim),
        write_compiled(tmp_path / "compiled.plan", old, {}),
    ):
        before, after = written_document(old.path), written_document(new.path)
        assert after == before | {"format_version": 2}
