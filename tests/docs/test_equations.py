"""The equation index of docs/design.md is true: each symbol is where it says, and names its equation."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.rooms import PAGE, ROOT

ROW = re.compile(r"^\| ((?:Eq\.|Fold) \d) \|(.*)\|$", re.MULTILINE)
PLACE = re.compile(r"`([\w.:]+)` in `([\w./]+)`")
COLUMNS = ("PyTorch", "float64 reference", "C++", "CUDA", "held by")
NAMED = re.compile(r"\b(Eq\.|[Ff]old) ?(\d)(?:(?:-| and )(\d))?")


def index(page: str) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """The table: of each equation and fold, by column, the symbols and their files."""
    rows: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name, rest in ROW.findall(page):
        cells = [cell.strip() for cell in rest.split(" | ")]
        assert len(cells) == len(COLUMNS), f"{name}: {len(cells)} columns"
        assert name not in rows, f"{name} stands there twice"
        rows[name] = {column: _places(name, cell) for column, cell in zip(COLUMNS, cells, strict=True)}
    return rows


def _places(name: str, cell: str) -> list[tuple[str, str]]:
    if cell == "—":
        return []
    found = [PLACE.fullmatch(part) for part in cell.split("; ")]
    assert all(found), f"{name}: {cell!r} is no list of `symbol` in `file`"
    return [(place[1], place[2]) for place in found if place]


def definitions(source: str, suffix: str, symbol: str) -> list[str]:
    """All definitions of a symbol: of Python the whole, of C++ the comment before it and its first line."""
    return _in_python(source, symbol) if suffix == ".py" else _in_cpp(source, symbol)


def _in_python(source: str, symbol: str) -> list[str]:
    nodes: list[ast.AST] = [ast.parse(source)]
    for part in symbol.split("."):
        kinds = (ast.FunctionDef, ast.ClassDef)
        inside = [child for node in nodes for child in ast.iter_child_nodes(node)]
        nodes = [child for child in inside if isinstance(child, kinds) and child.name == part]
    return [ast.get_source_segment(source, node) or "" for node in nodes]


def _in_cpp(source: str, symbol: str) -> list[str]:
    # What is in comments and strings defines nothing; places stay the same.
    code = re.sub(r'//[^\n]*|"(?:\\.|[^"\\\n])*"', lambda match: " " * len(match[0]), source)
    found = []
    for match in re.finditer(rf"(?<![\w:.>]){re.escape(symbol)}\(", code):
        end, depth = match.end(), 1
        while depth and end < len(code):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        if re.match(r"\s*(?:const\s*)?(?:noexcept\s*)?\{", code[end:]):
            found.append(_with_comment(source, match.start()))
    return found


def _with_comment(source: str, start: int) -> str:
    """The line at a place, with the lines before it that belong to it: comments, and templates."""
    before = source[:start].split("\n")
    line, lines = before.pop(), []
    while before and before[-1].startswith(("//", "template <")):
        lines.append(before.pop())
    return "\n".join([*reversed(lines), line])


def named(text: str) -> set[str]:
    """The equations and folds that a text names, alone or in a range."""
    found = set()
    for kind, first, last in NAMED.findall(text):
        numbers = range(int(first), int(last or first) + 1)
        found |= {f"{kind.capitalize()} {number}" for number in numbers}
    return found


def fault(name: str, column: str, symbol: str, file: str, root: Path = ROOT) -> str | None:
    """What is wrong with an entry of the table; None if nothing is."""
    path = root / file
    if not path.is_file():
        return f"{name}, {column}: there is no {file}"
    found = definitions(path.read_text(encoding="utf-8"), path.suffix, symbol)
    if not found:
        return f"{name}, {column}: {file} does not define {symbol}"
    # A test holds many equations; PyTorch and the reference have no fold to name.
    by_name = column in {"C++", "CUDA"} or (column != "held by" and name.startswith("Eq."))
    if by_name and not any(name in named(text) for text in found):
        return f"{name}, {column}: {symbol} of {file} does not say that it is {name}"
    return None


TABLE = index(PAGE.read_text(encoding="utf-8"))


def test_every_equation_and_fold_has_its_place() -> None:
    assert list(TABLE) == [*(f"Eq. {n}" for n in range(2, 10)), *(f"Fold {n}" for n in range(1, 6))]
    for name, row in TABLE.items():
        needed = ["held by", *(COLUMNS[:1] if name.startswith("Eq.") else COLUMNS[3:4])]
        if name in {f"Eq. {n}" for n in range(5, 10)}:
            needed = list(COLUMNS)
        assert all(row[column] for column in needed), name


@pytest.mark.parametrize("name", TABLE)
def test_symbols_are_where_the_table_says(name: str) -> None:
    entries = [(column, *place) for column, places in TABLE[name].items() for place in places]
    faults = [fault(name, *entry) for entry in entries]
    assert not any(faults), "\n".join(filter(None, faults))


CPP = """
// Calls, declarations, comments and strings define nothing: gone() {
void gone();
void kept() { gone(); say("gone() {"); }
// Eq. 6 and 7.
template <class T>
inline void Bank::score(const T& x, int (&y)[2]) const {
  score(x);
  if (gone()) {
  }
}
"""
PYTHON = '''
class Bank:
    """Of Eq. 5-7."""
    def score(self): "Fold 2, and Eq. 8."
def free(): return gone
'''


def test_the_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text(CPP, encoding="utf-8")
    (tmp_path / "a.py").write_text(PYTHON, encoding="utf-8")

    def check(name: str, symbol: str, file: str, column: str = "C++") -> str:
        return fault(name, column, symbol, file, tmp_path) or "right"

    assert check("Eq. 7", "Bank::score", "a.cpp") == "right"
    assert "does not say" in check("Eq. 5", "Bank::score", "a.cpp")
    assert "does not say" in check("Fold 6", "Bank::score", "a.cpp")
    assert check("Eq. 5", "kept", "a.cpp", "held by") == "right"
    assert "does not say" in check("Eq. 5", "kept", "a.cpp")
    for symbol in ("gone", "score", "Bank::scor", "Bank", "say", "if"):
        assert "does not define" in check("Eq. 6", symbol, "a.cpp"), symbol
    assert "there is no b.cpp" in check("Eq. 6", "kept", "b.cpp")
    assert check("Eq. 6", "Bank", "a.py", "PyTorch") == "right"
    assert check("Eq. 8", "Bank.score", "a.py", "PyTorch") == "right"
    assert "does not say" in check("Eq. 5", "Bank.score", "a.py", "PyTorch")
    assert check("Fold 3", "free", "a.py", "PyTorch") == "right"
    for symbol in ("score", "gone", "Bank.free", "free.score", "Bank.score.score"):
        assert "does not define" in check("Eq. 6", symbol, "a.py", "PyTorch"), symbol


@pytest.mark.parametrize(
    "row",
    ["| Eq. 2 | — | — |", "| Eq. 2 | `a` at `b` | — | — | — | — |", "| Eq. 2 | a in b | — | — | — | — |"],
)
def test_the_checker_refuses_what_it_cannot_read(row: str) -> None:
    with pytest.raises(AssertionError):
        index(row)
