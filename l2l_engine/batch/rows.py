"""From paths to rows: the callable that every engine for many files takes."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2l_engine.batch.isolation import Isolated
from l2l_engine.batch.items import Item, asked, item, rows_of
from l2l_engine.batch.schema import cells, schema
from l2l_engine.call import Ask
from l2l_engine.classifier import Classifier
from l2l_engine.errors import PlanError
from l2l_engine.loading import Precision
from l2l_engine.media import DEFAULT_LIMITS, Limits
from l2l_engine.plan import read_plan

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Unpack

    from l2l_engine.call import AskOptions


class Rows:
    """Turns a batch of files into rows of :func:`l2l_engine.batch.schema`. A failure is a row, no exception.

    It can be pickled, and loads the plan where it is called first: once a process, however many copies of
    it arrive there. The plan must lie at the same path wherever that is, and be the same.

    Args:
        plan: Path of a plan file.
        device, precision, limits: As of :class:`l2l_engine.Classifier`.
        threads: Processor threads, or, of ``isolate``, processes.
        isolate: Read each file in another process, so that one that kills its decoder is a row ``crashed``.
        tries: Of ``isolate``: how often such a file is begun.
        memory_bytes: Of ``isolate``: most bytes of data of a process.
        **options: Those of :meth:`l2l_engine.Classifier.predict`, without ``progress``.

    Raises:
        PlanError: If the plan is missing, damaged, or does not add up.
        ValueError, TypeError: If an option is out of range.
    """

    def __init__(
        self,
        plan: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: Precision = "auto",
        limits: Limits = DEFAULT_LIMITS,
        threads: int | None = None,
        isolate: bool = False,
        tries: int = 2,
        memory_bytes: int | None = None,
        **options: Unpack[AskOptions],
    ) -> None:
        read = read_plan(plan)
        Ask.of(read.document, limits, **options)  # before a file is blamed for them
        self.plan, self.sha256 = str(Path(plan).absolute()), read.sha256
        self._options = options
        self._classifier: dict[str, Any] = {"device": device, "precision": precision, "limits": limits}
        self._threads = threads
        isolation: dict[str, Any] = {"tries": tries, "memory_bytes": memory_bytes}
        self._isolation = isolation if isolate else None
        said = {**options, "device": device, "precision": precision, **dataclasses.asdict(limits)}
        self.asked = asked(self.sha256, {name: v for name, v in said.items() if name != "protocols"})

    def with_threads(self, threads: int) -> Rows:
        """A copy that uses so many threads."""
        copy = object.__new__(Rows)
        copy.__dict__.update(self.__dict__, _threads=threads)
        return copy

    def item(self, value: object) -> Item:
        """What a row says of a file before it is read: a path, a URL, or a row with the column ``uri``."""
        return item(value, self.asked, self._options.get("timeout_s"))

    def __call__(self, batch: Any) -> pa.Table:
        """The rows of a batch: a list of paths, or rows with a column ``uri``: of Arrow, pandas, by name."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        with closing(self.each(rows_of(batch))) as found:
            return pa.Table.from_pylist(list(found), schema=schema())

    def each(self, values: Iterable[object]) -> Generator[dict[str, Any], None, None]:
        """The row of each file, in their order, several files in work at once; read as rows are taken."""
        ahead: deque[Item] = deque()

        def files() -> Iterator[str | Path]:
            for value in values:
                ahead.append(value if isinstance(value, Item) else self.item(value))
                yield ahead[-1].file

        results = self._engine().predict_many(files(), on_error="yield", **self._options)
        with closing(results):
            for outcome in results:
                yield ahead.popleft().columns() | {"plan": self.sha256} | cells(outcome)

    def _engine(self) -> Classifier | Isolated:
        key = repr((self.plan, self.sha256, self._classifier, self._threads, self._isolation))
        with _lock:
            if key not in _engines:
                _engines[key] = self._load()
            return _engines[key]

    def _load(self) -> Classifier | Isolated:
        if read_plan(self.plan).sha256 != self.sha256:
            raise PlanError(f"{self.plan}: another plan than the one that was asked for")
        if self._isolation is None:
            return Classifier(self.plan, threads=self._threads, **self._classifier)
        return Isolated(self.plan, workers=self._threads, **self._isolation, **self._classifier)

    def close(self) -> None:
        """Let go of what this process loaded for it; a later call loads it again."""
        key = repr((self.plan, self.sha256, self._classifier, self._threads, self._isolation))
        with _lock:
            engine = _engines.pop(key, None)
        if engine is not None:
            engine.close()


_engines: dict[str, Classifier | Isolated] = {}
_lock = threading.Lock()
