"""Tags: what the networks of a plan name by themselves, moment by moment, without any training on classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from l2l_engine.plan.checks import is_text, require

PREFIXES = {"image": "seen: ", "audio": "heard: "}
"""What stands before a tag where it is named among classes, so that nobody takes it for an action."""


@dataclass(frozen=True, slots=True)
class TagSettings:
    """What the features of one modality of a plan of tags name.

    Attributes:
        names: The tags, in the order of the graph's features, which are their logits.
        output: "softmax", where a moment has one of them, or "sigmoid", where it may have several.
    """

    names: tuple[str, ...]
    output: str

    def __post_init__(self) -> None:
        given: object = self.names  # JSON may hold anything
        names: tuple[object, ...] = given if isinstance(given, tuple) else ()
        good = bool(names) and all(isinstance(name, str) and name and is_text(name) for name in names)
        require(good, "tags must have one or more non-empty names")
        require(len(set(names)) == len(names), "a tag's name stands twice")
        require(self.output in ("softmax", "sigmoid"), f"the output of tags is {self.output!r}")


def tag_classes(tags: Mapping[str, TagSettings]) -> tuple[str, ...]:
    """The classes of a plan of tags: those that are seen, then those that are heard."""
    return tuple(
        f"{prefix}{name}"
        for modality, prefix in PREFIXES.items()
        if modality in tags
        for name in tags[modality].names
    )
