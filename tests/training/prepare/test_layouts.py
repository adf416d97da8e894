"""Annotation files as the data sets publish them, each read into the same list."""

import json
import os

import pytest

from training.prepare.annotations import AnnotationError
from training.prepare.layouts import LAYOUTS, Listed
from training.prepare.library import Library


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def read(layout, root, annotations=()):
    return list(LAYOUTS[layout](Library(root), annotations))


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_class_folders_without_and_with_splits(tmp_path):
    touch(tmp_path / "a", "dog/1.mp4", "dog/deep/2.MOV", "cat/3.webm", "cat/notes.txt", ".hidden/4.mp4")
    touch(tmp_path / "a", "dog/._1.mp4", "dog/.trash/5.mp4")
    assert read("folders", tmp_path / "a") == [
        Listed(tmp_path / "a/cat/3.webm", ("cat",)),
        Listed(tmp_path / "a/dog/1.mp4", ("dog",)),
        Listed(tmp_path / "a/dog/deep/2.MOV", ("dog",)),
    ]
    touch(tmp_path / "b", "train/dog/1.mp4", "val/dog/2.mp4", "test/cat/3.mp4")
    found = {video.path.name: (video.labels, video.split) for video in read("folders", tmp_path / "b")}
    assert found == {
        "1.mp4": (("dog",), "train"),
        "2.mp4": (("dog",), "validation"),
        "3.mp4": (("cat",), "test"),
    }
    touch(tmp_path / "c", "1.mp4")
    with pytest.raises(AnnotationError, match="holds no class folders"):
        read("folders", tmp_path / "c")


def test_a_table(tmp_path):
    path = write(
        tmp_path / "list.csv",
        "path,label,start,end,action_start,action_end,split\n"
        "x.mp4,dog | cat,1.5,3,,,val\ny.mp4,dog,,,,,\nz.mp4,cat,1,9,2,3,\nz.mp4,cat,,,4,5.5,\n",
    )
    assert read("csv", tmp_path, [path]) == [
        Listed(tmp_path / "x.mp4", ("dog", "cat"), "validation", segment=(1.5, 3.0)),
        Listed(tmp_path / "y.mp4", ("dog",)),
        Listed(tmp_path / "z.mp4", ("cat",), "", ((2.0, 3.0),), (1.0, 9.0)),
        Listed(tmp_path / "z.mp4", ("cat",), "", ((4.0, 5.5),)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\nx,dog\n", "has no column label"),
        ("path,label\nx.mp4,\n", r"list.csv:2: a required column is empty"),
        ("path,label\nx.mp4,|\n", r"list.csv:2: no label"),
        ("path,label,start,end\nx.mp4,dog,3,1\n", "start must lie before end"),
        ("path,label,start,end\nx.mp4,dog,a,1\n", "must be seconds"),
        ("path,label,start,end\nx.mp4,dog,1,\n", "must be seconds"),
        (
            "path,label,start,end,action_start,action_end\nx.mp4,dog,1,5,4,6\n",
            "list.csv:2: the action must lie between start and end",
        ),
    ],
)
def test_a_bad_table_names_the_line(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        read("csv", tmp_path, [write(tmp_path / "list.csv", text)])


def test_kinetics_clips_and_whole_videos(tmp_path):
    touch(tmp_path / "v", "train/singing/abc_000003_000013.mp4", "whole.mkv")
    rows = "singing,abc,3,13,train\nbowling,whole,5,15,validate\nyoga,gone,0,10,test\n"
    path = write(tmp_path / "k.csv", "label,youtube_id,time_start,time_end,split\n" + rows)
    assert read("kinetics", tmp_path / "v", [path]) == [
        Listed(tmp_path / "v/train/singing/abc_000003_000013.mp4", ("singing",), "train"),
        Listed(tmp_path / "v/whole.mkv", ("bowling",), "validation", segment=(5.0, 15.0)),
        Listed(tmp_path / "v/gone_000000_000010", ("yoga",), "test"),
    ]
    heard = [video.labels[0] for video in read("kinetics-sounds", tmp_path / "v", [path])]
    assert heard == ["singing", "bowling"]


def test_ucf101(tmp_path):
    touch(tmp_path / "v", "Archery/v_Archery_g08_c01.avi", "flat/v_Yoga_g01_c01.avi")
    train = write(tmp_path / "trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\n")
    test = write(tmp_path / "testlist01.txt", "Yoga/v_Yoga_g01_c01.avi\n\n")
    assert read("ucf101", tmp_path / "v", [train, test]) == [
        Listed(tmp_path / "v/Archery/v_Archery_g08_c01.avi", ("Archery",), "train"),
        Listed(tmp_path / "v/flat/v_Yoga_g01_c01.avi", ("Yoga",), "test"),
    ]
    with pytest.raises(AnnotationError, match=r"testlist01.txt:1: expected Class/file"):
        read("ucf101", tmp_path / "v", [write(test, "nonsense\n")])


def test_activitynet_with_several_labels(tmp_path):
    touch(tmp_path / "v", "v_aaa.mp4")
    marks = [{"label": "Yoga", "segment": [1.0, 4.0]}, {"label": "Archery", "segment": [6, 8.5]}]
    database = {
        "aaa": {"subset": "validation", "annotations": marks},
        "bbb": {"subset": "training", "annotations": marks[:1]},
        "ccc": {"subset": "testing", "annotations": []},
    }
    path = write(tmp_path / "an.json", json.dumps({"database": database}))
    assert read("activitynet", tmp_path / "v", [path]) == [
        Listed(tmp_path / "v/v_aaa.mp4", ("Yoga", "Archery"), "validation", ((1.0, 4.0), (6.0, 8.5))),
        Listed(tmp_path / "v/v_bbb", ("Yoga",), "train", ((1.0, 4.0),)),
    ]
    for text, message in (
        ("{}", "no annotation file"),
        ('{"database": {"a": {"subset": "training", "annotations": [{}]}}}', "a: KeyError"),
    ):
        with pytest.raises(AnnotationError, match=message):
            read("activitynet", tmp_path / "v", [write(path, text)])


def test_sports1m(tmp_path):
    touch(tmp_path / "v", "abcdefghij1.mp4")
    labels = write(tmp_path / "labels.txt", "aikido\nbocce\n")
    train = write(tmp_path / "train_partition.txt", "https://www.youtube.com/watch?v=abcdefghij1 1,0\n")
    test = write(tmp_path / "test_partition.txt", "https://www.youtube.com/watch?v=ABCDEFGHIJ2 0\n")
    assert read("sports1m", tmp_path / "v", [labels, train, test]) == [
        Listed(tmp_path / "v/abcdefghij1.mp4", ("bocce", "aikido"), "train"),
        Listed(tmp_path / "v/ABCDEFGHIJ2", ("aikido",), "test"),
    ]
    with pytest.raises(AnnotationError, match=r"test_partition.txt:1: expected a URL and class numbers"):
        read("sports1m", tmp_path / "v", [labels, write(test, "https://x/watch?v=ABCDEFGHIJ2 7\n")])
    with pytest.raises(AnnotationError, match=r"give labels.txt and the partition files"):
        read("sports1m", tmp_path / "v", [train])


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"folders"}))
def test_missing_annotations_are_asked_for(tmp_path, layout):
    with pytest.raises(AnnotationError, match="give"):
        read(layout, tmp_path)


def test_a_class_is_called_as_its_folder_is_read(tmp_path):
    touch(tmp_path, "Cafe\u0301  bar\n/1.mp4", "日本 語/2.mp4", "train/3.mp4", " /4.mp4")
    (tmp_path / os.fsdecode(b"\xff!")).mkdir()
    (tmp_path / os.fsdecode(b"\xff!") / "5.mp4").touch()
    assert {video.path.name: video.labels for video in read("folders", tmp_path)} == {
        "1.mp4": ("Caf\u00e9 bar",),
        "2.mp4": ("日本 語",),
        "3.mp4": ("train",),
        "4.mp4": ("unnamed",),
        "5.mp4": ("\ufffd!",),
    }


def test_no_folder_and_no_text_are_told(tmp_path):
    with pytest.raises(AnnotationError, match="nowhere: is no folder"):
        Library(tmp_path / "nowhere")
    (tmp_path / "list.csv").write_bytes(b"path,label\n\xff,dog\n")
    with pytest.raises(AnnotationError, match=r"list.csv: cannot be read as text"):
        read("csv", tmp_path, [tmp_path / "list.csv"])
