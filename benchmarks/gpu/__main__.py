"""Runs the sections and writes benchmarks/results/gpu-<device>.json.

A section whose tools are not here is "not run", with the reason; it never counts as passed. Ends with 0 if
all passed, 1 if one failed, 2 if none failed but some were not run.

Wants the package built where nvcc is (`L2L_CUDA=ON pip install .`), with PyAV, ml_dtypes and what the `test`
extra names for pytest; PyTorch for the timings; CuPy and PyCUDA for their tests; compute-sanitizer on the
PATH.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from benchmarks.gpu import checks, timings
from benchmarks.gpu.section import NotRunError, Section
from l2l_engine.cuda import native, why_not

RESULTS = Path(__file__).parents[1] / "results"
SECTIONS: dict[str, Section] = {
    "tests": checks.tests,
    "memcheck": checks.memcheck,
    "racecheck": checks.racecheck,
    "skimmer": timings.skimmer,
    "ways": timings.ways,
    "interpolation": timings.interpolation,
}


def run(name: str) -> dict[str, Any]:
    """One section's record; whatever goes wrong in it stays in it."""
    print(f"{name} ...", flush=True)
    try:
        if (missing := why_not()) is not None:
            raise NotRunError(missing)
        record = SECTIONS[name]()
    except NotRunError as reason:
        record = {"status": "not run", "reason": str(reason)}
    except Exception:
        record = {"status": "failed", "reason": traceback.format_exc()}
    print(json.dumps(record, indent=1), flush=True)
    return record


def device() -> str | None:
    """The GPU's name."""
    return None if why_not() is not None else str(native.module().device_name(0))


def write(path: Path, records: dict[str, Any]) -> None:
    """Replaces the sections that ran; keeps the others."""
    document: dict[str, Any] = {"sections": {}}
    if path.exists():
        document = json.loads(path.read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    document["device"] = device()
    for name, record in records.items():
        document["sections"][name] = {"when": now, **record}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"written to {path}")


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument("--results", type=Path, help="the file to write, instead of the device's own")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    records = {name: run(name) for name in options.sections or SECTIONS}
    name = device()
    path = options.results
    if path is None and name is not None:
        path = RESULTS / f"gpu-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    if path is not None:
        write(path, records)
    states = {record["status"] for record in records.values()}
    return 1 if "failed" in states else 2 if "not run" in states else 0


if __name__ == "__main__":
    sys.exit(main())
