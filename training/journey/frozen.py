"""The way to a plan where the encoders stay as they are published: embeddings, then what learns from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from training.config import Config
from training.frozen.cache import VideoEmbeddings
from training.journey.choices import Footage, held_out
from training.journey.embedding import alike, as_listed, embed
from training.journey.estimate import Clock, frozen_estimate
from training.journey.footage import Listing, regroup
from training.journey.heads import Head, choose
from training.journey.made import Made
from training.journey.scoring import PLAN, Answer, Judged, difference, files_said
from training.journey.stages import Stages, run_stages
from training.videos.manifest import class_names

_SKIMS = ("finetune", "features", "skim", "export", "segments")
"""The stages that make the plan of a head that skims."""


def make_frozen(
    config: Config, listing: Listing, stages: Stages, clock: Clock, survey: Callable[[], Footage]
) -> Made:
    """Embed the footage, part it, choose a head by what is to learn from, write the plan, ask it.

    Args:
        config: The run.
        listing: How it is parted; near-duplicates are put on one side.
        stages: Of a training, for a head that skims.
        clock: Takes the time.
        survey: Looks at the footage, as it is parted by now.
    """
    torch.set_num_threads(config.threads)
    folds = sorted(set(listing.folds.values()) - {""})
    asked = len(folds)
    after = frozen_estimate(survey().count("train"), asked)
    videos, unreadable = clock.run("embeddings", lambda: embed(config, listing, clock, after))
    regroup(listing, alike(videos), asked)
    footage, videos = survey(), as_listed(videos, listing)
    sides = _sides(listing, footage)
    learn = [video for video in videos if sides[video.video.name] == "learn"]
    test = [video for video in videos if sides[video.video.name] == "test"]
    head = clock.run("head", lambda: choose(config, learn, footage))
    if head.averages:
        clock.run("export", lambda: head.write(config))
        skipped = run_stages({"segments": stages["segments"]}, config, clock)
    else:
        skipped = run_stages({name: stages[name] for name in _SKIMS}, config, clock)
    if folds:
        judged = clock.run("score", lambda: _cross_validated(config, footage, listing, videos))
    else:
        judged = clock.run("score", lambda: _judged(config, footage, head, learn, test))
    return Made(
        judged,
        reasons=head.reasons(),
        chosen={
            "head": head.name,
            "streams": " and ".join(head.choice.streams),
            "factor": head.choice.factor,
        },
        unreadable=unreadable,
        unsure=head.threshold(),
        skipped={"finetune": "the encoders are frozen", **skipped},
    )


def _sides(listing: Listing, footage: Footage) -> dict[str, str]:
    """Return which videos are to learn from and which to test on, by name.

    Nothing has to be chosen by a part of its own: videos for validation are learnt from too, unless they are
    all that can be tested on.
    """
    tested = None if listing.folds else held_out(footage).get("test")
    return {entry["name"]: "test" if entry.get("split") == tested else "learn" for entry in listing.entries()}


def _judged(
    config: Config,
    footage: Footage,
    head: Head,
    learn: Sequence[VideoEmbeddings],
    test: Sequence[VideoEmbeddings],
) -> Judged:
    """Ask the heads about embeddings, and the plan about files."""
    test = [video for video in test if video.video.label not in footage.background]
    judged = Judged([video.video for video in test], {"": _counts(learn, footage)}, [""] * len(test))
    if test:
        _add_rows(judged, head, test)
        own = head.answers(test)
        said = files_said(Path(config.plan), judged.videos)
        judged.add(
            PLAN,
            f"what was written ({head.name}), asked about files",
            [said.get(video.name, one) for video, one in zip(judged.videos, own, strict=True)],
        )
        if head.averages:
            judged.difference = difference(Path(config.plan), judged.videos, own)
    return judged


def _cross_validated(
    config: Config, footage: Footage, listing: Listing, videos: Sequence[VideoEmbeddings]
) -> Judged:
    """Choose and learn a head without each fold, and ask it about that fold."""
    judged = Judged([], {}, [])
    for fold in sorted(set(listing.folds.values()) - {""}):
        learn = [v for v in videos if listing.folds[v.video.name] not in ("", fold)]
        test = [
            v
            for v in videos
            if listing.folds[v.video.name] == fold and v.video.label not in footage.background
        ]
        print(f"== fold {fold}: {len(learn)} videos to learn from, {len(test)} to ask about", flush=True)
        if not test or len(class_names(v.video for v in learn)) < 2:
            continue
        head = choose(config, learn, footage)
        judged.videos += [video.video for video in test]
        judged.fold += [fold] * len(test)
        judged.learnt = {**judged.learnt, fold: _counts(learn, footage)}
        _add_rows(judged, head, test)
        judged.add(PLAN, "a head chosen and learnt anew without each fold", head.answers(test))
        judged.heads[fold] = head.name
    return judged


def _add_rows(judged: Judged, head: Head, test: Sequence[VideoEmbeddings]) -> None:
    for name, about, logits in head.rows(test):
        judged.add(name, about, [Answer(head.classes[n]) for n in head.best(logits).tolist()])


def _counts(videos: Sequence[VideoEmbeddings], footage: Footage) -> dict[str, int]:
    counts = Counter(label for video in videos for label in video.video.labels)
    return {label: count for label, count in counts.items() if label not in footage.background}
