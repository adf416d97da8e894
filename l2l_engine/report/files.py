"""A report appears whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from l2l_engine.report.problems import ReportWriteError


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write to a temporary file in the same folder, then rename it over ``path``.

    Raises:
        ReportWriteError: The folder is missing, not writable, or full; ``path`` is as it was before.
    """
    target = Path(path)
    temporary = target.parent / f".l2l-{secrets.token_hex(8)}.tmp"
    try:
        try:
            # Not mkstemp: a report is for others to read too, as far as the umask lets them.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise ReportWriteError(f"{os.fsdecode(path)}: cannot be written: {cause}") from error
