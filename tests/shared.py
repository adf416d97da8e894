"""Real media and reference outputs outside the repository, where L2L_SHARED_DATA names their folder."""

from __future__ import annotations

import os
from pathlib import Path


def shared_files(folder: str, pattern: str = "*") -> list[Path]:
    """The files of one folder of it, in order of name; none where there is no such folder."""
    root = os.environ.get("L2L_SHARED_DATA")
    return sorted(path for path in Path(root, folder).glob(pattern) if path.is_file()) if root else []
