"""What the commands that write a set of videos have in common: their arguments, their progress, their end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def build_parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments that all of them take.

    Args:
        module: What ``python -m`` runs.
        about: The module's docstring, whose first line becomes the description.
    """
    summary = (about or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=summary)
    parser.add_argument("--output", type=Path, required=True, help="folder for the videos and manifest.jsonl")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a set that is drawn at random."""
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same videos")
    parser.add_argument("--count", type=int, required=True, help="how many videos the set has")


def run(
    parser: argparse.ArgumentParser,
    words: list[str] | None,
    write: Callable[[argparse.Namespace], Iterable[int]],
) -> int:
    """Write the set that the command line asks for.

    Args:
        parser: Of :func:`build_parser`.
        words: The command line's words; those of this process by default.
        write: Writes the set and yields how many of its videos are finished.

    Returns:
        The exit status: 1 where the set cannot be written, with the reason on the error output.
    """
    options = parser.parse_args(words)
    total = f"/{options.count}" if "count" in options else ""
    try:
        for done in write(options):
            print(f"\r{done}{total} videos", end="", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(file=sys.stderr)
    return 0
