"""Jobs of many files: rows in Parquet by this process or by Ray, and shards put together."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand

from l2l_engine.batch import Rows, job, shards
from l2l_engine.batch.items import items
from l2l_engine.batch.merging import merge_shards
from l2l_engine.batch.parts import Parts
from l2l_engine.cli import show, wanted
from l2l_engine.cli.streams import complain, fatal_errors
from l2l_engine.media import stores
from l2l_engine.media.folders import File

HERE = "local"
"""The address of a Ray that is started for this job alone."""


class OptionalAddress(TyperCommand):
    """A command whose option ``--ray`` may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does, with the address of this machine where none follows."""
        given = list(args)
        for at in [number for number, word in enumerate(args) if word == "--ray"]:
            if at + 1 == len(args) or args[at + 1].startswith("-"):
                given[at] = f"--ray={HERE}"
        return super().parse_args(ctx, given)


class Tally:
    """How far a job is: files, hours of video, time left; and what failed, as lines."""

    def __init__(self, errors: Console) -> None:
        self.hours, self.failed, self.rows = 0.0, 0, 0
        columns = (
            MofNCompleteColumn(),
            TextColumn("files, {task.fields[hours]:.1f} h of video"),
            BarColumn(),
        )
        self.bar = Progress(
            *columns, TimeRemainingColumn(), console=errors, transient=True, disable=not errors.is_terminal
        )
        self._task = self.bar.add_task("", total=0, hours=0.0)

    def begin(self, count: int) -> None:
        """So many are to be done."""
        self.bar.update(self._task, total=count)

    def add(self, row: dict[str, Any]) -> None:
        """One more is done."""
        self.rows += 1
        if row.get("error_kind"):
            self.failed += 1
            complain(row["error"])
        self.hours += ((row.get("media") or {}).get("duration") or 0.0) / 3600
        self.bar.update(self._task, advance=1, hours=self.hours)


def write_rows(
    rows: Rows, found: Sequence[File], target: Path, shard: str | None, by: str, *, complete: bool
) -> None:
    """``predict --parquet``: the rows of the files, or of a shard of them, in one file.

    Raises:
        typer.Exit: Status 1 if files failed.
    """
    which = None if shard is None else shards.parse(shard)
    if by not in shards.BY:
        raise ValueError(f"shards are made by {' or by '.join(shards.BY)}, not by {by!r}")
    if which is not None and (target.is_dir() or target.suffix != ".parquet"):
        target /= f"shard-{which[0]:05}-of-{which[1]:05}.parquet"
    tally = Tally(show.console(stderr=True))
    with tally.bar:
        job.run(rows, found, target, shard=which, by=by, told=tally.add, begun=tally.begin)
    _end(tally, complete)


def _end(tally: Tally, complete: bool) -> None:
    if tally.failed:
        complain(f"{tally.failed} of {tally.rows} files could not be classified; their rows say why")
    if tally.failed or not complete:
        raise typer.Exit(1)


def merge(
    shards: Annotated[
        list[Path], typer.Argument(help="The shards' files, or folders of them.", show_default=False)
    ],
    target: Annotated[Path, typer.Option("--output", "-o", help="The Parquet file.", show_default=False)],
) -> None:
    """Put the shards of `l2l predict --shard` together, if no row is missing or there twice.

    Example: l2l merge rows/ -o all.parquet
    """
    with fatal_errors():
        count = merge_shards(shards, target)
    typer.echo(f"{count} rows in {target}")


def batch(  # noqa: PLR0917 - typer makes an option of each
    source: Annotated[
        list[str],
        typer.Argument(
            help="Folders, URLs of folders (ending in /), files, or .txt files with one of these a line.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder or URL that takes the rows.", show_default=False)
    ],
    plan: Annotated[Path, typer.Option("--plan", "-p", envvar="L2L_PLAN", help="The plan file.")] = Path(
        "engine.plan"
    ),
    ray: Annotated[
        str | None,
        typer.Option(metavar="[ADDRESS]", help="Of the Ray cluster; without one, Ray is started here."),
    ] = None,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Actors at once.", show_default="all there is room for")
    ] = None,
    num_cpus: Annotated[float, typer.Option(help="Processors of an actor.")] = 1.0,
    num_gpus: Annotated[float, typer.Option(help="GPUs of an actor.")] = 0.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Files of one task.")] = 16,
    isolate: Annotated[bool, typer.Option(help="Read files in processes that may be lost.")] = True,
    max_memory: Annotated[
        int | None, typer.Option(min=1, help="Most bytes of data of such a process.", show_default="no bound")
    ] = None,
    sampling: Annotated[str, typer.Option(help="Which frames to decode.")] = "auto",
    max_knots: Annotated[int | None, typer.Option(min=1, help="Most frames and most sounds a file.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to list.")] = 5,
    timeout: Annotated[float | None, typer.Option(help="Seconds before a file is given up.")] = None,
) -> None:
    """Classify many files on a Ray cluster, or on this machine: rows.parquet in the output's folder.

    Rows are kept as they come; a run that was killed goes on where it was.

    Examples:

      l2l batch s3://bucket/videos/ --plan engine.plan --output s3://bucket/rows --ray ray://head:10001

      l2l batch videos/ --output rows --ray
    """
    asked: dict[str, Any] = {
        "sampling": sampling,
        "max_knots": max_knots,
        "top_k": top_k,
        "timeout_s": timeout,
    }
    asked |= {"memory_bytes": max_memory}
    if num_gpus:
        asked["device"] = "cuda"
    found, complete = wanted.find(_listed(source), recursive=True)
    tally = Tally(show.console(stderr=True))
    with fatal_errors():
        rows = Rows(plan, isolate=isolate, **asked)
        files = {item.row_id: item for item in items(found, rows.asked)}
        parts = Parts(f"{output.rstrip('/')}/parts")
        done = parts.done()
        left = [item for key, item in files.items() if key not in done]
        tally.begin(len(left))
        with tally.bar:
            made = _on_ray(
                ray or HERE,
                [item.file for item in left],
                plan,
                output=parts.folder.place,
                concurrency=actors,
                num_cpus=num_cpus,
                num_gpus=num_gpus,
                batch_size=batch_size,
                isolate=isolate,
                **asked,
            )
            for row in made:
                tally.add(row)
        _publish(parts, output, list(files))
    _end(tally, complete)


def _on_ray(address: str, files: Sequence[str], plan: Path, **options: Any) -> Any:
    """The rows of files, by Ray, as they come."""
    if not files:
        return
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray  # noqa: PLC0415 - an extra

        from l2l_engine.ray import predict_dataset  # noqa: PLC0415
    except ImportError as error:
        raise ValueError("this takes pip install 'l2l_engine[ray]'") from error
    # A cluster that runs has its own dashboard, or none.
    dashboard = False if address == HERE else None
    ray.init(address, log_to_driver=False, logging_level=logging.WARNING, include_dashboard=dashboard)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        dataset = predict_dataset(files, plan, **options)
        tables: Any = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        for table in tables:
            yield from table.to_pylist()
    finally:
        ray.shutdown()


def _publish(parts: Parts, output: str, keys: Sequence[str]) -> None:
    """Write rows.parquet beside the parts."""
    if stores.protocol_of(output) is None:
        parts.merge(Path(output, "rows.parquet"), keys)
        return
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "rows.parquet")
        parts.merge(whole, keys)
        system, path = stores.find(output.rstrip("/"))
        system.put_file(str(whole), f"{path}/rows.parquet")


def _listed(sources: Sequence[str]) -> list[str]:
    """The sources, with the lines of text files in their place."""
    named: list[str] = []
    for source in sources:
        if source.endswith(".txt") and Path(source).is_file():
            named += [line for line in Path(source).read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            named.append(source)
    return named
