"""What is wrong with a configuration, found before the first file is opened.

Every command asks :func:`check` first. Networks are built as the command will build them, start from the
weights that it will start from, and see one input; sets, files of earlier commands and ranges are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor

from training.baselines.variants import variant
from training.clips.distill import check_sizes
from training.clips.recogniser import build_frames, frame_side, load_recogniser
from training.clips.students import build_student, distilled_folder, load_student, new_student
from training.clips.teach import build_teacher, load_teacher, published
from training.config import Config, RenderConfig
from training.data.synth_config import load_config as load_ranges
from training.errors import InputError
from training.models import Encoder, media_settings
from training.skimming.build import build_skimmer, load_skimmer
from training.videos.manifest import read_manifest
from training.videos.sets import describe_set

_CLASSES = ("one", "another")
"""How many classes there are depends on the footage; any number will do to build a network."""


def check(config: Config, commands: Collection[str], *, footage: bool = True) -> None:
    """Find what would make some commands fail for their settings.

    Args:
        config: The configuration of all of them.
        commands: Names of commands, which will run one after the other.
        footage: Whether its sets are there already, to be looked up.

    Raises:
        InputError: If a setting is wrong or conflicts with another one, or an earlier command has not run.
        OSError: If a file of weights cannot be read.
    """
    # A command draws the same numbers whether or not anything was checked before.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        _check_networks(config)
        for command in commands:
            if command in _STARTS:
                _STARTS[command](config)
            for maker, load in _NEEDS.get(command, {}).items():
                if maker not in commands:
                    load(config)
    if Path(config.plan).is_dir():
        raise InputError(f"plan is {config.plan}, which is a folder")
    if footage:
        for name in sorted({name for command in commands for name in sets_of(config, command)}):
            _check_set(config, name)


def sets_of(config: Config, command: str) -> tuple[str, ...]:
    """Return the names of the sets whose videos a command needs."""
    teacher, student, skim = config.teacher, config.student, config.skim
    clips, recogniser = config.clips, config.recogniser
    taught = (*teacher.train, *teacher.validation) if teacher.train else ()
    shown = (*student.train, *student.validation)
    seen = (*skim.train, *skim.validation)
    recognised = (*(recogniser.train or student.train), *(recogniser.validation or student.validation))
    by_command: dict[str, tuple[str, ...]] = {
        "render": (*taught, *shown, *seen),
        "teacher": taught,
        "distill": taught,
        "finetune": shown,
        "features": seen,
        "skim": seen,
        "recogniser": () if recogniser.kind == "none" else recognised,
        "export": (*student.train, *seen) if set(config.precisions) - {"fp32"} else seen,
        "segments": seen,
        "clips": () if clips.test is None else (*taught, *shown, clips.test),
        "variants": seen,
        "evaluate": (config.evaluate.set,),
    }
    return by_command[command]


def _check_networks(config: Config) -> None:
    """Build every network of the configuration, and show it a black picture, or silence."""
    student, media = build_student(config.model, len(_CLASSES)), media_settings(config.model)
    _try(student.image, _black(media.crop), f"model.image {config.model.image}")
    _try(student.audio, torch.zeros(1, media.window), f"model.audio {config.model.audio}")
    if config.skim.preset in ("auto", "clip"):
        if config.model.tune != "none":
            raise InputError(
                f"skim.preset {config.skim.preset} is chosen behind frozen trunks: set "
                'model.tune = "none", or skim.preset to paper, paired or released'
            )
    else:
        build_skimmer(config, len(_CLASSES))
    for name in config.variants.names:
        variant(config, name)
    if config.recogniser.kind == "frame":
        recogniser = build_frames(config.recogniser, len(_CLASSES))
        side = frame_side(config.recogniser)
        _try(recogniser, _black(side), f"recogniser.image {config.recogniser.image}")
    if config.teacher.train:
        check_sizes(config)
        if config.model.tune == "none" and config.student.distilled:
            raise InputError(
                'teacher.train names sets, but with model.tune = "none" nothing of a distilled student '
                "would be kept: what stands behind frozen trunks is learnt from the target alone. Set "
                'model.tune = "last" or "all", or student.distilled = false'
            )


def _black(side: int) -> Tensor:
    return torch.zeros(1, side, side, 3, dtype=torch.uint8)


def _try(network: Encoder, inputs: Tensor, setting: str) -> None:
    pictures = inputs.ndim == 4
    try:
        found: Tensor = network.eval()(inputs)
    except (RuntimeError, ValueError, AssertionError) as error:
        what = "frames that it is shown; image_side changes their size" if pictures else "spectrograms"
        raise InputError(f"{setting} cannot take the {what}: {error}") from error
    if not found.isfinite().all():
        what = "a black picture" if pictures else "silence"
        raise InputError(f"{setting} gives no finite numbers for {what}")


def _check_set(config: Config, name: str) -> None:
    """Make sure that a set can be rendered, or that its footage has any videos."""
    describe_set(config, name)
    if name in config.sets:
        own = config.sets[name]
        if not read_manifest(Path(own.manifest), own.split):
            raise InputError(f"sets.{name}: {own.manifest} lists no video of split {own.split!r}")
    elif name in config.reencode:
        _check_set(config, config.reencode[name].source)
    else:
        _check_rendering(name, config.render[name])


def _check_rendering(name: str, settings: RenderConfig) -> None:
    if settings.digits is not None:
        if not Path(settings.digits).is_dir():
            raise InputError(f"render.{name}.digits: there is no folder {settings.digits}")
        return
    try:
        load_ranges(None if settings.config is None else Path(settings.config))
    except ValueError as error:
        raise InputError(f"render.{name}.config: {error}") from error


def _check_start_of_student(config: Config) -> None:
    new_student(config.model, len(_CLASSES))


def _check_start_of_teacher(config: Config) -> None:
    if config.teacher.train:
        _check_published_teacher(config)


def _check_published_teacher(config: Config) -> None:
    start = published(config.teacher)
    if start is not None:
        start(build_teacher(config.teacher, _CLASSES))


def _check_start_of_recogniser(config: Config) -> None:
    settings = config.recogniser
    if settings.kind == "frame" and settings.image_weights is not None:
        build_frames(settings, len(_CLASSES)).encoder.start_from(settings.image_weights)
    elif settings.kind == "clip" and settings.folder is not None:
        load_teacher(config, Path(settings.folder))
    elif settings.kind == "clip" and not config.teacher.train:
        _check_published_teacher(config)


_STARTS: dict[str, Callable[[Config], object]] = {
    "teacher": _check_start_of_teacher,
    "distill": _check_start_of_student,
    "finetune": _check_start_of_student,
    "clips": _check_start_of_student,
    "recogniser": _check_start_of_recogniser,
}
"""By command, what reads the published weights that it starts from."""


def _load_teacher(config: Config) -> None:
    if config.teacher.train:
        load_teacher(config, config.folder("teacher"))


def _load_teacher_of_recogniser(config: Config) -> None:
    if config.recogniser.kind == "clip" and config.recogniser.folder is None:
        _load_teacher(config)


def _load_distilled(config: Config) -> None:
    if config.teacher.train and config.student.distilled:
        load_student(config, distilled_folder(config), made_by="distill")


def _load_skimmer(config: Config) -> None:
    if config.skim.preset in ("auto", "clip"):
        return  # the stage that exports looks up what was chosen
    load_skimmer(config, len(load_student(config)[1]))


def _find_plan(config: Config) -> None:
    # The tables need no plan; the end-to-end report is then left out.
    if config.evaluate.tables is None:
        _find_made_plan(config)


def _find_made_plan(config: Config) -> None:
    if not Path(config.plan).exists():
        raise InputError(f"{config.plan}: no such plan yet; `python -m training export` makes it")


_NEEDS: dict[str, dict[str, Callable[[Config], object]]] = {
    "distill": {"teacher": _load_teacher},
    "finetune": {"distill": _load_distilled},
    "features": {"finetune": load_student},
    "skim": {"finetune": load_student},
    "variants": {"finetune": load_student},
    "recogniser": {"teacher": _load_teacher_of_recogniser},
    "export": {"finetune": load_student, "skim": _load_skimmer, "recogniser": load_recogniser},
    "segments": {"export": _find_made_plan},
    "clips": {"teacher": _load_teacher},
    "evaluate": {"finetune": load_student, "export": _find_plan},
}
"""By command, what loads what an earlier command has made."""
