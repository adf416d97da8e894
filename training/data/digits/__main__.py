"""Renders AV-Digits from real recordings.

    python -m training.data.digits --data DIR --seed 1 --count 200 --output DIR

Running the same command again continues where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from training.data.command import add_drawing, build_parser, run
from training.data.digits.job import Job
from training.data.digits.source import SPLITS, load_source
from training.data.sets import render_set


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = build_parser("training.data.digits", __doc__)
    add_drawing(parser)
    parser.add_argument("--data", type=Path, required=True, help="holds digits/ and esc10/")
    parser.add_argument("--split", choices=SPLITS, default="train", help="writers, speakers and sounds")
    parser.add_argument("--clips", action="store_true", help="clips of 2-3 s, all of them the label")
    return run(parser, words, _write)


def _write(options: argparse.Namespace) -> Iterator[int]:
    load_source(options.data, options.split)  # what is missing is said before anything is begun
    job = Job(options.data, options.seed, options.split, options.clips)
    return render_set(job, options.count, options.output, options.workers)


if __name__ == "__main__":
    sys.exit(main())
