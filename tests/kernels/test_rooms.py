"""The arrows between the native rooms: bindings -> skim -> ops -> base, and Python in bindings alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
FLOORS = ["base", "ops", "skim", "bindings"]
FILES = sorted(path for path in CSRC.rglob("*") if path.suffix in {".h", ".cpp", ".cu", ".cuh"})


def includes(path: Path) -> list[str]:
    return re.findall(r'#include\s+[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CSRC)))
def test_a_room_includes_only_what_lies_below(path: Path) -> None:
    room = path.relative_to(CSRC).parts[0]
    assert room in FLOORS
    for name in includes(path):
        if (CSRC / name).exists():
            assert FLOORS.index(name.partition("/")[0]) <= FLOORS.index(room), name
        if room != "bindings":
            assert not re.match(r"pybind11|Python\.h|numpy", name), name
