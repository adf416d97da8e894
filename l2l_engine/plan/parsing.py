"""Reads the plan's JSON document, and refuses whatever it does not know."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NoReturn, TypeVar

from l2l_engine.errors import PlanError
from l2l_engine.plan.checks import require
from l2l_engine.plan.document import (
    CompiledSettings,
    MediaSettings,
    PlanDocument,
    RecogniserSettings,
    SamplingSettings,
    SkimSettings,
)
from l2l_engine.plan.later import required
from l2l_engine.plan.segments import SegmentSettings
from l2l_engine.plan.tags import TagSettings

READABLE = (1, 2)
"""Format versions that are read: what version 2 added to version 1 may be absent, and is as it was then."""

_T = TypeVar("_T")


def parse_document(text: str) -> tuple[PlanDocument, dict[str, Any]]:
    """Read the JSON document.

    Returns:
        The settings, and the table of tensors: name to {dtype, shape, sha256}.

    Raises:
        PlanError: If the text is no JSON, of another format version, or anything in it is missing,
            unknown or out of range.
    """
    try:
        plain = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"the plan's document is no JSON: {error}") from error
    require(isinstance(plain, dict), "the plan's document is no JSON object")
    version = plain.pop("format_version", None)
    require(
        isinstance(version, int) and version in READABLE,
        f"the plan has format version {version!r}, this l2l_engine reads {' and '.join(map(str, READABLE))}",
    )
    tensors = plain.pop("tensors", None)
    require(isinstance(tensors, dict), "the plan's document has no table of tensors")
    for name in ("background", "thresholds"):
        plain.setdefault(name, [])
    for name in ("classes", "calibration", "modalities", "background", "thresholds"):
        require(isinstance(plain.get(name), list), f"{name} is missing or no list")
        plain[name] = tuple(plain[name])
    plain["media"] = _build(MediaSettings, plain.get("media"), "media")
    plain["sampling"] = _build(SamplingSettings, plain.get("sampling"), "sampling")
    plain["skim"] = _build(SkimSettings, plain.get("skim"), "skim")
    if plain.get("recogniser") is not None:
        plain["recogniser"] = _build(RecogniserSettings, plain["recogniser"], "recogniser")
    plain["compiled"] = _build_compiled(plain.get("compiled", {}))
    if plain.get("tags") is not None:
        plain["tags"] = _build_tags(plain["tags"])
    if plain.get("segments") is not None:
        given = _with_tuples(plain["segments"], "thresholds", "shift_s")
        plain["segments"] = _build(SegmentSettings, given, "segments")
    return _build(PlanDocument, plain, "the plan's document"), tensors


def _build_compiled(plain: object) -> dict[str, CompiledSettings]:
    if not isinstance(plain, dict):
        raise PlanError("compiled is no object")
    built: dict[str, CompiledSettings] = {}
    for name, entry in plain.items():
        try:
            settings = _build(CompiledSettings, _with_tuples(entry, "batch"), "its entry")
        except PlanError as error:
            raise PlanError(f"compiled.{name}: {error}") from error
        built[name] = settings
    return built


def _build_tags(plain: object) -> dict[str, TagSettings]:
    if not isinstance(plain, dict):
        raise PlanError("tags is no object")
    return {
        name: _build(TagSettings, _with_tuples(entry, "names"), f"tags.{name}")
        for name, entry in plain.items()
    }


def _with_tuples(plain: object, *names: str) -> object:
    """JSON has no tuples."""
    if not isinstance(plain, dict):
        return plain
    return plain | {name: tuple(plain[name]) for name in names if isinstance(plain.get(name), list)}


def _build(cls: type[_T], plain: object, where: str) -> _T:
    """A settings object from JSON that must have its fields, and no others; later ones it may lack."""
    if not isinstance(plain, dict):
        raise PlanError(f"{where} is missing or no object")
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if odd := sorted(map(str, (plain.keys() - known) | (required(cls) - plain.keys()))):
        raise PlanError(f"{where} has missing or unknown fields: {', '.join(odd[:5])}")
    return cls(**plain)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
