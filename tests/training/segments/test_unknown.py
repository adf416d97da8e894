"""What a plan does not know: how known and other files are told apart, and which videos a set leaves out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from training.__main__ import main
from training.config import load_config
from training.learning.scores import auroc
from training.pages import ROOT, render
from training.segments.unknown import PAGE, row
from training.videos import sets
from training.videos.sets import describe_set, load_sets


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    own, others = rng.integers(0, 6, 30) / 5, rng.integers(0, 4, 20) / 5
    pairs = [(a > b) + (a == b) / 2 for a in own for b in others]
    assert auroc(own, others) == pytest.approx(np.mean(pairs))
    assert auroc(np.array([1.0]), np.array([0.0])) == 1
    assert np.isnan(auroc(own, others[:0]))


def test_a_row_has_its_interval():
    found = row(np.array([0.9, 0.8, 0.7, 0.3, 0.75, 0.1]), np.array([1, 1, 1, 0, 0, 0], np.bool_))
    assert found["auroc"] == pytest.approx(8 / 9)
    assert found["low"] < found["auroc"] <= found["high"] == 1
    assert (found["known"], found["unknown"]) == (0.8, 0.3)


def test_a_set_leaves_out_what_it_is_told_to(tmp_path, monkeypatch):
    labels = ["ring bouncing", "ball sliding", "box ringing"]
    entries = [
        {"path": f"{n}.mp4", "label": label, "duration": 3, "stretches": []} for n, label in enumerate(labels)
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    text = 'work = "w"\nplan = "p"\n[render.all]\nseed = 1\ncount = 3\n'
    text += '[render.some]\nseed = 1\ncount = 3\nwithout = ["ring"]\n'
    (tmp_path / "run.toml").write_text(text)
    config = load_config(tmp_path / "run.toml")
    monkeypatch.setattr(sets, "render_set", lambda config, name: tmp_path)
    assert [video.label for _, video in load_sets(config, ["all"])] == labels
    assert [video.label for _, video in load_sets(config, ["some"])] == labels[1:]
    # What names caches: a set without anything left out is what it was before there was such a setting.
    assert "without" not in describe_set(config, "all")
    assert describe_set(config, "some")["without"] == ("ring",)


def test_the_page_is_made_from_a_plan_and_files(video, tmp_path, capsys):
    from l2l_engine.plan import write_plan

    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(tmp_path / "in.plan", DOCUMENT, graphs=graphs, skim=random_skim())
    words = ["unknown", "--plan", str(tmp_path / "in.plan"), "--report", str(tmp_path / "found")]
    for name, label in (("known", DOCUMENT.classes[0]), ("other", "something else")):
        entry = {"path": str(video), "name": name, "label": label, "duration": 6.0, "stretches": []}
        with (tmp_path / "both.jsonl").open("a") as both:
            both.write(json.dumps(entry) + "\n")
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(entry) + "\n")
    assert main([*words, "--test", str(tmp_path / "both.jsonl")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["left_out"] == ["something else"]
    assert found["rows"]["confidence"]["auroc"] == 0.5  # the same file twice
    assert (tmp_path / "found.md").read_text() == render(PAGE, **found)
    for name, some in (("known", "all"), ("other", "none")):
        with pytest.raises(SystemExit):
            main([*words, "--test", str(tmp_path / f"{name}.jsonl")])
        assert f"knows {some} of the files' classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").glob("*-unknown.json")), ids=lambda path: path.stem
)
def test_the_committed_pages_are_made_of_the_numbers_beside_them(path):
    assert render(PAGE, **json.loads(path.read_text())) == path.with_suffix(".md").read_text()
