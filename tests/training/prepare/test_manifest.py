"""From a folder of real files, some of them bad, to a manifest that the stages read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.media.makers import media
from training.manifest import read_manifest
from training.prepare import Options, prepare
from training.prepare.layouts import AnnotationError, Listed
from training.prepare.manifest import hold_out

CLIP = {"frames": 12, "size": (64, 64)}


@pytest.fixture
def footage(tmp_path):
    root = tmp_path / "videos"
    for label in ("dog", "cat"):
        (root / label).mkdir(parents=True)
        for number in range(4):
            content = media(audio=None if number == 0 else "aac", **CLIP)
            (root / label / f"{label}{number}.mp4").write_bytes(content)
    (root / "dog" / "damaged.mp4").write_bytes(media(**CLIP)[:300])
    (root / "dog" / "text.mp4").write_text("no video")
    (root / "lonely").mkdir()
    (root / "lonely" / "one.mp4").write_bytes(media(**CLIP))
    return root


def test_a_folder_of_class_folders(footage, tmp_path):
    report = prepare(Options(footage, tmp_path / "out", workers=1))
    assert (report["listed"], report["kept"], report["without_sound"]) == (11, 8, 2)
    assert report["classes_with_too_few_videos"] == ["lonely"]
    assert sorted(Path(path).name for path in report["unreadable"]) == ["damaged.mp4", "text.mp4"]
    assert all("damaged.mp4" in why or "text.mp4" in why for why in report["unreadable"].values())
    assert report["splits"] == {"train": 4, "validation": 2, "test": 2}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    videos = read_manifest(tmp_path / "out")
    assert {video.label for video in videos} == {"dog", "cat"}
    assert all(video.path.exists() and video.stretches == ((0.0, video.duration),) for video in videos)
    entries = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert sum(not entry["has_audio"] for entry in entries) == 2
    assert all(entry["duration"] == pytest.approx(0.48, abs=0.1) for entry in entries)


def test_stretches_end_with_the_file_and_files_listed_twice_are_one(footage, tmp_path):
    table = tmp_path / "list.csv"
    rows = "dog/dog1.mp4,dog,0.1,0.2\ndog/dog1.mp4,pet,0.3,99\ndog/dog2.mp4,dog,50,60\ngone.mp4,dog,,\n"
    table.write_text("path,label,start,end\n" + rows)
    report = prepare(
        Options(footage, tmp_path / "out", "csv", (table,), validation=0, test=0, least=1, workers=1)
    )
    assert (report["kept"], [Path(path).name for path in report["missing"]]) == (2, ["gone.mp4"])
    first, second = read_manifest(tmp_path / "out")
    assert first.stretches == ((0.1, 0.2), (0.3, first.duration))
    assert second.stretches == ((0.0, second.duration),)
    entry = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])
    assert (entry["label"], entry["labels"], entry["split"]) == ("dog", ["dog", "pet"], "train")


def test_nothing_usable_is_an_error_and_leaves_no_manifest(tmp_path):
    (tmp_path / "v" / "dog").mkdir(parents=True)
    (tmp_path / "v" / "dog" / "a.mp4").write_text("no video")
    with pytest.raises(AnnotationError, match="of 1 videos listed, none can be used"):
        prepare(Options(tmp_path / "v", tmp_path / "out", workers=1))
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_hold_out_is_stable_by_class_and_keeps_given_splits():
    videos = [Listed(Path(f"{label}{n}.mp4"), (label,)) for label in "abc" for n in range(20)]
    videos.append(Listed(Path("x.mp4"), ("a",), "test"))
    first = hold_out(videos, 0.15, 0.1)
    assert Counter((v.labels[0], v.split) for v in first[:-1]) == {
        (label, split): count
        for label in "abc"
        for split, count in (("train", 15), ("validation", 3), ("test", 2))
    }
    assert first[-1].split == "test"
    again = hold_out(videos[::-1], 0.15, 0.1)[::-1]
    assert first == again
    # One video can only be learnt from; of two, one is held out.
    assert [v.split for v in hold_out(videos[:1], 0.2, 0.2)] == ["train"]
    assert Counter(v.split for v in hold_out(videos[:2], 0.2, 0.2)) == {"train": 1, "test": 1}
