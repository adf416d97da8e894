"""What the encoders of a model take in, which its plan says and by which all of training decodes."""

from __future__ import annotations

from l2l_engine.plan import MediaSettings
from training.config import ModelConfig
from training.models.backbones import published_side
from training.models.ears import sound_of

_CROP = MediaSettings().crop
_MARGIN = MediaSettings().short_side / _CROP
"""Frames are a little larger than what is seen of them."""


def media_settings(model: ModelConfig, hop: float = MediaSettings().hop) -> MediaSettings:
    """Return how frames and sound reach the encoders of a model.

    The crop is ``model.image_side``, or else the square that the encoder was published for, or else the
    paper's 112 pixels; the audio encoder says rate and window.

    Args:
        model: The encoders.
        hop: Seconds between timestamps.
    """
    crop, sound = image_side(model.image, model.image_side), sound_of(model.audio)
    return MediaSettings(hop, short_side_of(crop), crop, sound.sample_rate, sound.window)


def image_side(name: str, side: int | None = None) -> int:
    """Return the pixels of the square that an image encoder sees, by default what it was published for."""
    return side or published_side(name) or _CROP


def short_side_of(crop: int) -> int:
    """Return the short side of frames of which so large a square is seen: 128 for 112."""
    return round(crop * _MARGIN)
