"""Many files, one after the other on the screen and several at a time underneath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
from rich.text import Text

from l2l_engine.batch import Isolated
from l2l_engine.call import AskOptions
from l2l_engine.classifier import Classifier
from l2l_engine.cli.output import Sink
from l2l_engine.media.folders import File
from l2l_engine.result import Prediction

if TYPE_CHECKING:
    from typing_extensions import Unpack

Complain = Callable[[str], None]


class _Rate(ProgressColumn):
    """Files a second."""

    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f} files/s")


def classify(
    classifier: Classifier | Isolated,
    files: Sequence[File],
    sink: Sink,
    *,
    workers: int | None,
    errors: Console,
    complain: Complain,
    **options: Unpack[AskOptions],
) -> int:
    """Classify ``files``, hand each result to ``sink`` and each failure to ``complain``.

    Args:
        classifier: Does the work.
        files: What to classify.
        sink: Takes the predictions, in the order of ``files``.
        workers: Files in work at once.
        errors: Where a progress bar is drawn, if that is a terminal and there is more than one file.
        complain: Takes a line about each file that failed.
        **options: Handed to ``Classifier.predict``.

    Returns:
        The number of files that could not be classified.
    """
    failed = 0
    bar = Progress(
        MofNCompleteColumn(),
        BarColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal or len(files) < 2,
    )
    results = classifier.predict_many(files, workers=workers, on_error="yield", **options)
    with bar, closing(results):
        task = bar.add_task("", total=len(files))
        for result in results:
            if isinstance(result, Prediction):
                sink.write(result)
            else:
                complain(str(result))
                failed += 1
            bar.advance(task)
    return failed
