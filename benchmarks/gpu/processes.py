"""Programs that are run for their output, each with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL = 6000


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind.

    Attributes:
        output: All it wrote, to both of its outputs.
        status: It ended with this; None if it was ended because its time was over.
    """

    output: str
    status: int | None

    @property
    def good(self) -> bool:
        """Whether it ended by itself, with 0."""
        return self.status == 0

    def reason(self) -> str:
        """Return why it is not good, with the end of what it wrote."""
        how = "not done in time" if self.status is None else f"it ended with {self.status}"
        return f"{how}: {self.output[-TAIL:].strip()}"


def run(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program, and end it and all that it started when its time is over."""
    started = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = started.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        return Finished(started.communicate()[0], None)
    return Finished(output, started.returncode)
