"""Builds the GPU side for this machine's GPU, checks and times it, and writes what came out.

Every section runs in a process of its own, within what is left of the time. One whose tools are not here is
"not run", with the reason. What was measured and whether the goals were met are two things, and both are
written. Ends with 0 if all was measured and all goals were met, 1 if a section failed or a goal was missed, 2
otherwise.

One record, gpu-<device>.json, and one log beside it are written before and after every section: to --results,
else into the folder $OUT, else into benchmarks/results. Without a GPU it is a rehearsal, and no result.

Needs this checkout, Python, nvcc, CMake, pybind11 and NumPy; pytest for the tests, PyTorch for the timings;
uses TensorRT, TensorRT-RTX, DALI, PyAV, OpenVINO, CuPy, PyCUDA and compute-sanitizer where they are. Wheels
in a folder will do for packages: nothing is fetched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu import machine, processes, site
from benchmarks.gpu.child import SECTIONS, Place
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.section import DONE, FAILED, NOT_RUN, NotRunError, Record, as_part, broken

RESULTS = site.ROOT / "benchmarks" / "results"
LIMIT_S, BUILD_S = 465.0, 240.0
LEAST_S = 10.0


class Run:
    """All sections, one after the other, written into one journal."""

    def __init__(self, journal: Journal, limit_s: float = LIMIT_S, build_s: float = BUILD_S) -> None:
        self._journal, self._limit, self._build_s = journal, limit_s, build_s
        self._end = time.monotonic() + limit_s
        self.records: dict[str, Record] = {}

    def build(self) -> Record:
        """What all the others import."""

        def work(left: float) -> Record:
            try:
                record = site.build(min(left, self._build_s), said=self._journal.line)
            except NotRunError as reason:
                record = broken(NOT_RUN, str(reason))
            if record["state"] != DONE:
                site.rehearse()
            return record

        return self._section("build", work)

    def section(self, name: str, place: Place) -> Record:
        """One section's record."""
        return self._section(name, lambda left: self._child(name, place, min(place.limit_s, left)))

    def _section(self, name: str, work: Callable[[float], Record]) -> Record:
        begin = time.monotonic()
        left = self._end - begin
        self._journal.begin(name)
        if left < LEAST_S:
            record = broken(NOT_RUN, f"the {self._limit:.0f} s of a run are over")
        else:
            record = work(left)
        record = self._journal.end(name, record, time.monotonic() - begin)
        self.records[name] = record
        print(line(name, record), flush=True)
        return record

    def _child(self, name: str, place: Place, limit_s: float) -> Record:
        def said(text: str) -> None:
            known = as_part(text)
            self._journal.line(text)
            if known is not None:
                self._journal.part(name, known)
                print(f"  {name}: {json.dumps(known)[:300]}", flush=True)

        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            target = Path(folder) / "record.json"
            command = [sys.executable, "-m", "benchmarks.gpu.child", place.module, place.function]
            # With -m, modules are looked for in the working folder first.
            done = processes.run(
                [*command, str(int(place.gpu)), target],
                limit_s,
                cwd=site.SITE,
                env=site.environment(),
                said=said,
            )
            if target.exists():
                record: Record = json.loads(target.read_text(encoding="utf-8"))
                return record
            return broken(FAILED, done.reason(), **({"left behind": True} if done.stuck else {}))


def line(name: str, record: Record) -> str:
    """A section in a line of the table."""
    reason = str(record.get("reason", "")).strip().splitlines()
    words = record.get("summary") or (reason[-1][:100] if reason else "")
    return f"{name:<15} {verdict(record):<15} {record['seconds']:6.1f} s  {words}"


def verdict(record: Record) -> str:
    """Its state, and of what is done whether the goals were met."""
    if record["state"] != DONE:
        return str(record["state"])
    return {True: "goals met", False: "goal missed", None: "goals open"}[record["goal met"]]


def exit_status(records: Mapping[str, Record]) -> int:
    """0 if all was measured and met, 1 if anything failed or was missed, 2 otherwise."""
    if any(record["state"] == FAILED or record["goal met"] is False for record in records.values()):
        return 1
    whole = all(record["state"] == DONE and record["goal met"] for record in records.values())
    return 0 if whole else 2


def place_of_results(wanted: Path | None, device: str | None) -> Path:
    """The record's path: what was asked for, else in $OUT if that is set, else among the results."""
    if wanted is not None:
        return wanted
    slug = "rehearsal" if device is None else f"gpu-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}"
    out = os.environ.get("OUT")
    # A rehearsal is no result.
    folder = Path(out) if out else site.BUILT if device is None else RESULTS
    return folder / f"{slug}.json"


def main(arguments: list[str] | None = None, sections: Mapping[str, Place] = SECTIONS) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of: {', '.join(sections)}")
    parser.add_argument("--results", type=Path, help="the file to write, instead of the device's own")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="packages to use with those there")
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help="for all of it (%(default)s)")
    parser.add_argument("--build-seconds", type=float, default=BUILD_S, help="for the build (%(default)s)")
    parser.add_argument("--commit", help="what the sources are, where git cannot say it")
    options = parser.parse_args(arguments)
    unknown = set(options.sections) - set(sections)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    site.BUILT.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = machine.facts(options.commit)
    journal = Journal(place_of_results(options.results, facts["device"]), facts)
    print(f"writing {journal.path} and {journal.log}; {json.dumps(facts)}", flush=True)
    if options.wheels is not None and (wrong := site.unpack(options.wheels)) is not None:
        parser.error(f"--wheels {options.wheels}: {wrong}")
    site.use_packages()
    run = Run(journal, options.seconds, options.build_seconds)
    run.build()
    for name in options.sections or sections:
        run.section(name, sections[name])
    return exit_status(run.records)


if __name__ == "__main__":
    sys.exit(main())
