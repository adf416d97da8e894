"""Programs that are run for their output, each with a time limit, and none of which outlives its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL = 6000
GRACE_S = 5.0
"""How long to wait for a process that was killed; one that hangs in the driver is then left behind."""
_GUARD = Path(__file__).with_name("guard.py")
left: list[subprocess.Popen[str]] = []
"""Processes that were left behind."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind.

    Attributes:
        output: All it wrote, to both of its outputs.
        status: It ended with this; None if it was ended because its time was over.
        stuck: It was killed and is there still.
    """

    output: str
    status: int | None
    stuck: bool = False

    @property
    def good(self) -> bool:
        """Whether it ended by itself, with 0."""
        return self.status == 0

    def reason(self) -> str:
        """Return why it is not good, with the end of what it wrote."""
        how = "not done in time" if self.status is None else f"it ended with {self.status}"
        if self.stuck:
            how += ", could not be killed and was left behind"
        return f"{how}: {self.output[-TAIL:].strip()}"


def run(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    said: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program, and end it and all that it started when its time is over.

    Args:
        command: Program and arguments.
        limit_s: Seconds that it may take.
        cwd: Its working folder.
        env: Its environment.
        said: Called with each line that it writes, at once, from a thread of this call's.
    """
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *map(str, command)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: list[str] = []

    def read() -> None:
        assert started.stdout is not None
        with started.stdout as output:
            for line in output:
                lines.append(line)
                if said is not None:
                    said(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    status: int | None = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = started.wait(max(0.0, limit_s))
        reader.join(GRACE_S / 5)  # what it left running in the background may hold its output open
    stuck = not _ended(started)
    if stuck:
        left.append(started)
    reader.join(GRACE_S)
    return Finished("".join(lines), status, stuck)


def _ended(started: subprocess.Popen[str]) -> bool:
    """Kill a whole group; False if its leader does not go."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    try:
        started.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        return False
    return True
