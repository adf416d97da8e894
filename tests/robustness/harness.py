"""Runs a target over many seeds in a child process, where a crash, a hang or a leak is a finding.

The child says which seed it begins, how it ended and how much memory it has needed by then, a line each. The
parent kills it when a case takes too long or its memory passes the cap, writes down what happened, and starts
another child with the next seed. The memory is the child's own word because a parent that is behind would ask
about a process that has ended.
"""

from __future__ import annotations

import collections
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
START_S = 60.0
"""Seconds a child may take to import and load before its first case."""


@dataclass(frozen=True)
class Finding:
    """What must not happen: kind is "crash", "hang", "memory" or "error"."""

    kind: str
    seed: int
    detail: str


@dataclass
class Report:
    findings: list[Finding] = field(default_factory=list)
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    slowest: float = 0.0
    peak_mb: float = 0.0


class Child:
    """One child process and the bytes it has said so far."""

    def __init__(self, target: str, first: int, stop: int) -> None:
        command = [sys.executable, "-m", "tests.robustness.child", target, str(first), str(stop)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False, bufsize=0
        )
        self._pending = b""

    def line(self, timeout: float) -> str | None:
        """The next line it says; empty when it has ended, None when it says nothing in time."""
        pipe: IO[bytes] | None = self.process.stdout
        assert pipe is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._pending:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            more = os.read(pipe.fileno(), 65536)
            if not more:
                return ""
            self._pending += more
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def end(self) -> str:
        """Kill it if it still runs; how it ended, and the last it said on stderr."""
        self.process.kill()
        _, errors = self.process.communicate()
        code = self.process.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"{how}: {errors.decode(errors='replace')[-2000:]}"


def run(target: str, seeds: range, *, hang_s: float = 10.0, memory_mb: float = 1500.0) -> Report:
    """Run ``target`` (a name known to ``tests.robustness.child``) on every seed."""
    report = Report()
    seed = seeds.start
    while seed < seeds.stop:
        seed = _one_child(target, seed, seeds.stop, hang_s, memory_mb, report)
    return report


def _one_child(target: str, first: int, stop: int, hang_s: float, memory_mb: float, report: Report) -> int:
    """Run one child until it ends or must be ended; the seed to go on with."""
    child = Child(target, first, stop)
    seed, begun, allowed = first, time.monotonic(), START_S
    while True:
        line = child.line(allowed)
        words = (line or "").split(" ", 2)
        if words[0] == "begin":
            seed, begun, allowed = int(words[1]), time.monotonic(), hang_s
            continue
        report.slowest = max(report.slowest, 0.0 if allowed == START_S else time.monotonic() - begun)
        if words[0] == "done":
            _, _, megabytes, outcome = (line or "").split(" ", 3)
            report.peak_mb = max(report.peak_mb, float(megabytes))
            if float(megabytes) <= memory_mb:
                report.outcomes[outcome] += 1
                continue
        if words[0] == "over":
            child.end()
            return stop
        kind = {"done": "memory", "error": "error", "": "crash"}[words[0]]
        detail = f"{report.peak_mb:.0f} MB" if kind == "memory" else " ".join(words[2:])
        ended = child.end()
        report.findings.append(Finding("hang" if line is None else kind, seed, f"{detail} {ended}".strip()))
        return seed + 1
