"""The stages of a training one after the other, those that apply, each timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from training.config import Config
from training.journey.estimate import Clock
from training.segments.plans import why_no_segments

Stages = Mapping[str, Callable[[Config], object]]


def run_stages(stages: Stages, config: Config, clock: Clock) -> dict[str, str]:
    """Run the stages that apply, noting their seconds; returns why the others do not."""
    skipped = {}
    for name, run in stages.items():
        reason = why_not(name, config)
        if reason:
            skipped[name] = reason
            clock.say(f"== {name}: skipped, {reason}")
            continue
        clock.run(name, partial(run, config))
    return skipped


def why_not(stage: str, config: Config) -> str:
    """Return why a stage does not apply; empty if it does."""
    used = {*config.teacher.train, *config.student.train, *config.skim.train}
    if stage == "render" and not used & {*config.render, *config.reencode}:
        return "the footage is there already"
    if stage in ("teacher", "distill") and not config.teacher.train:
        return "no teacher is configured (teacher.train)"
    if stage == "recogniser" and config.recogniser.kind == "none":
        return "no recogniser is configured (recogniser.kind)"
    if stage == "clips" and (config.clips.test is None or not config.teacher.train):
        return "no comparison is configured (clips.test)"
    return why_no_segments(config) if stage == "segments" else ""
