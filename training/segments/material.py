"""What a plan says of the moments of labelled videos: everything that segments are found from, by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from l2l_engine import Classifier, Prediction
from l2l_engine.call.segments import find, moment_scores
from l2l_engine.plan import PlanDocument, SegmentSettings
from training.learning.detection import Stretch
from training.segments.banks import Banks
from training.videos.manifest import Video

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said of one video.

    Attributes:
        video: The video.
        times: float64 [N], seconds.
        logits: float64 [N, C], of single moments.
        attention: float64 [N], the mean of the choices, sum 1; zeros where nothing was chosen.
        probabilities: float32 [C], of the whole file.
        end: Seconds that it lasts.
    """

    video: Video
    times: Doubles
    logits: Doubles
    attention: Doubles
    probabilities: NDArray[np.float32]
    end: float

    def found(self, document: PlanDocument, settings: SegmentSettings) -> list[Stretch]:
        """Return what the plan would find with some settings."""
        scores = moment_scores(
            self.logits, settings, probabilities=self.probabilities, attention=self.attention
        )
        segments = find(scores, self.times, self.end, replace(document, segments=settings))
        return [Stretch(self.video.name, s.label, s.start_s, s.end_s, s.score) for s in segments]


def asked(classifier: Classifier, banks: Banks) -> Prediction:
    """Return what the plan says of a file of which it has these features."""
    return classifier.predict_features(
        banks.image,
        banks.audio,
        image_times=banks.image_times,
        audio_times=banks.audio_times,
        timestamps=banks.timestamps,
    )


def attention_of(prediction: Prediction) -> Doubles:
    """Return the mean over the choices of s^I w^I + s^A w^A: float64 [N]."""
    total = np.zeros(len(prediction.timestamps))
    for moment in prediction.moments:
        image, audio = moment.modality_scores
        total += image * moment.image_attention.astype(np.float64)
        total += audio * moment.audio_attention.astype(np.float64)
    return total / max(1, len(prediction.moments))


def found_in(said: Sequence[Said], document: PlanDocument, settings: SegmentSettings) -> list[Stretch]:
    """Return what is found in all of them."""
    return [stretch for one in said for stretch in one.found(document, settings)]


def names(said: Sequence[Said]) -> list[str]:
    """Return the names of the videos."""
    return [one.video.name for one in said]


def by_name(said: Sequence[Said]) -> Mapping[str, Said]:
    """Return the same by the video's name."""
    return {one.video.name: one for one in said}
