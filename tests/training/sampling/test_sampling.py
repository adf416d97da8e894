"""The comparison of sampling policies: what is counted, and what a killed run leaves behind."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.config import Config
from training.pages import ROOT, render
from training.sampling.__main__ import main
from training.sampling.curve import draw_budgets
from training.sampling.ways import PAGE, Look, Way, look_at_all, table, ways
from training.videos.manifest import Video

EXACT, FAST = Way("exact", {"sampling": "exact"}), Way("40 ms", {"budget_ms": 40.0}, budget_ms=40.0)
VIDEOS = [Video(Path(name), name, "ball", 1.0, ()) for name in "abc"]


def look(video, way, said, total=0.05, frames=10):
    seconds = {"frames": total / 2, "total": total}
    return Look(video, way, "ball", said, 0.9, 4, frames, seconds)


def test_a_row_by_hand():
    looks = [
        look(name, "exact", said) for name, said in zip("abcd", ["ball", "ball", "box", "box"], strict=True)
    ]
    looks += [
        look("a", "40 ms", "ball", 0.01, 2),
        look("b", "40 ms", "box", 0.02, 4),
        look("c", "40 ms", "box", 0.059, 6),
        look("d", "40 ms", "ball", 0.061, 8),
    ]
    found = table(looks, [EXACT, FAST])
    assert found["exact"]["top1"] == 0.5
    assert found["exact"]["points"] == 0
    assert found["exact"]["agreement"] == 1
    assert "late" not in found["exact"]
    row = found["40 ms"]
    assert (row["videos"], row["top1"], row["points"], row["agreement"]) == (4, 0.5, 0, 0.5)
    assert row["frames_decoded"] == 5
    assert row["frames_s"] == pytest.approx(0.15 / 8)
    assert row["median_s"] == pytest.approx(0.0395)
    # 20 ms is the larger allowance at 40 ms: only 61 ms is late.
    assert row["late"] == 0.25


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_half_a_line_is_done_again_and_the_ways_take_turns(tmp_path, monkeypatch, kept):
    asked = []

    def judge(video, way, _prediction):
        asked.append((video.name, way.name))
        return look(video.name, way.name, "ball")

    monkeypatch.setattr("training.sampling.ways.judge", judge)
    classifiers = {"auto": SimpleNamespace(predict=lambda path, **options: None)}
    lines = [json.dumps(dataclasses.asdict(look("a", way.name, "ball"))) + "\n" for way in (EXACT, FAST)]
    path = tmp_path / "set.jsonl"
    path.write_text(lines[0] + lines[1][:kept])
    found = list(look_at_all(classifiers, VIDEOS, [EXACT, FAST], path))
    assert asked == [("a", "40 ms"), ("b", "40 ms"), ("b", "exact"), ("c", "exact"), ("c", "40 ms")]
    assert len(found) == len(path.read_text().splitlines()) == 6
    assert list(look_at_all(classifiers, VIDEOS, [EXACT, FAST], path)) == found
    assert len(asked) == 5


def test_the_page_and_the_curve_come_from_the_rows(tmp_path):
    looks = [look(name, way, "ball") for name in "ab" for way in ("exact", "40 ms")]
    sets = {"test": table(looks, [EXACT, FAST])}
    page = render(PAGE, plan="0123456789abcdef", precisions={"exact": "bf16"}, sets=sets)
    assert "| exact | 100.0 % | 34.2 % to 100.0 % | +0.0 | 100.0 % | 4 | 10 | 25 ms | 50 ms |" in page
    assert "| 40 ms | 100.0 % | 34.2 % to 100.0 % | 10 | 50 ms | 0.0 % |" in page
    draw_budgets(sets, "exact", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    draw_budgets({"test": table(looks[::2], [EXACT])}, "exact", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_committed_page_is_made_of_the_numbers_beside_it():
    path = ROOT / "results" / "av-kinetic-sampling.json"
    assert render(PAGE, **json.loads(path.read_text())) == path.with_suffix(".md").read_text()


def test_the_first_way_is_what_the_others_are_held_to():
    names = [way.name for way in ways(Config(work="", plan=""))]
    assert names[0] == "exact"
    assert {"keyframes", "listen", "auto", "exact, 3 steps", "exact, fp32", "exact, int8"} < set(names)
    assert len(names) == len(set(names))


def test_an_unknown_way_is_named(tmp_path, capsys):
    (tmp_path / "a.toml").write_text('work = "x"\nplan = "y"\n')
    with pytest.raises(SystemExit):
        main(["--config", str(tmp_path / "a.toml"), "--only", "quick"])
    assert "no such way: quick" in capsys.readouterr().err
