"""Files of JSON lines that a killed run may have left in the middle of one."""

from __future__ import annotations

import os
from pathlib import Path


def whole_lines(path: Path) -> list[bytes]:
    """The lines of ``path``, none if there is no such file; half a line left by a kill is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    os.truncate(path, whole)
    return content[:whole].splitlines()
