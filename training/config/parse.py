"""Settings from TOML and from the command line, checked against dataclasses."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_T = TypeVar("_T")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as plain values."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def override(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``plain`` with overrides such as ``student.epochs=3``."""
    for setting in overrides:
        name, sign, text = setting.partition("=")
        if not sign:
            raise ValueError(f"--set takes name=value, not {setting!r}")
        *tables, key = name.strip().split(".")
        table = plain
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = _value(text)
    return plain


def to_plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON values."""
    return dataclasses.asdict(config)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build(cls: type[_T], plain: dict[str, Any], where: str) -> _T:
    """A dataclass from plain values.

    Raises:
        ValueError: If a setting is unknown, missing or of the wrong type; the message names it.
    """
    hints = typing.get_type_hints(cls)
    unknown = sorted(plain.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{where}: no such setting: {', '.join(unknown)}")
    values = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in plain.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``: a dataclass, a dict or tuple of something, or a plain value."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return build(typing.cast(type, kind), value, where)
    if origin is dict and isinstance(value, dict):
        inner = typing.get_args(kind)[1]
        return {name: _convert(inner, item, f"{where}.{name}") for name, item in value.items()}
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(kind)[0]
        return tuple(_convert(inner, item, where) for item in value)
    if origin is types.UnionType and value is not None:
        return _convert(typing.get_args(kind)[0], value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(kind, type) or type(value) is not kind:
        raise ValueError(f"{where} cannot be {value!r}")
    return value
