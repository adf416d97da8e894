"""l2l_engine says what happens in a long, untrimmed video, fast, by listening before it looks.

import l2l_engine

with l2l_engine.Classifier("engine.plan") as classifier:
    prediction = classifier.predict("long_video.mp4")
print(prediction.label, prediction.confidence)
"""

from importlib.metadata import version as _version

from l2l_engine.call import Explanation
from l2l_engine.classifier import Classifier
from l2l_engine.errors import (
    ClosedError,
    CrashedError,
    DeviceError,
    DeviceLostError,
    DeviceMemoryError,
    L2LError,
    LimitError,
    MediaAccessError,
    MediaError,
    MediaNotFoundError,
    MediaUnreachableError,
    PlanError,
    PlanNotFoundError,
    PredictionTimeoutError,
    UnexpectedError,
)
from l2l_engine.media import Limits
from l2l_engine.result import (
    Features,
    MediaInfo,
    Moment,
    Prediction,
    Recognition,
    Segment,
    SelectedFrame,
    SelectedSound,
    Selection,
    StreamInfo,
    Tag,
    Timings,
)

__version__ = _version("l2l_engine")

__all__ = [
    "Classifier",
    "ClosedError",
    "CrashedError",
    "DeviceError",
    "DeviceLostError",
    "DeviceMemoryError",
    "Explanation",
    "Features",
    "L2LError",
    "LimitError",
    "Limits",
    "MediaAccessError",
    "MediaError",
    "MediaInfo",
    "MediaNotFoundError",
    "MediaUnreachableError",
    "Moment",
    "PlanError",
    "PlanNotFoundError",
    "Prediction",
    "PredictionTimeoutError",
    "Recognition",
    "Segment",
    "SelectedFrame",
    "SelectedSound",
    "Selection",
    "StreamInfo",
    "Tag",
    "Timings",
    "UnexpectedError",
    "__version__",
]
