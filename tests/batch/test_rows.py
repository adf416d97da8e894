"""Rows of one schema from any batch; a failure is a row."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from l2l_engine import Classifier, L2LError, errors
from l2l_engine.batch import ERROR_KINDS, Rows, schema
from l2l_engine.batch.schema import error_kind
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def rows(plan_file: Path) -> Rows:
    return Rows(plan_file, top_k=2)


def test_every_kind_of_batch(rows: Rows, video: Path, tmp_path: Path, classifier: Classifier) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n" * 9)
    files = [str(video), str(text)]
    tables = [
        rows(files),
        rows([video, text]),
        rows({"uri": np.array(files), "more": np.array([1, 2])}),
        rows(pa.table({"uri": files})),
        rows([{"path": file} for file in files]),
    ]
    answer = classifier.predict(video)
    for table in tables:
        assert table.schema.equals(schema(), check_metadata=True)
        good, bad = table.to_pylist()
        assert good["label"] == answer.label
        assert good["probabilities"] == answer.probabilities.tolist()
        assert len(good["top_k"]) == 2
        assert (good["uri"], good["size"]) == (files[0], video.stat().st_size)
        assert good["bytes_read"] > 0
        assert good["segments"] is None
        assert [moment["look_at"] for moment in good["moments"]] == [m.look_at for m in answer.moments]
        assert (bad["error_kind"], bad["label"]) == ("media", None)
        assert str(text) in bad["error"]
    assert rows([]).num_rows == 0


def test_it_travels(rows: Rows, video: Path) -> None:
    copy = pickle.loads(pickle.dumps(rows))
    assert len(pickle.dumps(rows)) < 10_000
    assert copy([video]).column("row_id") == rows([video]).column("row_id")


def test_a_row_id_is_that_of_a_file_as_it_is(
    rows: Rows, video: Path, plan_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    shutil.copy(video, file)
    first = rows.item(file).row_id
    assert len(first) == 32
    assert rows.item(str(file)).row_id == first
    assert Rows(plan_file, top_k=2, threads=1, isolate=True).item(file).row_id == first, "how, not what"
    assert Rows(plan_file, top_k=3).item(file).row_id != first
    os.utime(file, ns=(1, 1))
    assert rows.item(file).row_id != first


def test_options_are_refused_before_a_file_is_blamed(plan_file: Path) -> None:
    with pytest.raises(ValueError, match="top_k"):
        Rows(plan_file, top_k=0)
    with pytest.raises(errors.PlanNotFoundError):
        Rows("gone.plan")


def test_another_plan_at_its_place_is_refused(plan_file: Path, tmp_path: Path, video: Path) -> None:
    there = tmp_path / "a.plan"
    shutil.copy(plan_file, there)
    rows = Rows(there)
    shutil.copy(ROOT / "demo/demo.plan", there)
    with pytest.raises(errors.PlanError, match="another plan"):
        rows([video])


def test_every_error_has_a_kind() -> None:
    def kinds(kind: type[L2LError]) -> set[type[L2LError]]:
        return {kind}.union(*(kinds(sub) for sub in kind.__subclasses__()))

    for kind in kinds(L2LError):
        if kind.__module__ == "l2l_engine.errors":
            assert error_kind(kind("x")) in ERROR_KINDS


def test_the_page_lists_the_columns_and_the_kinds() -> None:
    page = (ROOT / "docs/formats.md").read_text()
    for field in schema():
        assert f"| `{field.name}` |" in page, field.name
    for kind in ERROR_KINDS:
        assert f"| `{kind}` |" in page, kind
