"""Small runs of decoder and skimmer whose results are known beforehand.

What a broken installation raises is not caught here: ``doctor`` reports it.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np

from l2l_engine.media import knots, open_media, timestamps
from l2l_engine.skim import Skimmer

_RED = (200, 30, 30)


def sample_video() -> bytes:
    """Two seconds of a red picture and a tone, by codecs that every FFmpeg has."""
    data, rate = io.BytesIO(), 16000
    with av.open(data, "w", format="avi") as container:
        picture = container.add_stream("mjpeg", rate=10)
        picture.width, picture.height, picture.pix_fmt = 160, 128, "yuvj420p"
        sound = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((128, 160, 3), _RED, np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
        samples = av.AudioFrame.from_ndarray((tone[None] * 32767).astype(np.int16), "s16", "mono")
        samples.sample_rate, samples.pts, samples.time_base = rate, 0, Fraction(1, rate)
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return data.getvalue()


def decoder() -> str | None:
    """Decode a video whose content is known. None, or what is wrong."""
    with open_media(sample_video()) as source:
        at = np.array([0.0, 0.8])
        frames = source.frames(at, short_side=128, crop=112)
        windows = source.audio_windows(at, window=16000, sample_rate=16000)
    if not np.abs(frames.images.mean((0, 1, 2)) - np.array(_RED)).max() < 12:
        return "a red picture did not come out red"
    loudness = float(np.sqrt(np.mean(windows.samples**2)))
    return None if 0.3 < loudness < 0.4 else f"a tone of loudness 0.35 came out as {loudness:.2f}"


def skimmer() -> str | None:
    """Skim a made-up video whose logits are known. None, or what is wrong."""
    one, eye = np.ones((1, 1), np.float32), np.eye(2, dtype=np.float32)
    zero = np.zeros
    weights: dict[str, np.ndarray] = {
        "fusion.0.weight": np.concatenate([eye, eye], axis=1),
        "fusion.0.bias": zero(2),
        "fusion.1.weight": eye,
        "fusion.1.bias": zero(2),
        "lstm.weight_ih": zero((4, 2)),
        "lstm.weight_hh": zero((4, 1)),
        "lstm.bias": zero(4),
        "modality.weight": zero((2, 1)),
        "modality.bias": zero(2),
        "classifier.weight": eye,
        "classifier.bias": zero(2),
    }
    for modality in ("image", "audio"):
        # Preset `paired`, which here adds 1 and 2 to every feature.
        weights |= {f"pair_{modality}.0.weight": zero((1, 4)), f"pair_{modality}.0.bias": zero(1)}
        weights |= {f"pair_{modality}.1.weight": zero((2, 1)), f"pair_{modality}.1.bias": np.array([1, 2])}
        weights |= {f"key_{modality}.weight": zero((1, 2)), f"key_{modality}.bias": zero(1)}
        weights |= {f"query_{modality}.0.weight": one, f"query_{modality}.0.bias": zero(1)}
    times = timestamps(4.0, 1.0)
    bank = np.tile(np.array([1, 3], np.float32), (2, 1))
    made = Skimmer({name: np.asarray(weight, np.float32) for name, weight in weights.items()})
    at = knots(times, 2)
    logits = made.run(bank[None], bank[None], at[None], at[None], times[None], 3).logits[0]
    # The fusion adds the two rows, [2, 5] each, and the classifier hands them on.
    expected = np.array([4, 10], np.float32)
    return None if np.allclose(logits, expected) else f"the skimmer gave {logits}, expected {expected}"
