"""Real files from elsewhere, where they lie beside the checkout: each gives a prediction or a typed error."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from l2l_engine import Classifier, MediaError, Prediction
from tests.shared import shared_files

FILES = shared_files("media")


def outcome(classifier: Classifier, file: Path) -> Prediction | MediaError:
    try:
        return classifier.predict(file)
    except MediaError as error:
        return error


@pytest.mark.skipif(not FILES, reason="no real media beside the checkout")
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_a_prediction_or_an_error_that_names_the_file(classifier: Classifier, file: Path) -> None:
    answer = outcome(classifier, file)
    if isinstance(answer, MediaError):
        assert str(file) in str(answer)
        return
    assert answer.media is not None
    assert math.isfinite(answer.media.duration)
    assert answer.media.audio == ("absent" if "noaudio" in file.name else "present")
    assert 0.5 <= answer.media.coverage <= 1
    assert Prediction.from_json(answer.to_json()) == answer
