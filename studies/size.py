"""``make size``: how many lines of code there are, by room, the product's and its tests' apart.

    python studies/size.py [CHECKOUT]

A room is the first two parts of a path; what lies directly in a top-level folder is that folder's. Only files
that Git tracks count, as they are in the working tree.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

SUFFIXES = {".py", ".pyi", ".cpp", ".c", ".h", ".cu", ".cuh", ".js", ".css", ".html", ".j2", ".toml"}
TESTS = "tests"


def count(checkout: Path) -> Counter[tuple[str, ...]]:
    """Lines by room, such as ``("l2l_engine", "media")``; ``()`` is the checkout itself."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, check=True).stdout
    lines: Counter[tuple[str, ...]] = Counter()
    for name in filter(None, listed.decode().split("\0")):
        path = checkout / name
        if path.suffix in SUFFIXES and path.is_file():
            lines[PurePosixPath(name).parent.parts[:2]] += len(path.read_bytes().splitlines())
    return lines


def table(lines: Counter[tuple[str, ...]]) -> str:
    """Rooms with their lines, under the folder's sum; then the sums of product, tests and all."""
    rows = []
    for folder in sorted({room[:1] for room in lines}, key=lambda top: (top == (TESTS,), top)):
        rooms = {room: number for room, number in sorted(lines.items()) if room[:1] == folder}
        rows.append(_row(folder[0] if folder else ".", sum(rooms.values())))
        rows += [_row(f"  {'/'.join(room)}", number) for room, number in rooms.items() if room != folder]
    tests = sum(number for room, number in lines.items() if room[:1] == (TESTS,))
    sums = {"product": lines.total() - tests, "tests": tests, "all": lines.total()}
    return "\n".join([*rows, "", *(_row(name, number) for name, number in sums.items())])


def _row(name: str, lines: int) -> str:
    return f"{name:<28}{lines:>8,}"


if __name__ == "__main__":
    print(table(count(Path(sys.argv[1] if len(sys.argv) > 1 else "."))))
