"""What has been made on the way to a plan, however it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.frozen.judging import Threshold
from training.journey.scoring import Judged


@dataclass(slots=True)
class Made:
    """A plan that is written, and what is known of it.

    Attributes:
        judged: What it says of videos that were not learnt from, and what else does.
        skipped: Why some stages do not apply.
        reasons: Why the plan answers the way it does, a sentence each.
        chosen: Settings that were chosen on the way.
        unreadable: Files that turned out not to be readable, and why.
        unsure: From which confidence on its answers are known.
    """

    judged: Judged
    skipped: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    unsure: Threshold | None = None
