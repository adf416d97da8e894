"""The command line of ``python -m training``: what each command reads and writes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from training.export.untrained import PRESETS
from training.prepare import LAYOUTS

PRECISIONS = ("fp32", "fp16", "int8")

ABOUT = {
    "render": "Render the generated sets that training uses. "
    "Reads [render] and [reencode]; writes work/data.",
    "teacher": "Train the teacher, R(2+1)D-18, on clips. "
    "Reads the sets of [teacher]; writes work/teacher. Without teacher.train there is none.",
    "distill": "ImgAud2Vid: teach an image-audio student what the teacher sees in clips. "
    "Reads work/teacher; writes work/distilled.",
    "finetune": "Train the clip classifier on the target's clips. "
    "Reads the sets of [student], and work/distilled if there is a teacher; writes work/student.",
    "features": "Image and audio features of every timestamp of the skimmer's sets. "
    "Reads work/student; writes work/features, a file a video.",
    "skim": "Train ImgAud-Skimming on features. Reads work/features and work/student; writes work/skim.",
    "recogniser": "Train a recogniser for the moments looked at. "
    "Reads the sets of [recogniser]; writes work/recogniser. With recogniser.kind none there is none.",
    "export": "Write the plan: graphs, the skimmer's weights, calibration; then check it against PyTorch. "
    "Reads work/student and work/skim; writes `plan` and work/export. With --random: a plan of random "
    "weights.",
    "segments": "Learn when things happen: a head for single moments, thresholds and smoothing. "
    "Reads `plan` and the sets of [skim]; writes `plan` again. With --plan: gives any plan what it takes.",
    "clips": "Train the clip classifiers that are compared. "
    "Reads the sets of [student] and [clips], and work/teacher; writes into work.",
    "variants": "Train what the skimmer is compared with, on the same features. "
    "Reads work/features; writes into work.",
    "all": "Every step in order, each going on where it stopped. "
    "With --config: the stages of a configuration. With --data and --output: from a folder of your own "
    "videos to a plan; settings are chosen by what is in the folder, --config and --set change them, and a "
    "report (JSON and Markdown) goes beside the plan.",
    "when": "Show how well a plan says when: files through the plan, beside simpler ways. "
    "Reads --plan and --test; writes --report as JSON and Markdown.",
    "unknown": "Show how well a plan knows what it does not know: files of classes that it never learnt. "
    "Reads --plan and --test; writes --report as JSON and Markdown.",
    "evaluate": "Measure the plan on the test set. "
    "Reads `plan`, work and the set of [evaluate]; writes the tables that [evaluate] names.",
    "prepare": "List a folder of footage in one manifest, and say what cannot be used. "
    "Reads the folder and its annotations; writes manifest.jsonl and report.json in --output.",
    "starter": "A plan without any training: published networks say what is seen and heard, and when. "
    "Reads the installed packages and --weights; writes --output.",
    "import-released": "A plan from a checkpoint of the published modules. "
    "Reads --checkpoint; writes --output.",
}
"""By command: what it does, then what it reads and writes."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def build_parser(stages: Iterable[str]) -> Parser:
    """Return the parser of all commands.

    Args:
        stages: Commands that need nothing but a configuration.
    """
    parser = Parser(prog="python -m training", description="Train the networks and write plans.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in (*stages, "all", "evaluate"):
        command = _add(commands, name)
        command.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")
        command.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. student.epochs=3"
        )
        if name == "export":
            _add_export(command)
        if name == "segments":
            _add_segments(command)
        if name == "all":
            command.add_argument(
                "--data", type=Path, metavar="FOLDER", help="your videos, or a manifest of them"
            )
            command.add_argument("--output", type=Path, metavar="PLAN", help="of --data: the plan to write")
            command.add_argument(
                "--work", type=Path, help="of --data: folder in between; PLAN.work by default"
            )
            _add_journey(command)
            _add_layout(command)
    command = _add(commands, "prepare")
    command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="holds the videos")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="for manifest and report")
    _add_layout(command)
    for name, share in (("validation", 0.15), ("test", 0.15)):
        command.add_argument(
            f"--{name}",
            type=float,
            default=share,
            help="share of each class, where the annotations name none",
        )
    command.add_argument("--least", type=int, default=3, help="videos that a class needs to be kept")
    command.add_argument("--workers", type=int, default=2, help="processes that open videos")
    for name in ("when", "unknown"):
        _add_report(_add(commands, name))
    command = _add(commands, "starter")
    command.add_argument("--output", type=Path, required=True, metavar="PLAN", help="the plan to write")
    command.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="holds yamnet.tflite and yamnet_class_map.csv, to hear"
    )
    _add_import(_add(commands, "import-released"))
    return parser


def _add(commands: argparse._SubParsersAction[Parser], name: str) -> Parser:
    about = ABOUT.get(name, "")
    return commands.add_parser(name, help=about.split(". ")[0].rstrip("."), description=about)


def _add_journey(command: Parser) -> None:
    command.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="of --data: published weights, such as yamnet.tflite"
    )
    command.add_argument(
        "--folds", type=int, default=0, help="of --data: tell how good the plan is by cross-validation"
    )
    command.add_argument(
        "--untrimmed", action="store_true", help="of --data: the clips are for a plan for long files"
    )


def _add_layout(command: Parser) -> None:
    command.add_argument(
        "--layout", choices=LAYOUTS, default="folders", help="of the videos; folders: one a class (default)"
    )
    command.add_argument(
        "--annotations", type=Path, nargs="+", default=[], metavar="FILE", help="of the other layouts"
    )


def _add_report(command: Parser) -> None:
    command.add_argument("--plan", type=Path, required=True, metavar="PLAN", help="the plan to show")
    command.add_argument("--test", type=Path, required=True, metavar="SET", help="test videos, a manifest")
    command.add_argument(
        "--report", type=Path, required=True, metavar="FILE", help="where the pages go, without suffix"
    )
    command.add_argument("--name", default="the test set", help="what the page calls the videos")


def _add_segments(command: Parser) -> None:
    command.add_argument("--plan", type=Path, metavar="PLAN", help="the plan that is given segments")
    for name, about in (("train", "videos to learn from"), ("validation", "videos to choose settings on")):
        command.add_argument(f"--{name}", type=Path, metavar="SET", help=f"of --plan: {about}, a manifest")
    command.add_argument("--output", type=Path, metavar="PLAN", help="of --plan: the plan to write")
    command.add_argument("--work", type=Path, help="of --plan: folder of features; OUTPUT.work by default")


def _add_export(command: Parser) -> None:
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


def _add_import(command: Parser) -> None:
    command.add_argument("--checkpoint", type=Path, nargs="+", required=True, help="one or more files")
    command.add_argument("--output", type=Path, required=True, help="the plan")
    command.add_argument("--classes", type=Path, help="class names, one a line, in the classifier's order")
    command.add_argument(
        "--no-exclude", action="store_true", help="let attention return to moments it was at before"
    )
