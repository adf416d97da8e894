"""Rows of one schema from any batch; a failure is a row."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2l_engine import Classifier, L2LError, errors
from l2l_engine.batch import ERROR_KINDS, Rows, schema
from l2l_engine.batch.parts import Parts
from l2l_engine.batch.schema import cells, error_kind
from l2l_engine.result import Segment, Tag
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
        assert (good["known"], good["background"]) == (answer.known, answer.background)
        assert (good["labels"], good["heard"], good["seen"]) == (list(answer.labels), [], [])
        assert [moment["look_at"] for moment in good["moments"]] == [m.look_at for m in answer.moments]
        assert (bad["error_kind"], bad["label"], bad["labels"], bad["known"]) == ("media", None, None, None)
        assert str(text) in bad["error"]
    assert rows([]).num_rows == 0


def test_segments_and_tags_are_columns(classifier: Classifier, video: Path) -> None:
    tags = (Tag("Speech", 0.5, (1.0, 3.0)),)
    found = (Segment("ball", 0.5, 2.25, 0.75), Segment("star", 1.0, 3.5, 0.5))
    said = replace(
        classifier.predict(video),
        segments=found,
        labels=("ball", "star"),
        known=False,
        background=0.25,
        heard=tags,
    )
    table = pa.Table.from_pylist([{"row_id": "a", "uri": "b", "plan": "c"} | cells(said)], schema=schema())
    (row,) = table.to_pylist()
    assert [Segment(**segment) for segment in row["segments"]] == list(found)
    assert (row["labels"], row["known"], row["background"]) == (["ball", "star"], False, 0.25)
    assert row["heard"] == [{"name": "Speech", "score": 0.5, "seconds": [1.0, 3.0]}]
    assert row["seen"] == []
    (row,) = pa.Table.from_pylist([cells(replace(said, segments=()))], schema=schema()).to_pylist()
    assert row["segments"] == []


def test_rows_of_before_are_put_together_with_those_of_now(tmp_path: Path, rows: Rows, video: Path) -> None:
    """Columns that came later are null in rows that were made before."""
    now = rows([video])
    before = now.drop_columns(["labels", "known", "background", "heard", "seen"])
    before = before.set_column(0, before.schema.field("row_id"), pa.array(["0" * 32]))
    parts = Parts(tmp_path / "parts")
    parts.write(now)
    parts.write(before)
    both = {"0" * 32, now.column("row_id")[0].as_py()}
    assert parts.done() == both
    assert parts.merge(tmp_path / "all.parquet", both) == 2
    found = {row["row_id"]: row for row in pq.read_table(tmp_path / "all.parquet").to_pylist()}
    assert found["0" * 32]["known"] is None
    assert found["0" * 32]["label"] == now.column("label")[0].as_py()
    assert all(len(row) == len(schema()) for row in found.values())


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
