"""Renders AV-Digits from real recordings.

    python -m training.data.digits --data DIR --seed 1 --count 200 --output DIR

Running the same command again continues where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.data.digits.job import Job
from training.data.digits.source import SPLITS, load_source
from training.data.sets import add_arguments, render_set


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m training.data.digits", description=summary)
    parser.add_argument("--data", type=Path, required=True, help="holds digits/ and esc10/")
    add_arguments(parser)
    parser.add_argument("--split", choices=SPLITS, default="train", help="writers, speakers and sounds")
    parser.add_argument("--clips", action="store_true", help="clips of 2-3 s, all of them the label")
    arguments = parser.parse_args(words)
    try:
        load_source(arguments.data, arguments.split)  # what is missing is said before anything is begun
        job = Job(arguments.data, arguments.seed, arguments.split, arguments.clips)
        for done in render_set(job, arguments.count, arguments.output, arguments.workers):
            print(f"\r{done}/{arguments.count} videos", end="", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
