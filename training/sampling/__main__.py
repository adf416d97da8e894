"""What each way of sampling costs and loses: test videos through ``Classifier.predict``.

    python -m training.sampling --config training/configs/demo.toml

Running the same command again continues where it was stopped; ``--anew`` measures everything once more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.config import load_config
from training.sampling.ways import REFERENCE, Way, evaluate_sampling, ways


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m training.sampling", description=summary)
    parser.add_argument("--config", type=Path, required=True, help="a TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. plan=other.plan"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="WAY", help="some ways, e.g. exact auto '40 ms'; by default all"
    )
    parser.add_argument("--anew", action="store_true", help="forget what an earlier run measured")
    options = parser.parse_args(words)
    try:
        config = load_config(options.config, options.set)
        chosen = _chosen(ways(config), options.only)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    evaluate_sampling(config, chosen, options.anew)
    return 0


def _chosen(known: Sequence[Way], names: Sequence[str] | None) -> list[Way]:
    if names is None:
        return list(known)
    unknown = sorted(set(names) - {way.name for way in known})
    if unknown:
        raise ValueError(
            f"no such way: {', '.join(unknown)}; there are {', '.join(way.name for way in known)}"
        )
    # The first is what the others are held to.
    return [way for way in known if way.name in names or way.name == REFERENCE]


if __name__ == "__main__":
    sys.exit(main())
