"""From a folder of real files, some of them bad, to a manifest that the stages read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.media.makers import media
from training.errors import InputError
from training.prepare import Options, prepare
from training.prepare.annotations import AnnotationError
from training.prepare.layouts import Listed
from training.prepare.splits import hold_out
from training.videos.manifest import read_manifest

SOME = range(12)


def clip(first, **settings):
    """A file of 12 frames from number ``first`` on: another number, another file."""
    return media(indices=[first + n for n in SOME], frames=len(SOME), size=(64, 64), **settings)


@pytest.fixture
def footage(tmp_path):
    root = tmp_path / "videos"
    for first, label in ((0, "dog"), (100, "cat")):
        (root / label).mkdir(parents=True)
        for number in range(4):
            content = clip(first + 10 * number, audio=None if number == 0 else "aac")
            (root / label / f"{label}{number}.mp4").write_bytes(content)
    (root / "dog" / "damaged.mp4").write_bytes(clip(50)[:300])
    (root / "dog" / "text.mp4").write_text("no video")
    (root / "lonely").mkdir()
    (root / "lonely" / "one.mp4").write_bytes(clip(60))
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
    table.write_text("path,label,action_start,action_end\n" + rows)
    report = prepare(
        Options(footage, tmp_path / "out", "csv", (table,), validation=0, test=0, least=1, workers=0)
    )
    assert (report["kept"], [Path(path).name for path in report["missing"]]) == (2, ["gone.mp4"])
    first, second = read_manifest(tmp_path / "out")
    assert first.stretches == ((0.1, 0.2), (0.3, first.duration))
    assert second.stretches == ((0.0, second.duration),)
    entry = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])
    assert (entry["label"], entry["labels"], entry["split"]) == ("dog", ["dog", "pet"], "train")


def test_segments_of_a_file_are_videos_of_one_split(footage, tmp_path):
    table = tmp_path / "list.csv"
    rows = [f"dog/dog{n}.mp4,dog,{start},{start + 0.125}" for n in range(4) for start in (0.0, 0.2, 0.3)]
    table.write_text("\n".join(["path,label,start,end", *rows, "dog/dog1.mp4,dog,7,8"]))
    report = prepare(Options(footage, tmp_path / "out", "csv", (table,), least=1, workers=0))
    assert report["kept"] == 12
    assert list(report["unreadable"].items()) == [
        (f"{footage}/dog/dog1.mp4 from 7 s", "begins after the end of the file")
    ]
    videos = read_manifest(tmp_path / "out")
    assert len({video.name for video in videos}) == 12
    assert sorted({(video.start, video.end) for video in videos})[:2] == [(0.0, 0.125), (0.2, 0.325)]
    assert all(video.stretches == ((video.start, video.end),) for video in videos)
    splits = {split: read_manifest(tmp_path / "out", split) for split in ("train", "validation", "test")}
    files = {split: {video.path.name for video in found} for split, found in splits.items()}
    assert sorted(map(len, files.values())) == [1, 1, 2]
    assert sorted(name for names in files.values() for name in names) == [f"dog{n}.mp4" for n in range(4)]


def test_files_of_the_same_content_do_not_fall_on_both_sides(footage, tmp_path):
    (footage / "dog" / "copy of dog1.mp4").write_bytes((footage / "dog" / "dog1.mp4").read_bytes())
    (footage / "cat" / "dog2.mp4").write_bytes((footage / "dog" / "dog2.mp4").read_bytes())
    report = prepare(Options(footage, tmp_path / "out", workers=0))
    assert report["kept"] == 7
    assert report["repeated"] == {
        f"{footage}/dog/dog1.mp4": f"the same as {footage}/dog/copy of dog1.mp4",
        f"{footage}/cat/dog2.mp4": f"the same as {footage}/dog/dog2.mp4, which is of class dog",
        f"{footage}/dog/dog2.mp4": f"the same as {footage}/cat/dog2.mp4, which is of class cat",
    }


def test_a_class_of_which_all_is_held_out_cannot_be_learnt(footage, tmp_path):
    table = tmp_path / "list.csv"
    rows = ["dog/dog1.mp4,dog,train", "dog/dog2.mp4,dog|cat,test", "cat/cat1.mp4,cat,test"]
    table.write_text("\n".join(["path,label,split", *rows]))
    report = prepare(Options(footage, tmp_path / "out", "csv", (table,), least=1, workers=0))
    assert (report["kept"], report["classes_not_in_training"]) == (2, ["cat"])
    assert [video.labels for video in read_manifest(tmp_path / "out")] == [("dog",), ("dog",)]


def test_what_is_not_used_is_told(footage, tmp_path):
    for name in ("dog/notes.txt", "dog/._dog1.mp4", ".git/dog.mp4", "beside.mp4"):
        (footage / name).parent.mkdir(exist_ok=True)
        (footage / name).write_text("no video")
    (footage / "fish").mkdir()
    report = prepare(Options(footage, tmp_path / "out", workers=0))
    assert report["not_listed"] == [f"{footage}/beside.mp4"]
    assert report["no_media"] == [f"{footage}/dog/notes.txt"]
    assert report["empty_folders"] == [f"{footage}/fish"]


def test_files_are_opened_once_as_long_as_they_do_not_change(footage, tmp_path, monkeypatch):
    before = prepare(Options(footage, tmp_path / "out", workers=0))
    (footage / "dog" / "text.mp4").write_bytes(clip(70))
    opened = []

    def here(function, jobs, _workers):
        opened.extend(jobs)
        return map(function, jobs)

    monkeypatch.setattr("training.prepare.footage.parallel_map", here)
    report = prepare(Options(footage, tmp_path / "out", workers=0))
    assert [path.name for path in opened] == ["text.mp4"]
    assert report["kept"] == before["kept"] + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layout": "tree"}, "layout 'tree' is none of folders, csv"), ({"test": 0.9}, "together below 1")],
)
def test_wrong_options_are_named(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        Options(tmp_path, tmp_path, **settings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no manifest entry"),
        ('{"path": "a.mp4", "labels": [], "duration": 1, "stretches": [[0, 1]]}', "no labels"),
        ('{"path": "a.mp4", "label": "x", "duration": 1, "stretches": [[0]]}', "no manifest entry"),
        ('{"path": "b/x.mp4", "label": "x", "duration": 1, "stretches": [[0, 1]]}', "'x' stands twice"),
    ],
)
def test_a_bad_manifest_names_the_line(tmp_path, line, message):
    good = '{"path": "x.mp4", "label": "x", "duration": 1, "stretches": [[0, 1]]}'
    (tmp_path / "manifest.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(InputError, match=rf"manifest.jsonl:2: .*{message}"):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match="cannot be read as a manifest"):
        read_manifest(tmp_path / "nowhere.jsonl")


def test_nothing_usable_is_an_error_and_leaves_no_manifest(tmp_path):
    (tmp_path / "v" / "dog").mkdir(parents=True)
    (tmp_path / "v" / "dog" / "a.mp4").write_text("no video")
    with pytest.raises(AnnotationError, match="of 1 videos listed, none can be used"):
        prepare(Options(tmp_path / "v", tmp_path / "out", workers=0))
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
