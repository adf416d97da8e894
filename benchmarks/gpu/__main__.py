"""Builds the GPU side for this machine's GPU, checks and times it, and writes what came out.

Every section runs in a process of its own, within what is left of eight minutes. One whose tools are not
here is "not run", with the reason; it never counts as passed. Ends with 0 if all passed, 1 if one failed, 2
if none failed but some were not run. Writes benchmarks/results/gpu-<device>.json, and a log beside it.

Needs this checkout, Python, nvcc, CMake, pybind11 and NumPy; pytest for the tests, PyTorch for the timings;
uses TensorRT, TensorRT-RTX, DALI, PyAV, OpenVINO, CuPy, PyCUDA and compute-sanitizer where they are. Wheels
in a folder will do for packages: nothing is fetched.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import processes, site
from benchmarks.gpu.child import SECTIONS
from benchmarks.gpu.section import NotRunError

RESULTS = site.ROOT / "benchmarks" / "results"
LIMIT_S = 465.0
LEAST_S = 10.0


class Run:
    """All sections, one after the other, with one log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._end = time.monotonic() + LIMIT_S
        log.write_text("", encoding="utf-8")

    def build(self) -> dict[str, Any]:
        """What all the others import."""
        begin = time.monotonic()
        try:
            record = site.build(self._end - begin)
        except NotRunError as reason:
            record = {"status": "not run", "reason": str(reason)}
        return self._said("build", record, begin)

    def section(self, name: str) -> dict[str, Any]:
        """One section's record."""
        begin = time.monotonic()
        if self._end - begin < LEAST_S:
            record = {"status": "not run", "reason": f"the {LIMIT_S:.0f} s of a run are over"}
        else:
            record = self._child(name, SECTIONS[name].limit_s)
        return self._said(name, record, begin)

    def device(self) -> str | None:
        """The GPU's name; None where the build is missing, or there is none."""
        found = self._child("device") if (site.SITE / "l2l_engine").exists() else None
        return found if isinstance(found, str) else None

    def _child(self, name: str, limit_s: float = LIMIT_S) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "record.json"
            command: list[str | Path] = [sys.executable, "-m", "benchmarks.gpu.child", name, target]
            limit = max(LEAST_S, min(limit_s, self._end - time.monotonic()))
            # With -m, modules are looked for in the working folder first.
            done = processes.run(command, limit, cwd=site.SITE, env=site.environment())
            self._write(done.output)
            if target.exists():
                return json.loads(target.read_text(encoding="utf-8"))
            return {"status": "failed", "reason": done.reason()}

    def _said(self, name: str, record: dict[str, Any], begin: float) -> dict[str, Any]:
        record = {**record, "seconds": round(time.monotonic() - begin, 1)}
        self._write(f"{name}: {json.dumps(record, indent=1)}\n")
        print(line(name, record), flush=True)
        return record

    def _write(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(text)


def line(name: str, record: dict[str, Any]) -> str:
    """A section in a line of the table."""
    reason = str(record.get("reason", "")).strip().splitlines()
    words = (reason[-1][:100] if reason else "") or record.get("summary", "")
    return f"{name:<15} {record['status']:<8} {record['seconds']:6.1f} s  {words}"


def merged(path: Path, device: str | None, records: dict[str, Any]) -> dict[str, Any]:
    """The document at ``path`` with these sections replaced; the others are kept."""
    document: dict[str, Any] = {"sections": {}}
    if path.exists():
        document = json.loads(path.read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    document["device"] = device
    for name, record in records.items():
        document["sections"][name] = {"when": now, **record}
    return document


def exit_status(records: dict[str, Any]) -> int:
    """0 if all passed, 1 if one failed, 2 if none failed but some were not run."""
    states = {record["status"] for record in records.values()}
    return 1 if "failed" in states else 2 if states != {"passed"} else 0


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument("--results", type=Path, help="the file to write, instead of the device's own")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="packages to use with those there")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    site.BUILT.mkdir(parents=True, exist_ok=True)
    if options.wheels is not None and (wrong := site.unpack(options.wheels)) is not None:
        parser.error(f"--wheels {options.wheels}: {wrong}")
    site.use_packages()
    run = Run(site.BUILT / "log.txt")
    records = {"build": run.build()}
    for name in options.sections or SECTIONS:
        records[name] = run.section(name)
    device, path = run.device(), options.results
    if path is None and device is not None:
        path = RESULTS / f"gpu-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(merged(path, device, records), indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
        path.with_suffix(".log").write_bytes((site.BUILT / "log.txt").read_bytes())
    print(f"written to {path}" if path else f"there is no GPU: nothing written but {site.BUILT / 'log.txt'}")
    return exit_status(records)


if __name__ == "__main__":
    sys.exit(main())
