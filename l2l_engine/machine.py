"""What operating systems do in different ways: which processors there are for us, and locking a file."""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def processors() -> int:
    """Processors that this process may run on, where the system tells; else all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lock(file: IO[Any]) -> None:
    """Lock an open file for as long as it is open, against whoever else calls this.

    Raises:
        BlockingIOError: Another has locked it.
        OSError: Its file system has no locks.
    """
    if sys.platform == "win32":
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(errno.EAGAIN, "locked by another") from error
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
