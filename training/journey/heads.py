"""What answers behind frozen trunks: chosen by videos to learn from alone, with words for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from l2l_engine.plan import Plan
from training.config import Config
from training.frozen.cache import VideoEmbeddings
from training.frozen.choose import Choice, Row, choose_head
from training.frozen.judging import Threshold
from training.journey.choices import Footage
from training.journey.longer import Longer, choose_for_long
from training.journey.scoring import Answer
from training.journey.writing import write_averaging, write_evidence
from training.learning.measures import wilson
from training.videos.manifest import class_names

_STREAMS = {("image",): "pictures", ("audio",): "sound", ("image", "audio"): "pictures and sound"}
_NAMES = {
    "averaged": "clip classifier, averaged",
    "ensemble": "probe and classifier together",
    "paper": "skimmer (paper)",
    "paired": "skimmer (paired)",
}
_ABOUT = {
    "probe": "logistic regression on the mean embedding of {streams}",
    "averaged": "DENSE: Psi of every moment of {streams}, averaged, then classes",
    "ensemble": "the sum of the logits of the probe and of the clip classifier",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What was chosen, and what is kept of the rest.

    Attributes:
        choice: Of averaging heads, by cross-validation.
        background: Classes that are never an answer.
        longer: What was chosen for long files; None where the plan is for files like those learnt from.
        several: Whether a video may have several labels.
    """

    choice: Choice
    background: tuple[str, ...] = ()
    longer: Longer | None = None
    several: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of :meth:`rows`."""
        return self.choice.classes

    @property
    def name(self) -> str:
        """What answers, in a few words."""
        if self.longer is not None and self.longer.network is not None:
            return "evidence over time"
        return row_name(self.choice.name, self.choice.streams)

    @property
    def averages(self) -> bool:
        """Whether it is written as it is; a head that skims is trained by the stages of a training."""
        return self.choice.preset == "clip" or (self.longer is not None and self.longer.network is not None)

    def threshold(self) -> Threshold:
        """Return from which confidence on an answer is known."""
        evidence = self.longer is not None and self.longer.network is not None
        return self.longer.unsure if self.longer is not None and evidence else self.choice.unsure

    def rows(self, videos: Sequence[VideoEmbeddings]) -> Iterator[tuple[str, str, Tensor]]:
        """Yield each averaging head: its name, what it does, and its logits [V, C]."""
        for tried in self.choice.tried:
            if tried.preset == "clip":
                row = tried.row
                about = _ABOUT[row.name].format(streams=_STREAMS[row.streams])
                yield row_name(row.name, row.streams), about, tried.head.scores(videos, self.choice.factor)

    def best(self, logits: Tensor) -> Tensor:
        """Return the numbers of the answers [V] to logits [V, C]; background is none."""
        logits = logits.clone()
        logits[:, [self.classes.index(name) for name in self.background]] = -torch.inf
        return logits.argmax(dim=1)

    def probabilities(self, videos: Sequence[VideoEmbeddings]) -> Tensor:
        """Return what the plan says of videos, calibrated: [V, classes of the plan]."""
        if self.longer is not None and self.longer.network is not None:
            return self.longer.probabilities(videos)
        scaled = self.choice.head.scores(videos, self.choice.factor) / self.choice.temperature
        return scaled.sigmoid() if self.several else scaled.softmax(dim=1)

    def answers(self, videos: Sequence[VideoEmbeddings]) -> list[Answer]:
        """Return what the plan says of videos."""
        found = self.probabilities(videos)
        classes = self.plan_classes()
        behind = [classes.index(name) for name in self.background if name in classes]
        found = found.clone()
        found[:, behind] = -1.0
        unsure = self.threshold().confidence
        return [
            Answer(classes[best], sure, unsure is None or sure >= unsure)
            for best, sure in zip(found.argmax(dim=1).tolist(), found.amax(dim=1).tolist(), strict=True)
        ]

    def plan_classes(self) -> tuple[str, ...]:
        """Return the classes of the plan."""
        evidence = self.longer is not None and self.longer.network is not None
        return tuple(n for n in self.classes if not evidence or n not in self.background)

    def reasons(self) -> list[str]:
        """Return why the plan answers the way it does."""
        said = [f"Chosen by {len(self.choice.held_out)} videos to learn from, each held out in turn:"]
        said[0] += f" {self.choice.reason}."
        for tried in self.choice.tried:
            if tried.preset != "clip":
                said.append(_skimmer(tried.row, len(self.choice.held_out)))
        return said + ([] if self.longer is None else self.longer.reasons)

    def write(self, config: Config) -> Plan:
        """Write the plan."""
        if self.longer is not None and self.longer.network is not None:
            return write_evidence(
                config,
                self.longer.network,
                self.plan_classes(),
                factor=self.longer.factor,
                temperature=self.longer.temperature,
                unsure=self.longer.unsure.confidence,
                provenance={"choice": self.choice.record(), "longer": self.longer.reasons},
            )
        return write_averaging(config, self.choice, self.background)


def choose(config: Config, videos: Sequence[VideoEmbeddings], footage: Footage) -> Head:
    """Choose a head by nothing but these videos, and learn it from all of them."""
    classes = class_names(video.video for video in videos)
    groups = [video.video.group or video.video.name for video in videos]
    choice = choose_head(config, videos, classes, groups)
    longer = choose_for_long(config, videos, choice, footage.background) if footage.untrimmed else None
    background = tuple(name for name in footage.background if name in classes)
    return Head(choice, background, longer, config.skim.several)


def row_name(name: str, streams: tuple[str, ...]) -> str:
    """Return a head's name in the table."""
    return f"linear probe, {_STREAMS[streams]}" if name == "probe" else _NAMES.get(name, name)


def _skimmer(row: Row, videos: int) -> str:
    if not row.score:
        return f"{row_name(row.name, row.streams)}: not tried, {row.how.get('not tried', 'it cannot be')}."
    low, high = wilson(row.score["top1"], videos)
    return (
        f"{row_name(row.name, row.streams)}: {100 * row.score['top1']:.1f} % of the same held-out videos "
        f"({100 * low:.0f} to {100 * high:.0f} %)."
    )
