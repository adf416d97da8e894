"""What a service is started with, checked before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from l2l_engine.arguments import positive, positive_seconds
from l2l_engine.loading import Precision
from l2l_engine.media import Limits

OBJECT_STORES = ("s3", "gs")
"""Protocols that name an object, and no host: where they lead is for the environment to say."""
PROTOCOLS = ("file", "http", "https", *OBJECT_STORES)
"""Protocols of URIs that a service can be told to open."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a service is started with.

    Attributes:
        plans: Plan files by the name that requests call them; the first is for requests that name none.
        workers: Predictions in work at once.
        queue: Predictions that may wait besides; one more is answered with 429.
        uploads: Files that may come in at the same time; one more is answered with 429.
        max_bytes: Largest file, in bytes.
        timeout_s: Seconds from the moment a file is here until its answer is given up, the wait included.
        upload_s: Seconds that sending, or fetching, a file may take.
        allow: Protocols of the URIs that requests may name, of :data:`PROTOCOLS`; none by default.
        root: Folder that holds all that ``file`` URIs may name.
        device, precision: As for :class:`l2l_engine.Classifier`.
        limits: What one file may cost; ``timeout_s`` goes into it.

    Raises:
        ValueError, TypeError: A value is out of range; the message names it.
    """

    plans: Mapping[str, Path]
    workers: int = 2
    queue: int = 16
    uploads: int = 32
    max_bytes: int = 2**30
    timeout_s: float = 60.0
    upload_s: float = 300.0
    allow: tuple[str, ...] = ()
    root: Path | None = None
    device: str = "auto"
    precision: Precision = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.plans:
            raise ValueError("a service needs a plan")
        for name in self.plans:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be a plan's name: letters, digits, dots, dashes, at most 64"
                )
        for name in ("workers", "uploads", "max_bytes"):
            positive(name, getattr(self, name))
        if self.queue < 0:
            raise ValueError(f"queue must be at least 0, not {self.queue}")
        for name in ("timeout_s", "upload_s"):
            positive_seconds(name, getattr(self, name))
        for protocol in self.allow:
            if protocol not in PROTOCOLS:
                raise ValueError(
                    f"{protocol} is none of the protocols that can be allowed: {', '.join(PROTOCOLS)}"
                )
        if "file" in self.allow and self.root is None:
            raise ValueError("the protocol file needs a root: the folder that requests may read from")
