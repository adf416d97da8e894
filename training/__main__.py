"""``python -m training COMMAND --config FILE [--set name=value ...]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from training.config import Config, load_config
from training.evaluate import evaluate
from training.export import export_plan
from training.features import extract_features
from training.finetune import finetune
from training.manifest import render_set
from training.skim import train_skimmer


def render(config: Config) -> None:
    """Render every set that training uses; the test set waits until it is evaluated on."""
    for name in (
        *config.student.train,
        *config.student.validation,
        *config.skim.train,
        *config.skim.validation,
    ):
        render_set(config, name)


def features(config: Config) -> None:
    """Cache the features that the skimmer is trained and validated on."""
    extract_features(config, (*config.skim.train, *config.skim.validation))


STAGES: dict[str, Callable[[Config], object]] = {
    "render": render,
    "finetune": finetune,
    "features": features,
    "skim": train_skimmer,
    "export": export_plan,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every stage continues from what is on disk."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("command", choices=[*STAGES, "all", "evaluate"])
    parser.add_argument("--config", type=Path, required=True, help="a TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. student.epochs=3"
    )
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config, options.set)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if options.command == "evaluate":
        settings = " ".join(
            [f"--config {options.config}", *(f"--set {override}" for override in options.set)]
        )
        evaluate(config, [f"python -m training {command} {settings}" for command in ("all", "evaluate")])
        return 0
    for stage in STAGES if options.command == "all" else [options.command]:
        print(f"== {stage}", flush=True)
        start = time.monotonic()
        STAGES[stage](config)
        print(f"== {stage}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
