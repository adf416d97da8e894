"""A report appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from l2l_engine import files
from l2l_engine.report.problems import ReportWriteError


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Put ``data`` into ``path``, in place of what was there.

    Raises:
        ReportWriteError: The folder is missing, not writable, or full; ``path`` is as it was before.
    """
    try:
        files.write_whole(Path(path), lambda file: file.write(data))
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise ReportWriteError(f"{os.fsdecode(path)}: cannot be written: {cause}") from error
