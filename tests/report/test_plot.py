"""The picture, where matplotlib is installed and where it is not."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import L2LError
from l2l_engine.report import PlotUnavailableError, write_plot
from l2l_engine.result import Segment
from tests.report.cases import AWKWARD, hostile, make


def pixels(path: Path) -> np.ndarray:
    image = pytest.importorskip("matplotlib.image").imread(path, format="png")
    return np.asarray(image[..., :3])


def test_it_shows_the_moments(video: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "out.any"
    write_plot(target, make(), video)
    picture = pixels(target)
    assert picture.shape[1] == 1650
    red = (picture[..., 0] > 0.85) & (picture[..., 1:].max(axis=2) < 0.1)
    looked = [2.0 <= (moment.look_at or 0.0) < 4.0 for moment in make().moments]
    assert 0.8 < red.sum() / (sum(looked) * 150**2) < 1.1


@pytest.mark.parametrize(
    "name",
    [
        "listen-only",
        "one step",
        "one timestamp",
        "seventy steps",
        "long names",
        "features",
        "segments of a day",
        "segments of features",
    ],
)
def test_awkward_predictions_give_a_picture(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_plot(tmp_path / "out.png", AWKWARD[name], None)
    picture = pixels(tmp_path / "out.png")
    assert 200 < len(picture) < 8000
    assert picture.min() < 0.3


def test_it_shows_when_what_happens(tmp_path: Path) -> None:
    """A row a class, as wide as it lasts."""
    pytest.importorskip("matplotlib")
    prediction = make()
    long = replace(
        prediction, segments=(Segment("ball bouncing", 0.0, 6.0, 1.0), Segment("star", 3.0, 6.0, 0.5))
    )
    write_plot(tmp_path / "none.png", prediction, None)
    write_plot(tmp_path / "two.png", long, None)
    none, two = pixels(tmp_path / "none.png"), pixels(tmp_path / "two.png")
    assert len(two) - len(none) == pytest.approx(2 * 0.3 * 150, abs=2)
    dark = np.abs(two - np.array([0x57, 0x5C, 0x61]) / 255).max(axis=2) < 0.02
    widths = np.unique([row.sum() for row in dark if row.sum() > 600])
    assert widths[-1] == pytest.approx(1500, abs=6)
    assert widths[0] == pytest.approx(750, abs=6)


def test_words_of_others_are_no_formulas(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_plot(tmp_path / "out.png", hostile("$\\frac{1$ \x00\n\u202e\udcff 映画 \U0001f600"), None)
    assert len(pixels(tmp_path / "out.png")) > 200


def test_without_matplotlib_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("l2l_engine.report.")]:
        if module.endswith((".drawing", ".sheet")):
            monkeypatch.delitem(sys.modules, module)
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"] or ["matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PlotUnavailableError, match=r"pip install 'l2l_engine\[plot\]'") as caught:
        write_plot(tmp_path / "out.png", make(), None)
    assert isinstance(caught.value, L2LError)
    assert isinstance(caught.value, ImportError)
    assert list(tmp_path.iterdir()) == []


def test_the_metadata_tells_nothing_about_the_machine(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_plot(tmp_path / "out.png", make(path=str(tmp_path / "event.mp4")), None)
    data = (tmp_path / "out.png").read_bytes()
    assert io.BytesIO(data).read(8) == b"\x89PNG\r\n\x1a\n"
    assert str(tmp_path).encode() not in data
