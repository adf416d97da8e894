"""A GPU check of small sections, to be killed: `python -m tests.benchmarks.gpu_small RECORD SITE`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import __main__ as check
from benchmarks.gpu import site
from benchmarks.gpu.child import Place
from benchmarks.gpu.section import finished, goal, part

SECTIONS = {
    f"small {number}": Place("tests.benchmarks.gpu_small", "small", 60, gpu=False) for number in range(20)
}


def small() -> dict[str, Any]:
    """Two parts, with a child of its own meanwhile."""
    print(f"pid {os.getpid()}", flush=True)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"pid {child.pid}", flush=True)
    for number in range(2):
        part(f"part {number}", number)
        time.sleep(0.02)
    child.kill()
    child.wait()
    return finished([goal("us", 1.0, at_most=2)], "small", figures=[1, 2])


def main() -> int:
    record, where = sys.argv[1:]
    site.SITE = Path(where)
    # What the build is to do takes a compiler and minutes.
    site.build = lambda limit_s, said=None: finished([], "nothing to build")
    return check.main(["--results", record], SECTIONS)


if __name__ == "__main__":
    sys.exit(main())
