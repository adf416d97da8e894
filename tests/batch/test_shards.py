"""Shards, what is kept of them, and how they become one file again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from l2l_engine.batch import Rows, job, shards
from l2l_engine.batch.items import Item
from l2l_engine.batch.merging import merge_shards
from l2l_engine.batch.parts import Parts, RowsError, as_table
from tests.api.commands import inside


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    place = tmp_path_factory.mktemp("files")
    for number in range(6):
        shutil.copy(video, place / f"{number}.mp4")
    (place / "text.mp4").write_text("no video\n" * 9)
    return place


def answers(file: Path) -> dict[str, Any]:
    rows = pq.read_table(file).to_pylist()
    assert len({row["uri"] for row in rows}) == len(rows)
    return {
        row["uri"]: (row["row_id"], row["label"], row["probabilities"], row["error_kind"]) for row in rows
    }


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_shards_part_the_files(count: int) -> None:
    rng = np.random.default_rng(count)
    sizes = rng.integers(1, 10**9, 500)
    items = [Item(f"{i}.mp4", f"{i}.mp4", int(size), None, str(i)) for i, size in enumerate(sizes)]
    uris = [item.uri for item in items]
    numbers = range(1, count + 1)
    by_hash = [shards.of(uris, number, count) for number in numbers]
    by_bytes = [shards.by_bytes(items, number, count) for number in numbers]
    for parts in (by_hash, by_bytes):
        assert sorted(index for part in parts for index in part) == list(range(500))
    loads = [sum(int(sizes[index]) for index in part) for part in by_bytes]
    assert max(loads) - min(loads) <= sizes.max()
    turned = [uris[index] for index in reversed(range(500))]
    assert {turned[i] for i in shards.of(turned, 1, count)} == {uris[i] for i in by_hash[0]}


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2"])
def test_a_shard_that_is_none(text: str, folder: Path, plan_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="I/N"):
        shards.parse(text)
    code, _, said = inside("predict", folder, "--plan", plan_file, "--parquet", tmp_path, f"--shard={text}")
    assert code == 2
    assert "I/N" in said


@pytest.mark.parametrize("by", ["hash", "bytes"])
def test_shards_and_merge_are_one_run(folder: Path, plan_file: Path, tmp_path: Path, by: str) -> None:
    common = ("predict", folder, "--plan", plan_file, "--parquet")
    code, _, said = inside(*common, tmp_path / "one.parquet")
    assert code == 1, "one is no video"
    assert "text.mp4" in said
    for number in (1, 2, 3):
        inside(*common, tmp_path / "shards", "--shard", f"{number}/3", "--shard-by", by)
    assert inside("merge", tmp_path / "shards", "-o", tmp_path / "all.parquet")[0] == 0
    assert answers(tmp_path / "all.parquet") == answers(tmp_path / "one.parquet")
    assert len(answers(tmp_path / "all.parquet")) == 7
    assert sorted(path.suffix for path in (tmp_path / "shards").iterdir()) == [".parquet"] * 3


def test_merge_refuses_what_is_not_whole(folder: Path, plan_file: Path, video: Path, tmp_path: Path) -> None:
    def shard(number: int, count: int = 2, place: str = "a", **options: Any) -> Path:
        target = tmp_path / place / f"{number}.parquet"
        files = sorted(folder.iterdir())
        job.run(Rows(plan_file, **options), files, target, shard=(number, count))
        return target

    one, two = shard(1), shard(2)
    target = tmp_path / "all.parquet"
    with pytest.raises(RowsError, match="shards 2 of 2 are missing"):
        merge_shards([one], target)
    with pytest.raises(RowsError, match="there twice"):
        merge_shards([one, two, two], target)
    with pytest.raises(RowsError, match=r"another job .* l2l\.asked"):
        merge_shards([one, shard(2, place="b", top_k=1)], target)
    with pytest.raises(RowsError, match=r"another job .* l2l\.count"):
        merge_shards([one, shard(2, 3, place="c")], target)
    said = pq.read_schema(two).metadata
    rows = pq.read_table(two)
    pq.write_table(rows.slice(1), tmp_path / "less.parquet")
    with pytest.raises(RowsError, match="6 of 7 rows"):
        merge_shards([one, tmp_path / "less.parquet"], target)
    again = pq.read_table(one).slice(0, 1).replace_schema_metadata(said)
    pq.write_table(
        type(rows).from_batches([*rows.to_batches(), *again.to_batches()]), tmp_path / "more.parquet"
    )
    with pytest.raises(RowsError, match="there twice"):
        merge_shards([one, tmp_path / "more.parquet"], target)
    with pytest.raises(RowsError, match="not a Parquet file"):
        merge_shards([video], target)
    assert not target.exists()
    assert merge_shards([tmp_path / "a"], target) == 7


def test_a_run_that_ends_early_goes_on(folder: Path, plan_file: Path, tmp_path: Path) -> None:
    """Its output is not there before it is whole, and what was done is not done again."""
    rows, target, files = Rows(plan_file), tmp_path / "out.parquet", sorted(folder.iterdir())
    made: list[str] = []

    def stop(row: dict[str, Any]) -> None:
        made.append(row["uri"])
        if len(made) == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_HELD", 1)
        with pytest.raises(KeyboardInterrupt):
            job.run(rows, files, target, told=stop)
        assert not target.exists()
        later: list[str] = []
        job.run(rows, files, target, told=lambda row: later.append(row["uri"]))
    assert len(later) == 5, "two were kept before the third was told of"
    assert len(answers(target)) == 7
    nothing: list[str] = []
    job.run(rows, files, target, told=lambda row: nothing.append(row["uri"]))
    assert nothing == []
    assert list(tmp_path.iterdir()) == [target]


def test_what_may_pass_is_tried_again(plan_file: Path, video: Path, tmp_path: Path) -> None:
    rows, parts = Rows(plan_file), Parts(tmp_path / "parts")
    item = rows.item(video)
    failed = [item.columns() | {"plan": rows.sha256, "error_kind": "unreachable", "error": "x"}]
    parts.write(as_table(failed))
    assert parts.done() == set()
    assert parts.merge(tmp_path / "a.parquet", [item.row_id]) == 1, "it is a row for now"
    parts.folder.write("zz.parquet", _good(rows, video))
    parts.folder.write("aa.parquet", _good(rows, video))
    assert parts.done() == {item.row_id}
    parts.merge(tmp_path / "b.parquet", [item.row_id])
    (row,) = answers(tmp_path / "b.parquet").values()
    assert row[3] is None
    with pytest.raises(RowsError, match="1 rows are missing"):
        parts.merge(tmp_path / "c.parquet", [item.row_id, "0" * 32])


def _good(rows: Rows, video: Path) -> bytes:
    from l2l_engine.batch.parts import as_parquet

    return as_parquet(rows([video]))


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """No Classifier outlives its test's plan."""
    yield
    from l2l_engine.batch import rows

    for engine in rows._engines.values():
        engine.close()
    rows._engines.clear()
