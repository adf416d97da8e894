"""Files that appear whole or not at all, for writers that want a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield where to write what becomes ``path`` once the block has ended well.

    The place is always the same, so that a run after a killed one writes over what that left.
    """
    unfinished = path.with_name(f".{path.name}.part")
    yield unfinished
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
