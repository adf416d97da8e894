"""Settings from TOML and from the command line, checked against dataclasses by pydantic."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from training.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_T = TypeVar("_T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file as plain values."""
    plain: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return plain


def override(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Change ``plain`` by overrides such as ``student.epochs=3``."""
    for setting in overrides:
        name, sign, text = setting.partition("=")
        if not sign:
            raise InputError(f"--set takes name=value, not {setting!r}")
        *tables, key = name.strip().split(".")
        table = plain
        for part in tables:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"--set {setting}: {part} is a setting, no table")
        table[key] = _value(text)
    return plain


def added(default: _T) -> _T:
    """Return a setting that came after caches were made: :func:`to_plain` leaves it out at its default."""
    return dataclasses.field(default=default, metadata={"added": True})


def to_plain(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON values, which name the caches that were made by it."""
    plain = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.metadata.get("added") and value == field.default):
            plain[field.name] = _to_plain(value)
    return plain


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    if isinstance(value, Mapping):
        return {name: _to_plain(item) for name, item in value.items()}
    return value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build(cls: type[_T], plain: dict[str, Any], where: str) -> _T:
    """Build a dataclass from plain values: numbers and texts stand for themselves alone, lists become tuples.

    Raises:
        InputError: If a setting is unknown, missing or of the wrong type; the message names it.
    """
    # Not with the module: the sizes of networks are known on machines without it too.
    from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config  # noqa: PLC0415
    from pydantic_core import to_json  # noqa: PLC0415

    strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    try:
        # As JSON, because strict tuples take no lists otherwise.
        return TypeAdapter(with_config(strict)(cls)).validate_json(to_json(plain, inf_nan_mode="constants"))
    except ValidationError as error:
        raise InputError(f"{where}: {'; '.join(map(_say, error.errors()))}") from error


def _say(error: ErrorDetails) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"no such setting: {name}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{name} is missing"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"{name} cannot be {error['input']!r}: {error['msg'].lower()}"
