"""What a plan's settings may be: small questions about values that a JSON file gave."""

from __future__ import annotations

import re
import sys

from l2l_engine.errors import PlanError

MAX_BATCH = 4096
"""Most samples a call that an engine may be compiled for."""


def require(condition: bool, message: str) -> None:
    """Raise a PlanError of this message unless the condition holds."""
    if not condition:
        raise PlanError(message)


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    # Compared rather than converted: JSON holds integers that no float can.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


def is_text(value: str) -> bool:
    """Whether it can be encoded: JSON can spell halves of characters, which no encoding writes."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def is_count(value: object, most: int) -> bool:
    """Whether it is an integer from 1 to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def is_label(value: object) -> bool:
    """Whether it is a short text."""
    return isinstance(value, str) and 0 < len(value) <= 300 and is_text(value)


def is_sha256(value: object) -> bool:
    """Whether it is a hash in hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_profile(value: object) -> bool:
    """Whether it is three batch sizes that do not decrease."""
    sizes = value if isinstance(value, tuple) else ()
    return len(sizes) == 3 and all(is_count(size, MAX_BATCH) for size in sizes) and sorted(sizes) == [*sizes]
