"""Whole predictions by the GPU's pipeline over the host's late streams, beside those of the CPU's path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2l_engine import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]


@pytest.mark.parametrize("sampling", ["auto", "exact", "keyframes", "listen"])
def test_a_prediction_is_the_cpus(
    classifier: Classifier, on_cpu: Classifier, video: Path, sampling: Any, same: Same
) -> None:
    got = classifier.predict(video, sampling=sampling)
    same(got, on_cpu.predict(video, sampling=sampling))
    assert (got.device, got.decoder, got.precision) == ("cuda", "pyav", "fp32")
