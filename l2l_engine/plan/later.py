"""Fields of the plan's document that came after version 1: absent where they are at their default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")


def later(default: _T) -> _T:
    """A field that plans may lack: it is not written at its default, and taken as that where it is absent."""
    return dataclasses.field(default=default, metadata={"later": True})


def to_plain(settings: Any) -> dict[str, Any]:
    """A settings object as JSON values, without the later fields that are at their default."""
    plain = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if not (field.metadata.get("later") and value == field.default):
            plain[field.name] = _value(value)
    return plain


def required(cls: type) -> set[str]:
    """The names of the fields that no document may lack."""
    return {field.name for field in dataclasses.fields(cls) if not field.metadata.get("later")}


def _value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    if isinstance(value, Mapping):
        return {name: _value(item) for name, item in value.items()}
    return value
