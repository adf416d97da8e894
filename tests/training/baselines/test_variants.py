"""Every kind of skimmer and trained baseline for a few updates on two videos, as plans and as methods."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from l2l_engine import Classifier
from l2l_engine.media import timestamps
from training.baselines import network_macs
from training.baselines.variants import folder, load_variants, train_variants, variant
from training.clips.students import load_student, student_path
from training.config import Config, ModelConfig, SkimConfig, VariantsConfig
from training.config.data import SetConfig
from training.errors import InputError
from training.export.trained import export_plan
from training.models import Student
from training.runs.checkpoint import Checkpoint
from training.skimming.build import load_skimmer, skimmer_path
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import to_sequences
from training.skimming.sources import Source
from training.skimming.train import train_skimmer
from training.tables.lineup import lineup

DEMO = Path(__file__).parents[3] / "demo"
CLASSES = ("box", "bouncing", "ring", "sliding")
SIZES = {"features": 32, "fusion": 24}
VARIANTS = (
    "paper",
    "released",
    "visual-only",
    "lstm",
    "non-recurrent",
    "non-recurrent-paired",
    "seed-8",
    "long",
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A run whose student is untrained: two videos of two labels each."""
    work = tmp_path_factory.mktemp("run")
    entry = {"duration": 60.0, "stretches": [[5.0, 12.0], [40.0, 45.0]]}
    lines = [
        entry | {"path": str(DEMO / "box-bouncing.mp4"), "labels": ["box", "bouncing"]},
        entry | {"path": str(DEMO / "ring-sliding.mp4"), "labels": ["ring", "sliding"]},
    ]
    (work / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    single = [line | {"labels": line["labels"][:1]} for line in lines]
    (work / "single.jsonl").write_text("".join(json.dumps(line) + "\n" for line in single))
    found = Config(
        work=str(work),
        plan=str(work / "engine.plan"),
        seed=7,
        threads=1,
        workers=0,
        sets={
            "several": SetConfig(manifest=str(work / "manifest.jsonl")),
            "one": SetConfig(manifest=str(work / "single.jsonl")),
        },
        model=ModelConfig(image_width=0.125, audio_width=0.125, keys=8, hidden=16, **SIZES),
        skim=SkimConfig(train=("one",), validation=("one",), steps=4, updates=4, batch=3, checkpoint_every=2),
        variants=VariantsConfig(names=VARIANTS, updates=4),
    )
    path = student_path(found)
    path.parent.mkdir()
    torch.manual_seed(0)
    student = Student(len(CLASSES), image_width=0.125, audio_width=0.125, **SIZES)
    save_file({name: value.contiguous() for name, value in student.state_dict().items()}, path)
    (path.parent / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (path.parent / "metrics.json").write_text("{}")
    return found


def beside(config, work):
    """Another run of the same student and features."""
    for name in ("student", "features"):
        (Path(config.work) / name).mkdir(exist_ok=True)
        (work / name).symlink_to(Path(config.work) / name)
    return replace(config, work=str(work))


def of_several(config):
    return replace(
        config,
        skim=replace(config.skim, train=("several",), validation=("several",), output="sigmoid"),
    )


KINDS = {
    "paired, hop": lambda config: replace(config, skim=replace(config.skim, preset="paired", hop=0.4)),
    "paired": lambda config: replace(config, skim=replace(config.skim, preset="paired")),
    "released": lambda config: variant(config, "released"),
    "visual-only": lambda config: variant(config, "visual-only"),
    "several": of_several,
    "hop": lambda config: replace(config, skim=replace(config.skim, hop=0.4)),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "paired, hop" else pytest.mark.nightly) for kind in KINDS],
)
def test_every_kind_becomes_a_plan_that_says_the_same(config, kind, tmp_path):
    chosen = replace(KINDS[kind](beside(config, tmp_path)), plan=str(tmp_path / "engine.plan"))
    metrics = train_skimmer(chosen)
    assert ("map" in metrics) == (kind == "several")
    export_plan(chosen)
    track = to_sequences(extract_features(chosen, chosen.skim.train), CLASSES)[0]
    logits = skim_tracks(load_skimmer(chosen, len(CLASSES)), [track], 4, chosen.factor).logits[0, -1]
    knots = np.arange(0, len(track), chosen.factor)
    sees_alone = kind == "visual-only"
    with Classifier(chosen.plan, precision="fp32") as classifier:
        document = classifier.plan.document
        assert document.media.hop == chosen.skim.hop == (0.4 if "hop" in kind else 16 / 30)
        preset = kind.partition(",")[0]
        assert document.skim.preset == (preset if preset in ("paired", "released") else "paper")
        assert document.skim.exclude_previous_argmax == (kind == "released")
        assert document.output == ("sigmoid" if kind == "several" else "softmax")
        assert document.modalities == (("image",) if sees_alone else ("image", "audio"))
        found = classifier.predict(DEMO / "box-bouncing.mp4", sampling="exact")
        assert len(track) == len(timestamps(found.media.duration, chosen.skim.hop))
        assert len(found.moments) == 3
        assert (found.moments[0].listen_to is None) == sees_alone
        said = classifier.predict_features(
            track.image[knots].numpy(),
            None if sees_alone else track.audio[knots].numpy(),
            image_times=chosen.skim.hop * knots,
            audio_times=None if sees_alone else chosen.skim.hop * knots,
            timestamps=chosen.skim.hop * np.arange(len(track)),
        )
        scaled = logits / document.temperature(4)
    expected = scaled.sigmoid() if kind == "several" else scaled.softmax(dim=0)
    np.testing.assert_allclose(said.probabilities, expected, rtol=1e-3, atol=1e-5)
    # bf16 encoders over a file, against float32 features from the cache.
    np.testing.assert_allclose(found.probabilities, expected, atol=0.05)


def test_what_has_nothing_to_pair_is_as_in_the_paper(config):
    paired = KINDS["paired"](config)
    presets = {name: variant(paired, name).skim.preset for name in VARIANTS}
    assert presets.pop("released") == "released"
    assert {name for name, preset in presets.items() if preset == "paired"} == {
        "seed-8",
        "long",
        "non-recurrent-paired",
    }
    assert variant(KINDS["released"](config), "visual-only").skim.preset == "released"


class KilledError(Exception):
    pass


def test_variants_are_trained_once_and_continue_after_a_kill(config, tmp_path, monkeypatch):
    """Of every kind: a skimmer with batch norms, a baseline, another seed."""
    metrics = train_variants(config)
    assert list(metrics) == list(VARIANTS)
    before = [skimmer_path(config, folder(name)).read_bytes() for name in VARIANTS]
    assert len(set(before)) == len(VARIANTS)
    with monkeypatch.context() as patch:
        patch.setattr(
            "training.learning.learner.Learner.learn", None
        )  # a second time there is nothing to learn
        train_variants(config)
    resumed = beside(config, tmp_path)
    original = Checkpoint.save

    def save_and_die(self, state):
        original(self, state)
        raise KilledError

    for name, weights in list(zip(VARIANTS, before, strict=True))[::2]:
        one = replace(resumed, variants=replace(config.variants, names=(name,)))
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "save", save_and_die)
            with pytest.raises(KilledError):
                train_variants(one)
        train_variants(one)
        assert skimmer_path(one, folder(name)).read_bytes() == weights, name


def test_trained_variants_are_rows_of_the_tables(config):
    train_variants(config)
    student, classes = load_student(config)
    rows = {row.name: row for rows in load_variants(config, student, len(classes)).values() for row in rows}
    kinds = ("paper", "released", "image | image", "seed-8", "long")
    baselines = {
        f"{k}{d}" for k in ("LSTM", "NON-RECURRENT", "NON-RECURRENT, paired") for d in ("", " (sparse)")
    }
    assert set(rows) == baselines | {f"{k} ({d})" for k in kinds for d in ("sparse", "dense")}
    tracks = to_sequences(extract_features(config, ["one"]), classes)
    for row in rows.values():
        torch.testing.assert_close(row.scores(tracks).sum(dim=1), torch.ones(2))
        assert network_macs(row, tracks[0]) > 0
    n = len(tracks[0])
    assert rows["image | image (sparse)"].pairs(tracks[0]) == (-(-n // config.factor), 0)
    assert rows["LSTM"].pairs(tracks[0]) == (n, n)
    assert rows["LSTM (sparse)"].pairs(tracks[0]) == (-(-n // config.factor),) * 2
    found = lineup(config, student, len(classes))
    shown = {name for group in (found.combinations, found.presets, found.seeds, found.long) for name in group}
    assert set(rows) - shown - set(found.table) == {"seed-8 (dense)"}
    few = replace(config, variants=VariantsConfig(names=("seed-99",)))
    assert load_variants(few, student, len(classes)) == {}


def test_what_cannot_be_trained_is_named(config):
    with pytest.raises(InputError, match="no variant 'sead-3'"):
        variant(config, "sead-3")
    alone = variant(config, "visual-only")
    with pytest.raises(InputError, match=r"non-recurrent-paired: skim\.preset paired joins images and sound"):
        variant(alone, "non-recurrent-paired")
    with pytest.raises(ValueError, match=r"skim\.preset is 'papers'"):
        SkimConfig(preset="papers")
    with pytest.raises(ValueError, match=r"skim\.preset paired joins images and sound"):
        SkimConfig(preset="paired", modalities=("audio",))
    with pytest.raises(ValueError, match=r"skim\.modalities"):
        SkimConfig(modalities=("audio", "image"))
    with pytest.raises(ValueError, match=r"skim\.output is 'tanh'"):
        SkimConfig(output="tanh")
    tracks = to_sequences(extract_features(config, ["several"]), CLASSES)
    with pytest.raises(InputError, match='set it to "sigmoid"'):
        Source(tracks, len(CLASSES), config.skim, seed=0)
    with pytest.raises(InputError, match=r"skim\.train"):
        Source([], len(CLASSES), config.skim, seed=0)
    _, labels = Source(tracks, len(CLASSES), SkimConfig(output="sigmoid", batch=6), seed=0).draw(0)
    assert (labels.sum(dim=1) == 2).all()
