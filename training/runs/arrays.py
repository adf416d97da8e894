"""Large arrays on disk: written row by row, read without being loaded, shared by all who read them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Rows = Mapping[str, NDArray[Any]]
"""Some rows of every array."""


def write_arrays(folder: Path, parts: Iterable[Rows], about: Any) -> None:
    """Append ``parts`` to arrays in a new folder, which gets its name only when it is complete.

    Args:
        folder: Made here; must not exist.
        parts: Rows of the same arrays, all with the same shapes but for the first axis.
        about: JSON values that are kept with the arrays.

    Raises:
        ValueError: If there is no part.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    files: dict[str, IO[bytes]] = {}
    heads: dict[str, dict[str, Any]] = {}
    try:
        for part in parts:
            for name, rows in part.items():
                if name not in files:
                    files[name] = (temporary / f"{name}.bin").open("wb")
                    heads[name] = {"dtype": rows.dtype.str, "shape": [0, *rows.shape[1:]]}
                files[name].write(np.ascontiguousarray(rows).data)
                heads[name]["shape"][0] += len(rows)
        if not heads:
            raise ValueError(f"{folder}: nothing to keep")
        text = json.dumps({"arrays": heads, "about": about}, indent=1)
        (temporary / "index.json").write_text(text, encoding="utf-8")
    except BaseException:
        _close(files.values())
        shutil.rmtree(temporary)
        raise
    _close(files.values())
    temporary.chmod(0o755)
    temporary.rename(folder)


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a folder, mapped into memory: what is written to them stays out of the files."""
    heads = json.loads((folder / "index.json").read_text(encoding="utf-8"))["arrays"]
    return {name: _map(folder / f"{name}.bin", head) for name, head in heads.items()}


def _map(path: Path, head: Mapping[str, Any]) -> NDArray[Any]:
    shape = tuple(head["shape"])
    if 0 in shape:  # an empty file cannot be mapped
        return np.empty(shape, head["dtype"])
    # Copy on write: PyTorch warns of arrays that cannot be written to.
    return np.memmap(path, head["dtype"], "c", shape=shape).view(np.ndarray)


def _close(files: Iterable[IO[bytes]]) -> None:
    for file in files:
        file.close()
