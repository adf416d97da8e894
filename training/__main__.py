"""``python -m training COMMAND --config FILE [--set name=value ...]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from training.config import Config, load_config


def _render(config: Config) -> None:
    from training.manifest import render_set

    for name in (
        *config.student.train,
        *config.student.validation,
        *config.skim.train,
        *config.skim.validation,
    ):
        render_set(config, name)


def _finetune(config: Config) -> None:
    from training.finetune import finetune

    finetune(config)


def _features(config: Config) -> None:
    from training.features import extract_features

    extract_features(config, (*config.skim.train, *config.skim.validation))


def _skim(config: Config) -> None:
    from training.skim import train_skimmer

    train_skimmer(config)


def _export(config: Config) -> None:
    from training.export import export_plan

    export_plan(config)


def _all(config: Config) -> None:
    for stage in ("render", "finetune", "features", "skim", "export"):
        print(f"== {stage}", flush=True)
        COMMANDS[stage](config)


COMMANDS: dict[str, Callable[[Config], None]] = {
    "render": _render,
    "finetune": _finetune,
    "features": _features,
    "skim": _skim,
    "export": _export,
    "all": _all,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every stage continues from what is on disk."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "evaluate"])
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
        _evaluate(config, options)
    else:
        COMMANDS[options.command](config)
    return 0


def _evaluate(config: Config, options: argparse.Namespace) -> None:
    from training.evaluate import evaluate

    arguments = [f"--config {options.config}", *(f"--set {override}" for override in options.set)]
    commands = [f"python -m training {command} {' '.join(arguments)}" for command in ("all", "evaluate")]
    evaluate(config, commands)


if __name__ == "__main__":
    # The decoding workers would otherwise each start as many threads as there are cores.
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    sys.exit(main())
