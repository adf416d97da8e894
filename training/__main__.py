"""``python -m training COMMAND``: every stage of a training run, and plans from elsewhere."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path

from l2l_engine.errors import L2LError
from training.baselines.variants import train_variants
from training.checks import check, sets_of
from training.clips.comparison import train_clips
from training.clips.distill import distill
from training.clips.recogniser import train_recogniser
from training.clips.teach import teach
from training.commands import build_parser
from training.config import Config, load_config, model_config
from training.errors import DivergedError, InputError
from training.evaluation.evaluate import evaluate
from training.export.starter import make_starter
from training.export.untrained import export_untrained
from training.frozen.stages import export, fill_features, learn_clips, resolved, skim
from training.journey.estimate import Clock
from training.journey.stages import run_stages
from training.journey.steps import Request, make_plan
from training.prepare import Options, prepare
from training.released import import_released
from training.runs.devices import by_lead, lead
from training.segments.plans import add_segments, read_videos, segments_stage
from training.segments.unknown import measure_unknown
from training.segments.when import measure_when
from training.skimming.features import extract_features
from training.videos.manifest import read_manifest
from training.videos.sets import render_set


def render(config: Config) -> None:
    """Render every set that training uses; the test set waits until it is evaluated on."""
    for name in sets_of(config, "render"):
        render_set(config, name)


def features(config: Config) -> None:
    """Cache the features that the skimmer is trained and validated on."""
    fill_features(config, sets_of(config, "features"))
    if resolved(config).skim.preset != "clip":
        extract_features(resolved(config), sets_of(config, "features"))


STAGES: dict[str, Callable[[Config], object]] = {
    "render": by_lead(render),
    "teacher": teach,
    "distill": distill,
    "finetune": learn_clips,
    "features": features,
    "skim": skim,
    "recogniser": train_recogniser,
    "export": by_lead(export),
    "segments": by_lead(segments_stage),
    "clips": train_clips,
}

STUDIES: dict[str, Callable[[Config], object]] = {"variants": train_variants}
"""What results are compared with; no part of ``all``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every stage continues from what is on disk."""
    parser = build_parser((*STAGES, *STUDIES))
    options = parser.parse_args(arguments)
    try:
        # Of several processes the first one speaks.
        with nullcontext() if lead() else redirect_stdout(None):
            return _run(options)
    except (OSError, InputError, DivergedError, L2LError) as error:
        parser.error(str(error))
    except subprocess.CalledProcessError as error:
        parser.error(f"a tool failed, and said why above: {' '.join(map(str, error.cmd))}")
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    """Run the command that was parsed."""
    others = {"prepare": _prepare, "all": _all, "starter": _starter, "when": _show, "unknown": _show}
    if options.command in others:
        return others[options.command](options)
    if options.command == "segments" and options.plan is not None:
        return _segments(options)
    if options.command == "import-released" or (options.command == "export" and options.random):
        make = _import_released if options.command == "import-released" else _export_random
        try:
            return make(options)
        except ValueError as error:
            raise InputError(str(error)) from error
    config = _config(options)
    check(config, [options.command])
    print(f"== {options.command}", flush=True)
    start = time.monotonic()
    if options.command == "evaluate":
        settings = " ".join([f"--config {options.config}", *(f"--set {name}" for name in options.set)])
        evaluate(config, [f"python -m training {command} {settings}" for command in ("all", "evaluate")])
    else:
        (STAGES | STUDIES)[options.command](config)
    print(f"== {options.command}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _config(options: argparse.Namespace) -> Config:
    if options.config is None:
        raise InputError("--config is missing" + (", or --data" if options.command == "all" else ""))
    try:
        config = load_config(options.config, options.set)
    except ValueError as error:
        raise InputError(str(error)) from error
    precisions = options.precision if options.command == "export" else None
    return replace(config, precisions=tuple(precisions)) if precisions else config


def _prepare(options: argparse.Namespace) -> int:
    report = prepare(
        Options(
            options.data,
            options.output,
            options.layout,
            tuple(options.annotations),
            validation=options.validation,
            test=options.test,
            least=options.least,
            workers=options.workers,
        )
    )
    splits = ", ".join(f"{count} {split}" for split, count in report["splits"].items())
    print(f"{options.output / 'manifest.jsonl'}: {report['kept']} of {report['listed']} videos ({splits})")
    for name in ("unreadable", "missing", "repeated", "not_listed", "no_media"):
        if report[name]:
            print(f"{name.replace('_', ' ')}: {len(report[name])}, named in {options.output / 'report.json'}")
    return 0


def _all(options: argparse.Namespace) -> int:
    if options.data is None:
        config = _config(options)
        check(config, STAGES)
        run_stages(STAGES, config, Clock())
        return 0
    output = _new_plan(options.output, "--data")
    stages = {name: run for name, run in STAGES.items() if name != "clips"}
    request = Request(
        options.data,
        output,
        options.work or output.with_suffix(".work"),
        options.layout,
        tuple(options.annotations),
        options.config,
        tuple(options.set),
        weights=options.weights,
        folds=options.folds,
        untrimmed=options.untrimmed or None,
    )
    make_plan(request, stages)
    return 0


def _new_plan(path: Path | None, needed_by: str) -> Path:
    """Return where a plan can be written."""
    if path is None:
        raise InputError(f"{needed_by} needs --output, the plan to write")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; --output names the plan, such as engine.plan")
    return path


def _export_random(options: argparse.Namespace) -> int:
    output = _new_plan(options.output, "--random")
    if options.classes < 1:
        raise InputError(f"--classes must be at least 1, not {options.classes}")
    plan = export_untrained(
        output,
        preset=options.preset,
        classes=options.classes,
        model=model_config(options.set),
        seed=options.seed,
        precisions=options.precision or ("fp32",),
    )
    print(f"{plan.path}: {plan.path.stat().st_size} bytes, random weights")
    return 0


def _starter(options: argparse.Namespace) -> int:
    plan, missing = make_starter(_new_plan(options.output, options.command), options.weights)
    verbs = {"image": "sees", "audio": "hears"}
    for modality, tags in (plan.document.tags or {}).items():
        print(f"{verbs[modality]} {len(tags.names):,} tags, such as {'; '.join(tags.names[:3])}")
    for modality, why in missing.items():
        print(f"nothing is {'seen' if modality == 'image' else 'heard'} by this plan: {why}")
    print(f"{plan.path}: {plan.path.stat().st_size} bytes; l2l predict FILE --plan {plan.path}")
    return 0


def _segments(options: argparse.Namespace) -> int:
    output = _new_plan(options.output, "--plan")
    if options.train is None or options.validation is None:
        raise InputError("--plan needs --train and --validation, manifests of videos")
    videos = read_videos(options.train, options.validation)
    plan = add_segments(options.plan, videos, output, options.work or output.with_suffix(".work"))
    figures = plan.document.provenance["segments"]["validation"]
    print(f"{plan.path}: {plan.path.stat().st_size} bytes; on validation {figures}")
    return 0


def _show(options: argparse.Namespace) -> int:
    words = f"--plan {options.plan} --test {options.test} --report {options.report} --name '{options.name}'"
    show = measure_when if options.command == "when" else measure_unknown
    show(
        options.plan,
        read_manifest(options.test),
        options.report,
        data=options.name,
        command=f"python -m training {options.command} {words}",
    )
    return 0


def _import_released(options: argparse.Namespace) -> int:
    output = _new_plan(options.output, options.command)
    names = options.classes.read_text(encoding="utf-8").splitlines() if options.classes else None
    done = import_released(options.checkpoint, output, classes=names, exclude=not options.no_exclude)
    if done.missing:
        print(f"missing for skimming, so that the plan averages all pairs: {', '.join(done.missing)}")
    print(f"left over: {', '.join(done.left_over) or 'nothing'}")
    print(f"{done.plan.path}: {done.plan.path.stat().st_size} bytes, preset {done.plan.document.skim.preset}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
