"""Lays out the recordings of AV-Digits from where they are published; nothing is downloaded.

    python -m training.data.digits.published --mnist DIR --fsdd DIR --esc50 DIR --output DIR

* MNIST: the four IDX files (``train-images-idx3-ubyte``, …), packed with gzip or not.
* Free Spoken Digit Dataset: its repository, or the folder ``recordings`` of it.
* ESC-50: its repository; the ten classes of ESC-10 are taken.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.runs.files import write_atomically

_RECORDING = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")


def read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """An IDX file of bytes, as an array of the shape it names.

    Raises:
        FileNotFoundError: If it is there neither plain nor packed.
        ValueError: If it is no IDX file of bytes, or is cut short.
    """
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"))
    path = next((folder / n for n in names if (folder / n).exists()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: holds no {name}, nor {name}.gz")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: no IDX file of bytes")
    sides = data[3]
    shape = tuple(int(side) for side in np.frombuffer(data, ">u4", sides, offset=4))
    if len(data) != 4 + 4 * sides + int(np.prod(shape)):
        raise ValueError(f"{path}: cut short, or longer than its header says")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * sides).reshape(shape)


def mnist(folder: Path, output: Path) -> None:
    """Write ``digits/mnist.npz``."""
    arrays = {}
    for ours, theirs in (("train", "train"), ("test", "t10k")):
        arrays[f"{ours}_x"] = read_idx(folder, f"{theirs}-images-idx3-ubyte")
        arrays[f"{ours}_y"] = read_idx(folder, f"{theirs}-labels-idx1-ubyte")
    write_atomically(
        output / "digits" / "mnist.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **arrays)
    )


def spoken_digits(folder: Path, output: Path) -> None:
    """Write ``digits/fsdd.npz``."""
    recordings = folder / "recordings" if (folder / "recordings").is_dir() else folder
    found = [
        (match, path)
        for path in sorted(recordings.glob("*.wav"))
        if (match := _RECORDING.fullmatch(path.name))
    ]
    if not found:
        raise FileNotFoundError(f"{recordings}: holds no recordings such as 0_george_0.wav")
    waves = []
    for _, path in found:
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (8000, 1, 2):
                raise ValueError(f"{path}: not mono of 16 bits at 8 kHz, as the data set's recordings are")
            waves.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    arrays = {
        "samples": np.concatenate(waves),
        "offsets": np.cumsum([0, *map(len, waves)]),
        "digit": np.array([int(match[1]) for match, _ in found], np.int8),
        "speaker": np.array([match[2] for match, _ in found]),
        "index": np.array([int(match[3]) for match, _ in found], np.int16),
        "sample_rate": np.array(8000),
    }
    write_atomically(
        output / "digits" / "fsdd.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **arrays)
    )


def sounds(folder: Path, output: Path) -> None:
    """Copy ESC-10's files to ``esc10/CLASS``; their names begin with their fold."""
    table = folder / "meta" / "esc50.csv"
    if not table.exists():
        raise FileNotFoundError(f"{table}: no such file")
    with table.open(encoding="utf-8", newline="") as file:
        chosen = [row for row in csv.DictReader(file) if row["esc10"] == "True"]
    if not chosen:
        raise ValueError(f"{table}: names no sound of ESC-10")
    for row in chosen:
        target = output / "esc10" / row["category"] / row["filename"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "audio" / row["filename"], target)


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m training.data.digits.published", description=summary)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of the IDX files")
    parser.add_argument("--fsdd", type=Path, required=True, help="the spoken digits' repository")
    parser.add_argument("--esc50", type=Path, required=True, help="ESC-50's repository")
    parser.add_argument("--output", type=Path, required=True, help="what --data of AV-Digits takes")
    arguments = parser.parse_args(words)
    try:
        mnist(arguments.mnist, arguments.output)
        spoken_digits(arguments.fsdd, arguments.output)
        sounds(arguments.esc50, arguments.output)
    except (OSError, ValueError, KeyError, EOFError, wave.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
