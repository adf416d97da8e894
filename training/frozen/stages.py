"""The stages of a run by what is tuned: behind frozen trunks, embeddings take the place of what decodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import torch
from safetensors.torch import save
from torch import Tensor

from training.clips.finetune import finetune
from training.clips.students import WEIGHTS, load_student, new_student, student_path
from training.config import Config, to_plain
from training.export.trained import export_plan
from training.frozen.cache import MODALITIES, VideoEmbeddings, extract_embeddings
from training.frozen.choose import choose_head
from training.frozen.heads import ClipHead
from training.frozen.plans import read_choice, save_choice, write_kept_plan
from training.learning.scores import Scored, top1
from training.models import Student
from training.runs.checkpoint import save_network
from training.runs.devices import lead_first
from training.runs.files import fingerprint, write_atomically
from training.runs.seeds import seed_everything
from training.skimming.features import feature_places
from training.skimming.train import train_skimmer
from training.videos.manifest import class_names
from training.videos.sets import describe_set, load_sets

START = "frozen"
"""Folder of what was learnt behind frozen trunks, where the last stage is tuned after that."""


def learn_clips(config: Config) -> dict[str, float]:
    """Train the clip classifier: all of it, its last stage, or what stands behind its trunks."""
    if config.model.tune == "all":
        return finetune(config)
    if config.model.tune == "none":
        return learn_frozen(config, student_path(config).parent)
    if config.student.distilled and config.teacher.train:
        return finetune(config)
    folder = config.folder(START)
    # Only the clip classifier goes on, so nothing that skims is tried.
    learn_frozen(replace(config, skim=replace(config.skim, preset="clip")), folder)
    return finetune(config, start=folder / WEIGHTS)


def learn_frozen(config: Config, folder: Path) -> dict[str, float]:
    """Choose a head and learn it, and leave the clip classifier in ``folder``; what is there is not redone.

    Returns:
        Metrics: top-1 of the clip classifier on the validation sets, and by cross-validation.
    """
    depends_on = fingerprint(
        [
            to_plain(config.model),
            to_plain(config.student),
            to_plain(config.skim),
            {
                name: describe_set(config, name)
                for name in (*config.student.train, *config.student.validation)
            },
            config.seed,
        ]
    )
    done, metrics = folder / "made-by.txt", folder / "metrics.json"

    def kept() -> dict[str, float] | None:
        if not (metrics.exists() and done.exists() and done.read_text(encoding="utf-8") == depends_on):
            return None
        found: dict[str, float] = json.loads(metrics.read_text(encoding="utf-8"))
        return found

    if kept() is None:
        # Several processes share this; what is learnt from it is too little to be shared.
        extract_embeddings(config, (*config.student.train, *config.student.validation))
    with lead_first():
        found = kept()
        if found is None:
            found = _learn(config, folder)
            write_atomically(done, lambda file: file.write(depends_on.encode()))
    return found


def _learn(config: Config, folder: Path) -> dict[str, float]:
    torch.set_num_threads(config.threads)
    videos = extract_embeddings(config, config.student.train)
    classes = class_names([video for _, video in load_sets(config, config.student.train)])
    choice = choose_head(config, videos, classes)
    save_choice(config, choice)
    print(f"frozen: {choice.reason}", flush=True)
    for row in choice.rows:
        if row.loss is not None:
            score = row.score
            span = f"{score['top1']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
            print(f"frozen: {row.name} {'+'.join(row.streams)}: {span}, loss {row.loss:.3f}", flush=True)
    student = student_of(config, choice.averaged, len(classes))
    rows = {row.name: row.score["top1"] for row in reversed(choice.rows) if row.score}
    metrics = {f"cross_validated_{name}": value for name, value in rows.items()}
    validation = extract_embeddings(config, config.student.validation)
    labels = torch.tensor([[name in video.video.labels for name in classes] for video in validation])
    said = choice.head.scores(validation, choice.factor)
    metrics["accuracy"] = top1(Scored(said.float().numpy(), labels.numpy()))
    save_network(folder / WEIGHTS, student, classes=classes, metrics=metrics)
    return metrics


def student_of(config: Config, head: ClipHead, classes: int) -> Student:
    """Return the student whose projections, Psi and classifier are a head's; the unused are as they begin."""
    with torch.random.fork_rng(devices=[]):
        seed_everything(config.seed)
        student = new_student(config.model, classes)
    columns = dict(zip(head.streams, head.hidden[0].split(head.size, dim=1), strict=True))
    nothing = torch.zeros_like(next(iter(columns.values())))
    for name in head.streams:
        (block,) = head.projections[name]
        student.get_submodule(f"{name}.project").load_state_dict(_state(block.weight, block.bias))
    hidden = torch.cat([columns.get(name, nothing) for name in MODALITIES], dim=1)
    student.fusion[0].load_state_dict(_state(hidden, head.hidden[1]))
    student.fusion[1].load_state_dict(_state(*head.output))
    student.classifier.load_state_dict(_state(*head.classifier))
    return student.eval()


def _state(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    return {"weight": weight.float(), "bias": bias.float()}


def resolved(config: Config) -> Config:
    """Return a run whose head is settled: with preset "auto" the one that was chosen."""
    if config.skim.preset != "auto":
        return config
    choice = read_choice(config)
    skim = replace(config.skim, preset=choice["preset"], modalities=tuple(choice["streams"]))
    return replace(config, skim=skim)


def fill_features(config: Config, names: Sequence[str]) -> None:
    """Write the features of some sets from embeddings, where the skimmer's training looks for them."""
    config = resolved(config)
    if config.model.tune != "none" or config.skim.preset == "clip":
        return
    missing = {path: video for path, video in feature_places(config, names).items() if not path.exists()}
    if not missing:
        return
    student = load_student(config)[0]
    found = {video.video: video for video in extract_embeddings(config, names)}
    with lead_first():
        for path, video in missing.items():
            if video in found:
                write_atomically(path, partial(_put, save(_features(student, found[video]))))


@torch.inference_mode()
def _features(student: Student, video: VideoEmbeddings) -> dict[str, Tensor]:
    """Return what is kept of a video's features; as where it is decoded, moments that are not there too."""
    return {
        "image": student.image.project(video.image[0].float()).half(),
        "audio": student.audio.project(video.audio.float()).half(),
        "image_valid": video.image_valid,
        "audio_valid": video.audio_valid,
    }


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def skim(config: Config) -> dict[str, float]:
    """Train the skimmer, unless the plan averages."""
    config = resolved(config)
    if config.skim.preset == "clip":
        print("skim: the plan averages, so there is nothing to train", flush=True)
        return {}
    return train_skimmer(config)


def export(config: Config) -> Path:
    """Write the plan of the head that was chosen or trained."""
    config = resolved(config)
    return write_kept_plan(config) if config.skim.preset == "clip" else export_plan(config)
