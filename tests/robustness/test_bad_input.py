from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.errors import MediaError
from l2l_engine.media import MediaFile, open_media, timestamps

from .bad_files import ROWS, Read, Refused, Row
from .plans import tiny_plan

HOP = 0.25
LONGEST_S = 5.0


def read(file: MediaFile) -> tuple[float, bool, bool, float]:
    """Coverage, presence of picture and sound, duration."""
    with open_media(file) as source:
        times = timestamps(source.duration, HOP)
        valid = []
        if source.has_audio:
            valid.append(source.audio_windows(times, window=4000, sample_rate=16000).valid)
        if source.has_video:
            frames = source.frames(times, short_side=128, crop=112)
            assert (np.isnan(frames.shown_at) == ~frames.valid).all()
            assert not frames.images[~frames.valid].any()
            valid.append(frames.valid)
        return float(np.concatenate(valid).mean()), source.has_video, source.has_audio, source.duration


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_media(row: Row, tmp_path: Path) -> None:
    file = row.make(tmp_path)
    begun = time.process_time()  # not the clock on the wall: other work may slow the machine
    if isinstance(row.outcome, Refused):
        with pytest.raises(row.outcome.kind, match=re.escape(row.outcome.cause)) as caught:
            read(file)
        name = f"<{len(file)} bytes>" if isinstance(file, bytes) else str(file)
        assert name in str(caught.value)
    else:
        coverage, video, audio, duration = read(file)
        assert (video, audio) == (row.outcome.video, row.outcome.audio)
        assert row.outcome.least <= coverage <= row.outcome.most
        if row.outcome.duration is not None:
            assert duration == pytest.approx(row.outcome.duration, abs=0.25)
    assert time.process_time() - begun < LONGEST_S


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(tiny_plan(tmp_path_factory.mktemp("plan")), threads=1)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_classifier(row: Row, tmp_path: Path, classifier: Classifier) -> None:
    """A prediction where at least half was readable, else an error that names the file."""
    file = row.make(tmp_path)

    def predict() -> float:
        prediction = classifier.predict(file, max_image_gap_s=0.5)
        assert prediction.media is not None
        assert np.isfinite(prediction.probabilities).all()
        return prediction.media.coverage

    if isinstance(row.outcome, Refused) or row.outcome.most < 0.5:
        kind = row.outcome.kind if isinstance(row.outcome, Refused) else MediaError
        with pytest.raises(kind) as caught:
            predict()
        assert isinstance(file, bytes) or str(file) in str(caught.value)
    elif row.outcome.least > 0.7:
        coverage = predict()
        assert coverage <= 1.0
        assert (coverage == 1.0) or (isinstance(row.outcome, Read) and row.outcome.least < 1.0)
    else:  # near the half: either, but never full coverage
        try:
            assert 0.5 <= predict() < 1.0
        except MediaError as error:
            assert "could be decoded" in str(error)  # noqa: PT017
    assert classifier.predict(ROWS[-12].make(tmp_path)).label in classifier.class_names
