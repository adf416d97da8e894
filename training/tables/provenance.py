"""What the evaluated weights were trained with, and whether the configuration still says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from training.config import Config, to_plain
from training.skimming.build import WEIGHTS

_WHERE = {"student": "student", "skim": "skim"}


def provenance(config: Config) -> dict[str, Any]:
    """Return the settings beside the weights of the student and the skimmer, as far as both are there.

    Returns:
        ``settings`` by stage; whether the student is ``distilled``, None if that is not known; what
        ``differs`` from the configuration; and the ``updates`` of the skimmer and of every variant.
    """
    settings = {}
    for stage, folder in _WHERE.items():
        path = config.folder(folder, "settings.json")
        if path.exists():
            settings[stage] = json.loads(path.read_text(encoding="utf-8"))
    differs = [
        found
        for stage, recorded in settings.items()
        for found in differences(stage, recorded.get(stage, {}), getattr(config, stage))
    ]
    distilled = bool(settings["student"].get("start")) if "student" in settings else None
    return {"settings": settings, "distilled": distilled, "differs": differs, "updates": updates(config)}


def updates(config: Config) -> dict[str, int]:
    """Return how many updates the skimmer and each variant that is finished learned for."""
    folders = [config.folder("skim"), *sorted(config.folder("skims").glob("*"))]
    found = {}
    for folder in folders:
        if (folder / WEIGHTS).exists() and (folder / "settings.json").exists():
            recorded = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            found["ours" if folder.name == "skim" else folder.name] = int(recorded["skim"]["updates"])
    return found


def differences(stage: str, recorded: Mapping[str, Any], settings: Any) -> Iterator[str]:
    """Yield settings that were recorded with other values, e.g. "student.epochs was 14, is 6"."""
    now = to_plain(settings)
    for field in fields(settings):
        # Of settings that came later, the default is not recorded.
        if field.name in recorded or (field.metadata.get("added") and field.name in now):
            before, after = (_plain(values.get(field.name, field.default)) for values in (recorded, now))
            if before != after:
                yield f"{stage}.{field.name} was {json.dumps(before)}, is {json.dumps(after)}"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    return json.loads(json.dumps(value))
