"""Features kept in one file: what comes back is what went in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier, Features, Prediction, Timings, embeddings
from l2l_engine.embeddings import FeaturesError, FileFeatures
from tests.api.commands import inside
from tests.api.plans import DOCUMENT

HOP = DOCUMENT.media.hop
FORMS = ("features.parquet", "features.npz")


@pytest.fixture(scope="module")
def kept(classifier: Classifier, video: Path, silent_video: bytes, sound_file: bytes) -> list[FileFeatures]:
    files = {"both.mp4": video, "a folder/silent, 'quoted'.mp4": silent_video, "\u05d0\udcff.wav": sound_file}
    return [FileFeatures(name, classifier.features(file)) for name, file in files.items()]


def write(target: Path, kept: list[FileFeatures], plan: str = "aa" * 32) -> Path:
    assert embeddings.write(target, kept, plan=plan, hop=HOP) == len(kept)
    return target


def assert_same(one: Features, other: Features) -> None:
    for name in ("image_bank", "audio_bank", "image_times", "audio_times", "timestamps"):
        here, there = getattr(one, name), getattr(other, name)
        assert (here is None) == (there is None), name
        if here is not None:
            assert here.dtype == there.dtype
            np.testing.assert_array_equal(here, there)
    assert one.decoder == other.decoder


@pytest.mark.parametrize("name", FORMS)
def test_they_come_back_bit_for_bit(tmp_path: Path, kept: list[FileFeatures], name: str) -> None:
    found = embeddings.read(write(tmp_path / name, kept), plan="aa" * 32)
    assert list(found) == ["both.mp4", "a folder/silent, 'quoted'.mp4", "\u05d0\\udcff.wav"]
    for file, back in zip(kept, found.values(), strict=True):
        assert_same(file.features, back)


def answer(classifier: Classifier, kept: Features) -> Prediction:
    said = classifier.predict_features(
        kept.image_bank,
        kept.audio_bank,
        image_times=kept.image_times,
        audio_times=kept.audio_times,
        timestamps=kept.timestamps,
    )
    return replace(said, timings=Timings())


@pytest.mark.parametrize("name", FORMS)
def test_the_answer_is_the_same(
    classifier: Classifier, tmp_path: Path, kept: list[FileFeatures], name: str
) -> None:
    found = embeddings.read(write(tmp_path / name, kept))
    for file, back in zip(kept, found.values(), strict=True):
        assert answer(classifier, back) == answer(classifier, file.features)


def test_parquet_has_a_row_for_each_moment_and_one_for_the_mean(
    tmp_path: Path, kept: list[FileFeatures]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(write(tmp_path / "features.parquet", kept))
    assert table.schema.metadata[b"l2l.features"] == b"1"
    rows = [row for row in table.to_pylist() if (row["path"], row["modality"]) == ("both.mp4", "image")]
    times = kept[0].features.image_times
    assert times is not None
    assert [row["seconds"] for row in rows] == [*times.tolist(), None]
    mean = kept[0].pooled("image")
    assert mean is not None
    np.testing.assert_array_equal(np.float32(rows[-1]["feature"]), mean)
    np.testing.assert_allclose(mean, kept[0].features.image_bank.mean(axis=0), rtol=1e-5)
    assert {row["plan"] for row in rows} == {"aa" * 32}


@pytest.mark.parametrize("name", FORMS)
def test_those_of_another_plan_are_refused(tmp_path: Path, kept: list[FileFeatures], name: str) -> None:
    target = write(tmp_path / name, kept)
    with pytest.raises(FeaturesError, match="of the plan aaaaaaaaaaaa, not of bbbbbbbbbbbb"):
        embeddings.read(target, plan="bb" * 32)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1 and then nothing of the kind PAR1", b"PK\x03\x04 cut"]
)
def test_what_is_no_file_of_features_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some").write_bytes(content)
    with pytest.raises(FeaturesError):
        embeddings.read(tmp_path / "some")


def other_npz(path: Path) -> None:
    np.savez(path, numbers=np.arange(3))


def objects(path: Path) -> None:
    """Arrays of objects would be pickles."""
    np.savez(path, l2l_features=np.array([print], object))


def other_parquet(path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"numbers": [1, 2]}), path)


@pytest.mark.parametrize("make", [other_npz, objects, other_parquet])
def test_other_files_are_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "some.npz")
    with pytest.raises(FeaturesError):
        embeddings.read(tmp_path / "some.npz")


def test_what_goes_wrong_on_the_way_leaves_the_file_as_it_was(
    tmp_path: Path, kept: list[FileFeatures]
) -> None:
    for name in FORMS:
        target = write(tmp_path / name, kept[:1])
        before = target.read_bytes()
        odd = replace(kept[0].features, timestamps=kept[0].features.timestamps * 1.5)
        with pytest.raises(FeaturesError, match="apart"):
            embeddings.write(target, [kept[1], FileFeatures("odd", odd)], plan="", hop=HOP)
        assert target.read_bytes() == before
    with pytest.raises(FeaturesError, match=r"\.parquet or \.npz"):
        embeddings.write(tmp_path / "features.csv", kept, plan="", hop=HOP)


def test_the_command(tmp_path: Path, plan_file: Path, video: Path, classifier: Classifier) -> None:
    (tmp_path / "damaged.mp4").write_bytes(b"no video at all" * 100)
    target = tmp_path / "features.npz"
    status, out, err = inside(
        "features", video, tmp_path / "damaged.mp4", "--plan", plan_file, "--output", target, "--max-knots", 4
    )
    assert status == 1
    assert f"features of 1 files in {target}" in out
    assert "damaged.mp4" in err
    assert "1 of 2 files could not be read" in err
    found = embeddings.read(target, plan=classifier.plan.sha256)
    assert_same(found[str(video)], classifier.features(video, max_knots=4))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--output", "features.csv"), ".parquet or .npz"),
        (("--output", "features.npz", "--sampling", "listen"), "sampling"),
        (("--output", "features.npz", "--max-image-gap", "-1"), "max_image_gap_s"),
    ],
)
def test_the_command_refuses(plan_file: Path, video: Path, options: tuple[str, ...], word: str) -> None:
    status, _, err = inside("features", video, "--plan", plan_file, *options)
    assert status == 2
    assert word in err
