"""Which methods a run has: those that need no training, and what was trained, as far as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from training.baselines import Method, Skimming, clip_averages
from training.baselines.variants import load_variants
from training.config import Config
from training.models import SkimmingNetwork, Student
from training.skimming.build import load_skimmer, skimmer_path

TABLE_1 = (
    "RANDOM",
    "UNIFORM",
    "FRONT",
    "CENTER",
    "END",
    "SCSAMPLER",
    "DENSE",
    "LSTM (sparse)",
    "LSTM",
    "NON-RECURRENT (sparse)",
    "NON-RECURRENT",
    "NON-RECURRENT, paired (sparse)",
    "NON-RECURRENT, paired",
    "paper (sparse)",
    "paper (dense)",
    "ours (sparse)",
    "ours (dense)",
)
"""Ours is the run's preset; rows "paper" are that of the paper, where ours is another."""

COMBINATIONS = ("image | image (sparse)", "image | image (dense)")
"""Rows of Fig. 7: what chooses the moments, then what recognises."""

LONG = ("long (sparse)", "long (dense)")
"""The skimmer trained on longer videos."""

PRESETS = ("paper (sparse)", "paper (dense)", "released (sparse)", "released (dense)")
"""The ways to skim."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """The methods of a run by the name of their row; what was not trained is not in it.

    Attributes:
        ours: The skimmer; None before it is trained.
        table: Table 1.
        combinations: Fig. 7 and Table 2.
        long: The skimmer trained on longer videos.
        presets: The paper's way to skim, where ours is another, and the published modules'.
        seeds: The same skimmer, sparse, trained from other seeds.
    """

    ours: SkimmingNetwork | None
    table: dict[str, Method] = field(default_factory=dict)
    combinations: dict[str, Method] = field(default_factory=dict)
    long: dict[str, Method] = field(default_factory=dict)
    presets: dict[str, Method] = field(default_factory=dict)
    seeds: dict[str, Method] = field(default_factory=dict)


def lineup(config: Config, student: Student, classes: int) -> Lineup:
    """Return everything that can be evaluated now."""
    several = config.skim.several
    methods: list[Method] = [*clip_averages(student, several=several, seed=config.seed)]
    ours = load_skimmer(config, classes) if skimmer_path(config).exists() else None
    if ours is not None:
        methods.append(Skimming("ours (sparse)", ours, config.skim.steps, config.factor, several))
        methods.append(Skimming("ours (dense)", ours, config.skim.steps, 1, several))
    variants = load_variants(config, student, classes)
    others = [method for found in variants.values() for method in found]
    seeds = [found[0] for name, found in variants.items() if name.startswith("seed-")]
    return Lineup(
        ours,
        table=_named([*methods, *others], TABLE_1),
        combinations=_named(others, COMBINATIONS),
        long=_named(others, LONG),
        presets=_named(others, PRESETS),
        seeds={method.name: method for method in seeds},
    )


def _named(methods: Sequence[Method], names: Sequence[str]) -> dict[str, Method]:
    return {method.name: method for method in methods if method.name in names}
