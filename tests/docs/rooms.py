"""The map of docs/design.md, made of what each file says of itself.

python -m tests.docs.rooms    # writes it anew
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- rooms: made by `python -m tests.docs.rooms` -->", "<!-- end of rooms -->"
WIDTH = 118

NATIVE = {
    "bindings": "pybind11: one file a bound class, no logic",
    "skim": "the T-step skimmer: one CPU path, one CUDA path",
    "ops": "an operation a file set: x.h and x.cpp (checks, dispatch), x_cpu.cpp, x_cuda.cu",
    "base": "views, checks, threads, CPU features, devices",
}
"""The rooms of csrc/, from the one that may include all others down; C++ folders have no docstring."""


def first_sentence(path: Path) -> str:
    """What a Python module or a C++ header says it is, without the full stop."""
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        comment = []
        for line in lines:
            if line.startswith("//"):
                comment.append(line.removeprefix("//").strip())
            elif comment:
                break
        text = " ".join(comment)
    paragraph = " ".join(text.split("\n\n")[0].split()).replace("``", "`")
    sentence = re.split(r"(?<!Eq)(?<!e\.g)\.(?:\s|$)", paragraph, maxsplit=1)[0]
    return sentence.strip()


def layers() -> list[str]:
    """The rooms of l2l_engine in the order of the import contract: each may import what comes later."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    engine = next(contract for contract in contracts if contract.get("containers") == ["l2l_engine"])
    return [room.strip() for layer in engine["layers"] for room in layer.split("|")]


def entry(name: str, text: str, indent: int) -> list[str]:
    """A line of the map, folded where it is too long."""
    assert text, f"{name} does not say what it is"
    lead = " " * indent + f"{name:<{max(1, 24 - indent)}} "
    words, lines, line = text.split(), [], lead
    for word in words:
        if len(line) + len(word) > WIDTH:
            lines.append(line.rstrip())
            line = " " * len(lead)
        line += word + " "
    return [*lines, line.rstrip()]


def engine_rooms() -> list[str]:
    """The runtime, file by file."""
    lines = []
    for room in layers():
        folder = ROOT / "l2l_engine" / room
        if not folder.is_dir():
            lines += entry(f"{room}.py", first_sentence(folder.with_suffix(".py")), 2)
            continue
        lines += entry(f"{room}/", first_sentence(folder / "__init__.py"), 2)
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("__"):
                lines += entry(path.name, first_sentence(path), 4)
    return lines


def native_rooms() -> list[str]:
    """The native core, by header; a file that has none is told by the header of its name."""
    lines = []
    for room, text in NATIVE.items():
        lines += entry(f"{room}/", text, 2)
        for path in sorted((ROOT / "csrc" / room).glob("*.h")):
            lines += entry(path.name, first_sentence(path), 4)
    return lines


def other_rooms(package: str) -> list[str]:
    """Another package, room by room."""
    rooms = sorted(path.parent for path in (ROOT / package).glob("*/__init__.py"))
    return [
        line for room in rooms for line in entry(f"{room.name}/", first_sentence(room / "__init__.py"), 2)
    ]


def rooms() -> str:
    """The whole map, as it stands in docs/design.md."""
    lines = [
        "l2l_engine/              the runtime, in the order of its imports: each room may use those below it"
    ]
    lines += engine_rooms()
    lines += ["csrc/                    C++20 and CUDA; knows no Python outside bindings/", *native_rooms()]
    for package in ("training", "benchmarks"):
        lines += [
            *entry(f"{package}/", first_sentence(ROOT / package / "__init__.py"), 0),
            *other_rooms(package),
        ]
    return "\n".join([BEGIN, "```", *lines, "```", END])


def replaced(page: str) -> str:
    """The page with the map as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, "docs/design.md has no place for the map"
    return before + rooms() + after


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
