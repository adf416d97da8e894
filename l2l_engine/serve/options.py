"""The options of ``Classifier.predict`` as fields of a form or of a JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from l2l_engine.call import Ask, AskOptions
from l2l_engine.classifier import Classifier
from l2l_engine.media.sampling import Policy
from l2l_engine.serve.problems import bad_request


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type in JSON, and what it means."""

    kind: type[int] | type[float] | type[str] | type[bool]
    meaning: str


OPTIONS = {
    "steps": Option(int, "Steps of the skimmer; by default the plan's."),
    "sampling": Option(str, f"Which frames are decoded: {', '.join(get_args(Policy))}."),
    "max_image_gap_s": Option(float, "Largest gap between frames, in seconds; by default the plan's."),
    "max_knots": Option(int, "Most frames and most windows of sound to decode."),
    "budget_ms": Option(float, "Milliseconds until the answer is due, with what was seen by then."),
    "stop_when": Option(float, "Confidence, above 0 and at most 1, that is enough."),
    "top_k": Option(int, "Classes to list."),
    "timeout_s": Option(float, "Seconds after which to give up; the service's own limit holds all the same."),
    "refine": Option(bool, "Whether to look again beside the edges of what happens; true by default."),
}

_WORDS = {"true": True, "1": True, "false": False, "0": False}
_NAMES = {int: "an integer", float: "a number", bool: "true or false"}


def from_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """Options that came as text; an empty field counts as left out.

    Raises:
        RefusedError: A number or a truth is none.
    """
    options: dict[str, Any] = {}
    for name, text in fields.items():
        option = OPTIONS.get(name)
        if text == "":
            continue
        try:
            options[name] = text if option is None else _read(option.kind, text)
        except (ValueError, KeyError):
            assert option is not None
            raise bad_request(f"{name} must be {_NAMES[option.kind]}, not {text[:80]!r}") from None
    return options


def _read(kind: type[int] | type[float] | type[str] | type[bool], text: str) -> object:
    return _WORDS[text.lower()] if kind is bool else kind(text)


def checked(classifier: Classifier, options: Mapping[str, Any]) -> AskOptions:
    """The options, once they are known to fit the plan.

    Raises:
        RefusedError: One is unknown or out of range.
    """
    unknown = sorted(options.keys() - OPTIONS.keys())
    if unknown:
        raise bad_request(f"there is no field or option {unknown[0][:80]!r}")
    known = cast("AskOptions", dict(options))
    try:
        Ask.of(classifier.plan.document, **known)
    except (TypeError, ValueError) as error:
        raise bad_request(str(error)) from error
    return known
