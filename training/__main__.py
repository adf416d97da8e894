"""``python -m training COMMAND``: every stage of a training run, and plans from elsewhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from training.clips import train_clips
from training.config import Config, load_config, model_config
from training.distill import distill
from training.evaluate import evaluate
from training.export import PRESETS, export_plan, export_untrained
from training.features import extract_features
from training.finetune import finetune
from training.manifest import render_set
from training.recogniser import train_recogniser
from training.released import import_released
from training.skim import train_skimmer
from training.teach import teach
from training.variants import train_variants


def render(config: Config) -> None:
    """Render every set that training uses; the test set waits until it is evaluated on."""
    for name in (
        *config.teacher.train,
        *config.teacher.validation,
        *config.student.train,
        *config.student.validation,
        *config.skim.train,
        *config.skim.validation,
    ):
        render_set(config, name)


def features(config: Config) -> None:
    """Cache the features that the skimmer is trained and validated on."""
    extract_features(config, (*config.skim.train, *config.skim.validation))


PRECISIONS = ("fp32", "fp16", "int8")

STAGES: dict[str, Callable[[Config], object]] = {
    "render": render,
    "teacher": teach,
    "distill": distill,
    "finetune": finetune,
    "features": features,
    "skim": train_skimmer,
    "recogniser": train_recogniser,
    "export": export_plan,
    "clips": train_clips,
}

STUDIES: dict[str, Callable[[Config], object]] = {"variants": train_variants}
"""What results are compared with; no part of ``all``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every stage continues from what is on disk."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "export" and options.random:
            return _export_random(options)
        if options.command == "import-released":
            return _import_released(options)
        if options.config is None:
            raise ValueError("--config is missing")
        config = load_config(options.config, options.set)
        if options.command == "export" and options.precision:
            config = replace(config, precisions=tuple(options.precision))
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
        (STAGES | STUDIES)[stage](config)
        print(f"== {stage}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in (*STAGES, *STUDIES, "all", "evaluate"):
        command = commands.add_parser(name)
        command.add_argument("--config", type=Path, help="a TOML file")
        command.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. student.epochs=3"
        )
        if name == "export":
            command.add_argument(
                "--random", action="store_true", help="random weights, of the paper's sizes unless --set"
            )
            command.add_argument("--preset", choices=PRESETS, default="paper", help="of --random")
            command.add_argument("--classes", type=int, default=200, help="of --random")
            command.add_argument("--seed", type=int, default=0, help="of --random")
            command.add_argument(
                "--precision", nargs="+", choices=PRECISIONS, help="of the graphs; fp32 is always there"
            )
            command.add_argument("--output", type=Path, help="the plan that --random writes")
    command = commands.add_parser("import-released", help="a plan from a checkpoint of the published modules")
    command.add_argument("--checkpoint", type=Path, nargs="+", required=True, help="one or more files")
    command.add_argument("--output", type=Path, required=True, help="the plan")
    command.add_argument("--classes", type=Path, help="class names, one a line, in the classifier's order")
    command.add_argument(
        "--no-exclude", action="store_true", help="let attention return to moments it was at before"
    )
    return parser


def _export_random(options: argparse.Namespace) -> int:
    if options.output is None:
        raise ValueError("--random needs --output")
    if options.classes < 1:
        raise ValueError(f"--classes must be at least 1, not {options.classes}")
    plan = export_untrained(
        options.output,
        preset=options.preset,
        classes=options.classes,
        model=model_config(options.set),
        seed=options.seed,
        precisions=options.precision or ("fp32",),
    )
    print(f"{plan.path}: {plan.path.stat().st_size} bytes, random weights")
    return 0


def _import_released(options: argparse.Namespace) -> int:
    names = options.classes.read_text(encoding="utf-8").splitlines() if options.classes else None
    done = import_released(options.checkpoint, options.output, classes=names, exclude=not options.no_exclude)
    if done.missing:
        print(f"missing for skimming, so that the plan averages all pairs: {', '.join(done.missing)}")
    print(f"left over: {', '.join(done.left_over) or 'nothing'}")
    print(f"{done.plan.path}: {done.plan.path.stat().st_size} bytes, preset {done.plan.document.skim.preset}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
