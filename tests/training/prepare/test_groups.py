"""Files of one source are found by their names, and numbers that mean nothing are let be."""

from collections import Counter
from pathlib import Path

import pytest

from training.prepare.groups import sources
from training.prepare.layouts import Listed
from training.prepare.splits import folds, hold_out


def listed(*names, label="dog"):
    return [Listed(Path("/x", label, name), (label,)) for name in names]


def grouped(videos):
    """The groups found, each as the set of its files' names."""
    found = sources(videos)
    by_source = {}
    for path, source in found.items():
        by_source.setdefault(source, set()).add(path.name)
    return sorted(map(sorted, by_source.values()))


OTHERS = ("barking.mp4", "fetch.mp4", "rex at home.mp4", "postman.mp4", "ball.mp4", "walk.mp4")


@pytest.mark.parametrize(
    "names",
    [
        ("holiday_part1.mp4", "holiday_part2.mp4"),
        ("holiday (part 1).mp4", "holiday (part 2).mov"),
        ("Holiday-pt1.mp4", "holiday-pt2.mp4"),
        ("holiday-001.mp4", "holiday-003.mp4"),
        ("rome trip 1.mp4", "rome trip 2.mp4", "rome trip 12.mp4"),
        ("garden_cut_1.mp4", "garden_cut_2.mp4"),
        ("garden_12.5_20.0.mp4", "garden_31.0_44.5.mp4"),
        ("garden_10s_20s.mp4", "garden_30s-40s.mp4"),
        ("IMG_2041.mp4", "IMG_2041 (1).mp4"),
        ("IMG_2041.mov", "IMG_2041 copy.mov"),
        ("IMG_2041.mp4", "IMG_2041-edited.mp4"),
        ("VID_20240101_120000_part1.mp4", "VID_20240101_120000_part2.mp4"),
        ("GH010123.MP4", "GH020123.MP4"),
        ("GOPR0123.MP4", "GP010123.MP4"),
        ("1-187207-A.opus", "1-187207-B.opus"),
        ("1-187207-A-20.wav", "1-187207-B-20.wav"),
        ("v_Walking_g01_c01.avi", "v_Walking_g01_c04.avi"),
        ("dQw4w9WgXcQ_000012_000022.mp4", "dQw4w9WgXcQ_000100_000110.mp4"),
        ("dQw4w9WgXcQ_000030.mp4", "dQw4w9WgXcQ_000050.mp4"),
        ("YdQw4w9WgXcQ_30.000_40.000.wav", "YdQw4w9WgXcQ_50.000_60.000.wav"),
        ("birds.mp4", "birds.wav"),
    ],
)
def test_files_of_one_source_are_one_group(names):
    assert grouped(listed(*names, *OTHERS)) == [sorted(names)]


@pytest.mark.parametrize(
    "names",
    [
        [f"dog_{n:03}.mp4" for n in range(40)],
        [f"dog ({n}).mp4" for n in range(40)],
        [f"IMG_{n:04}.MOV" for n in range(40)],
        [f"VID_20240101_{n}.mp4" for n in range(120000, 120040)],
        [f"PXL_20240101_12{n:04}123.mp4" for n in range(40)],
        [f"video-{n}.mp4" for n in range(40)],
        [f"labrador_{n}.mp4" for n in range(40)],
        [f"WhatsApp Video 2024-01-01 at 12.30.{n}.mp4" for n in range(10, 50)],
        [f"New Recording {n}.m4a" for n in range(40)],
        [f"{n:03}.wav" for n in range(40)],
        [f"New Year {n}.mp4" for n in range(2001, 2009)] + list(OTHERS),
        [f"party-2024-05-{n}.mp4" for n in range(10, 20)] + list(OTHERS),
        [f"train_{n}.mp4" for n in range(30)] + [f"val_{n}.mp4" for n in range(10)],
        [f"2-{n}-A.opus" for n in range(100, 140)],
        [f"dQw4w9WgXc{n}_000012_000022.mp4" for n in "abcdefgh"],
        [f"v_Walking_g{n:02}_c01.avi" for n in range(25)],
        [f"GH01{n:04}.MP4" for n in range(30)],
        [f"Highlights{n}.mp4" for n in range(30)],
    ],
)
def test_numbers_that_say_nothing_of_the_source_are_let_be(names):
    assert grouped(listed(*names)) == []


def test_the_same_number_in_two_folders_is_chance():
    videos = listed("001.mp4", "002.mp4") + listed("001.mp4", "002.mp4", label="cat")
    assert sources(videos) == {}


def test_parts_of_a_number_are_of_one_source_within_a_folder():
    videos = listed("001_part1.mp4", "001_part2.mp4") + listed("001_part1.mp4", "001_part2.mp4", label="cat")
    assert sorted(set(sources(videos).values())) == ["cat/001", "dog/001"]


def test_one_recording_may_hold_several_classes():
    videos = listed("holiday_1.mp4", *OTHERS) + listed("holiday_2.mp4", *OTHERS[:2], label="cat")
    assert grouped(videos) == [["holiday_1.mp4", "holiday_2.mp4"]]


def test_what_annotations_say_wins():
    one, two = Path("/x/holiday_part1.mp4"), Path("/x/holiday_part2.mp4")
    videos = [Listed(one, ("dog",), group="a"), Listed(two, ("dog",), group="b")]
    assert sources(videos) == {one: "a", two: "b"}


def cut(label, recordings, parts):
    return listed(*[f"{label}-{r}_part{p}.mp4" for r in range(recordings) for p in range(parts)], label=label)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_group_is_held_out_as_a_whole(parts):
    videos = [video for label in "abc" for video in cut(label, 12, parts)]
    groups = sources(videos)
    split = hold_out(videos, 0.2, 0.2, groups)
    sides = {}
    for video in split:
        sides.setdefault(groups.get(video.path, video.path), set()).add(video.split)
    assert all(len(found) == 1 for found in sides.values())
    counts = Counter((video.labels[0], video.split) for video in split)
    for label in "abc":
        for name in ("test", "validation"):
            assert abs(counts[label, name] - 0.2 * 12 * parts) < parts
    assert hold_out(videos[::-1], 0.2, 0.2, groups)[::-1] == split


def test_a_class_of_one_source_is_learnt_from_alone():
    videos = cut("a", 1, 6) + cut("b", 2, 3)
    split = hold_out(videos, 0.0, 0.2, sources(videos))
    assert Counter((v.labels[0], v.split) for v in split) == {
        ("a", "train"): 6, ("b", "train"): 3, ("b", "test"): 3
    }  # fmt: skip


def test_a_group_follows_those_of_it_that_have_a_split():
    videos = cut("a", 8, 2)
    given = [Listed(videos[0].path, ("a",), "test"), *videos[1:]]
    assert hold_out(given, 0.0, 0.0, sources(videos))[1].split == "test"


def test_folds_keep_groups_together_and_classes_even():
    labels = {f"{label}{n}": label for label in "abc" for n in range(23)}
    groups = {name: f"{name[0]}{int(name[1:]) // 3}" for name in labels}
    found = folds(labels, groups, 5)
    assert found.keys() == labels.keys()
    assert all(len({found[name] for name in labels if groups[name] == g}) == 1 for g in groups.values())
    counts = Counter((found[name], label) for name, label in labels.items())
    assert all(3 <= counts[fold, label] <= 6 for fold in "12345" for label in "abc")
    assert folds(labels, groups, 5) == found
    given = {name: str(int(name[1:]) % 2) for name in labels}
    assert folds(labels, groups, 5, given) == given
    assert set(folds(dict.fromkeys("xy", "a"), {"x": "x", "y": "y"}, 5).values()) == {"1", "2"}
