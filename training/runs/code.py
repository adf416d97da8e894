"""What a cache depends on beside its settings: the code that fills it, found by following names."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from training.runs.files import fingerprint

PACKAGES = ("training", "l2l_engine")

_Place = tuple[str, str]
"""A module, and a name at its top level."""


def code_fingerprint(*roots: Callable[..., object], packages: Sequence[str] = PACKAGES) -> str:
    """Hash functions and classes, and whatever they name, and so on, within some packages.

    Comments, docstrings and layout do not count, nor does code that nothing on the way names. Names are
    looked up in the text of the modules: a parameter's annotation is followed, and the whole class of a
    method. What a function is handed without an annotation must be a root of its own. Native code is not
    looked into.

    Args:
        roots: Functions, methods, closures or classes; those of other packages count by their name alone.
        packages: Where names are followed.
    """
    found: dict[str, list[str]] = {}
    waiting: list[_Place] = [(root.__module__, root.__qualname__.partition(".")[0]) for root in roots]
    while waiting:
        module, name = waiting.pop()
        if f"{module}.{name}" not in found:
            names = _names_of(module, packages)
            statements = names.statements.get(name, [])
            found[f"{module}.{name}"] = [ast.dump(statement) for statement in statements]
            waiting += _followed(name, names, packages)
    return fingerprint(found)


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a module: the statements that define them, or where they are imported from."""

    module: str
    statements: dict[str, list[ast.stmt]]
    imports: dict[str, _Place]


def _followed(name: str, names: _Names, packages: Sequence[str]) -> Iterator[_Place]:
    """Yield the places that the definition of a name leads to."""
    if name in names.imports:
        yield names.imports[name]
    for statement in names.statements.get(name, ()):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield names.module, node.id
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = _module_called(node.value.id, names, packages)
                if module is not None:
                    yield module, node.attr


def _module_called(name: str, names: _Names, packages: Sequence[str]) -> str | None:
    """Return the module that a name stands for, if it stands for one of the packages'."""
    package, attribute = names.imports.get(name, ("", ""))
    module = f"{package}.{attribute}"
    inside = package.partition(".")[0] in packages
    return module if inside and importlib.util.find_spec(package) and _source(module) is not None else None


def _names_of(module: str, packages: Sequence[str]) -> _Names:
    source = _source(module) if module.partition(".")[0] in packages else None
    return _Names(module, {}, {}) if source is None else _parse(module, source)


def _source(module: str) -> str | None:
    """Return the text of a module; None where there is no such module, or it is not written in Python."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def _parse(module: str, source: str) -> _Names:
    names = _Names(module, {}, {})
    for statement in _top_level(_WithoutTexts().visit(ast.parse(source)).body):
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                names.imports[alias.asname or alias.name] = (statement.module or "", alias.name)
        for name in _defined(statement):
            names.statements.setdefault(name, []).append(statement)
    return names


def _top_level(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those under conditions too."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _top_level([*statement.body, *statement.orelse])


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


class _WithoutTexts(ast.NodeTransformer):
    """Leaves out docstrings: statements that are nothing but a text."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Keep it unless it is a text."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node
