"""The networks: two encoders, their fusion, the clip classifier, and the skimmer."""

from training.models.audio import AudioEncoder, ReleasedAudioEncoder
from training.models.encoder import Encoder
from training.models.fusion import Fusion
from training.models.image import ImageEncoder
from training.models.inputs import media_settings
from training.models.skimming import SkimBatch, SkimmingNetwork, SkimOutput
from training.models.student import Student

__all__ = [
    "AudioEncoder",
    "Encoder",
    "Fusion",
    "ImageEncoder",
    "ReleasedAudioEncoder",
    "SkimBatch",
    "SkimOutput",
    "SkimmingNetwork",
    "Student",
    "media_settings",
]
