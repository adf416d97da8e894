"""What one media file may cost, whatever it claims about itself."""

from __future__ import annotations

from dataclasses import dataclass

PROTOCOLS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "https", "http", "hf")
"""Protocols of URLs that are opened unless a service says otherwise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds set by the embedding service; exceeding one raises ``LimitError``.

    They are counted on what is really decoded: a declared size, rate or duration is only a hint, and a
    file that merely claims too much is not refused for it where the claim can be checked.

    Attributes:
        pixels: Largest frame, width times height; 8K (8192 x 4320) by default.
        frames: Video frames sent through the decoder for one part of a file; parts are decoded side by side.
        audio_bytes: Decoded audio held at once, in bytes.
        duration: Longest file, in seconds.
        wall_clock_s: Most seconds one prediction may take; passing it raises ``PredictionTimeoutError``. None
            leaves it to the call's ``timeout_s``, which can only ask for less.
        protocols: Of URLs that may be opened; others are refused. None, ``()``, is what a service wants that
            takes names from strangers: local files alone. fsspec knows more than are here by default.
    """

    pixels: int = 36_000_000
    frames: int = 5_000_000
    audio_bytes: int = 64 * 2**20
    duration: float = 24 * 3600.0
    wall_clock_s: float | None = None
    protocols: tuple[str, ...] = PROTOCOLS

    def __post_init__(self) -> None:
        for name in ("pixels", "frames", "audio_bytes", "duration"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Limits.{name} must be positive, not {getattr(self, name)!r}")
        if not isinstance(self.protocols, tuple):
            raise TypeError(f"Limits.protocols must be a tuple of names, not {self.protocols!r}")
        if self.wall_clock_s is not None and not self.wall_clock_s > 0:
            raise ValueError(f"Limits.wall_clock_s must be positive, not {self.wall_clock_s!r}")


DEFAULT_LIMITS = Limits()
