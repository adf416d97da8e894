"""Other skimmers and the trained baselines, on the same features: ``python -m training variants``.

Each lies in its own folder, ``skims/NAME``, with its settings and metrics, and continues from its last
checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from safetensors.torch import load_file
from torch import Tensor

from training.baselines import Method, Skimming, Trained
from training.baselines.networks import SequenceNetwork, SingleQuery
from training.config import Config
from training.errors import InputError
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.models import Student
from training.runs.checkpoint import save_network
from training.skimming.build import build_skimmer, load_skimmer, skimmer_path, start_from
from training.skimming.measure import rate
from training.skimming.sequences import USUAL_LENGTH, Track
from training.skimming.sources import Source
from training.skimming.train import Material, skim_settings, train_on_features, train_skimmer

Network = SequenceNetwork | SingleQuery


def _lstm(config: Config, student: Student, classes: int) -> SequenceNetwork:
    model = config.model
    network = SequenceNetwork(classes, features=model.features, fusion=model.fusion, hidden=model.hidden)
    network.fusion.load_state_dict(student.fusion.state_dict())
    return network


def _single_query(config: Config, student: Student, classes: int) -> SingleQuery:
    skimmer = build_skimmer(config, classes)
    start_from(skimmer, student)
    return SingleQuery(skimmer)


NETWORKS: dict[str, Callable[[Config, Student, int], Network]] = {
    "lstm": _lstm,
    "non-recurrent": _single_query,
    "non-recurrent-paired": _single_query,
}
"""Baselines by the name of their folder; each starts from the student's Psi."""

ROWS = {
    "lstm": "LSTM",
    "non-recurrent": "NON-RECURRENT",
    "non-recurrent-paired": "NON-RECURRENT, paired",
    "long": "long",
    "paper": "paper",
    "released": "released",
    "visual-only": "image | image",
}
"""Names of variants in the tables; over sparse knots "... (sparse)", skimmers over all "... (dense)"."""


LONG = 4 * USUAL_LENGTH
"""Timestamps of the longest videos that the variant "long" learns from."""


def folder(name: str) -> str:
    """Return where a variant lies, within the run's folder."""
    return f"skims/{name}"


def variant(config: Config, name: str) -> Config:
    """Return the configuration of a variant.

    Raises:
        InputError: If there is no such variant, or not of this configuration.
    """
    try:
        return _variant(config, name)
    except ValueError as error:
        raise InputError(f"variants.names: {name}: {error}") from error


def _variant(config: Config, name: str) -> Config:
    skim = config.skim
    kind, _, number = name.partition("-")
    if name == "long":
        skim = replace(skim, longest=LONG)
    elif name in ("paper", "released"):
        skim = replace(skim, preset=name)
    elif name == "visual-only":
        # Nothing to pair with.
        skim = replace(
            skim, modalities=("image",), preset="paper" if skim.preset == "paired" else skim.preset
        )
    elif name in NETWORKS:
        # They see every timestamp.
        skim = replace(
            skim,
            updates=config.variants.updates,
            factors=(1,),
            few_frames=0.0,
            preset="paired" if name == "non-recurrent-paired" else "paper",
        )
    elif kind == "seed" and number.isdecimal():
        return replace(config, seed=int(number))
    else:
        raise InputError(f"variants.names: there is no variant {name!r}")
    return replace(config, skim=skim)


def train_variants(config: Config) -> dict[str, dict[str, float]]:
    """Train every configured variant that is not finished.

    Returns:
        Metrics on the validation set, by variant.
    """
    metrics = {}
    for name in config.variants.names:
        chosen = variant(config, name)
        print(f"== {name}", flush=True)
        if name in NETWORKS:
            metrics[name] = train_network(chosen, name)
        else:
            metrics[name] = train_skimmer(chosen, folder(name))
    return metrics


def train_network(config: Config, name: str) -> dict[str, float]:
    """Train one of ``NETWORKS``, or continue where a killed run stopped.

    Returns:
        Metrics on the validation set.
    """
    settings = config.skim

    def build(material: Material) -> Network:
        return NETWORKS[name](config, material.student, len(material.classes))

    def loss(network: Network, source: Source, update: int, learner: Learner) -> Tensor:
        batch, labels = source.draw(update)
        (labels,) = learner.place(labels)
        logits = network(batch.to(learner.device))
        return class_loss(logits, labels, settings.several, settings.label_smoothing).mean()

    def measure(network: Network, tracks: Sequence[Track]) -> dict[str, float]:
        scores = Trained(name, network, settings.several).scores(tracks)
        return rate(scores, tracks, several=settings.several)

    depends_on = skim_settings(config) | {"kind": name}
    network, material = train_on_features(
        config, folder(name), depends_on, build=build, loss=loss, measure=measure
    )
    metrics = measure(network, material.validation)
    save_network(skimmer_path(config, folder(name)), network, metrics=metrics)
    return metrics


def load_variant(config: Config, name: str, student: Student, classes: int) -> list[Method]:
    """Return a trained variant as rows of the tables, over sparse knots and over all.

    Raises:
        FileNotFoundError: If it is not trained.
    """
    chosen, several, row = variant(config, name), config.skim.several, ROWS.get(name, name)
    path = skimmer_path(config, folder(name))
    if not path.exists():
        raise FileNotFoundError(f"{path}: this variant is not trained; python -m training variants does it")
    if name not in NETWORKS:
        skimmer, steps = load_skimmer(chosen, classes, folder(name)), config.skim.steps
        factors = {"sparse": config.factor, "dense": 1}
        return [Skimming(f"{row} ({k})", skimmer, steps, factor, several) for k, factor in factors.items()]
    network = NETWORKS[name](chosen, student, classes)
    network.load_state_dict(load_file(path))
    sparse = Trained(f"{row} (sparse)", network, several, config.factor)
    return [Trained(row, network, several), sparse]


def load_variants(config: Config, student: Student, classes: int) -> dict[str, list[Method]]:
    """Return the rows of every configured variant that is trained, by its name in the configuration."""
    names = [name for name in config.variants.names if skimmer_path(config, folder(name)).exists()]
    return {name: load_variant(config, name, student, classes) for name in names}
