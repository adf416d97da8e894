"""Rows on Ray: a pool of actors that each hold the plan, over as many machines as the cluster has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
import ray.data

from l2l_engine.batch.items import Item, items, rows_of
from l2l_engine.batch.parts import Parts, as_table
from l2l_engine.batch.rows import Rows

if TYPE_CHECKING:
    from ray.data import Dataset

BATCH = 16
"""Files of one task: what is done again if its actor is lost, and the rows of one part."""


def predict_dataset(
    ds_or_paths: Dataset | Iterable[str | os.PathLike[str]],
    plan: str | os.PathLike[str],
    *,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    output: str | os.PathLike[str] | None = None,
    batch_size: int = BATCH,
    isolate: bool = True,
    **options: Any,
) -> Dataset:
    """Classify many files on a Ray cluster; Ray must have been started, or starts on this machine.

    Args:
        ds_or_paths: Paths and URLs, or a dataset with a column ``uri``. Every node must see them, the
            plan, and ``output`` by these names.
        plan: Path of a plan file.
        concurrency: Actors, or the fewest and the most; by default as many as the cluster has room for.
        num_cpus: Processors of an actor; it uses so many threads.
        num_gpus: GPUs of an actor; if any, it works on "cuda".
        output: Folder or URL where rows are put as they come, in Parquet files, each whole or not there.
            What is there already is left out, by ``row_id``: so a run that was killed goes on.
        batch_size: Files of one task.
        isolate: Read files in processes beside the actor. Otherwise one that kills its decoder kills its
            actor, and Ray begins it again and again.
        **options: As of :class:`l2l_engine.batch.Rows`.

    Returns:
        A dataset of rows of :func:`l2l_engine.batch.schema`, made when it is read: the new ones.

    Raises:
        PlanError, ValueError, TypeError: As :class:`l2l_engine.batch.Rows`.
    """
    if num_gpus:
        options.setdefault("device", "cuda")
    rows = Rows(plan, isolate=isolate, **options)
    place = None if output is None else os.fspath(output)
    if isinstance(ds_or_paths, ray.data.Dataset):
        dataset, look = ds_or_paths, place is not None
    else:
        found = items(ds_or_paths, rows.asked)
        done = set() if place is None else Parts(place).done()
        dataset = _dataset([item for item in found if item.row_id not in done], batch_size)
        look = False
    if concurrency is None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        concurrency = max(1, int(resources.get("CPU", 1) // max(num_cpus, 1e-3)))
    least, most = (concurrency, concurrency) if isinstance(concurrency, int) else concurrency
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(rows, place, look),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


def _dataset(found: Sequence[Item], batch_size: int) -> Dataset:
    """Items as a dataset with a block for each task, so that tasks are as even as can be."""
    kind = pa.schema([(name, pa.string()) for name in ("row_id", "uri", "version")] + [("size", pa.int64())])
    plain = [item.columns() | {"uri": item.file} for item in found]
    blocks = [plain[at : at + batch_size] for at in range(0, len(plain), batch_size)] or [[]]
    return ray.data.from_arrow([pa.Table.from_pylist(block, schema=kind) for block in blocks])


class _Actor:
    """One of the pool."""

    def __init__(self, rows: Rows, output: str | None, look: bool) -> None:
        context = ray.get_runtime_context()
        given = context.get_assigned_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
        self._rows = rows.with_threads(max(1, int(given)))
        self._parts = None if output is None else Parts(output)
        self._done = self._parts.done() if self._parts is not None and look else set[str]()

    def __call__(self, batch: pa.Table) -> pa.Table:
        found = [self._rows.item(row) for row in rows_of(batch)]
        table = as_table(self._rows.each([item for item in found if item.row_id not in self._done]))
        if self._parts is not None and len(table):
            self._parts.write(table)
        return table
